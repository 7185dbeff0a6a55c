"""Reads a stream of Responses events that passes untouched from a provider who speaks them itself."""

import re

from accounts.prices import Usage
from proxy.body import Json
from proxy.dialects.openai_chat import parsed
from proxy.dialects.responses.items import usage_of
from proxy.errors import StreamCut
from proxy.providers.breaks import cut

# The last word of a stream, in the event's name or its data. A delta that quotes it is read in vain, no more.
_LAST = re.compile(
    rb'response\.(?:completed|incomplete|failed)|(?:^|[\r\n])event: ?error|"type"\s*:\s*"error"|\A\s*\{\s*"error"\s*:'
)
WHOLE = frozenset({"response.completed", "response.incomplete"})


class Watcher:
    """There is no `[DONE]`: the answer is whole when its last event says how it ended, and usage stands there too."""

    so_far: Usage | None = None  # nothing is said of it before

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.answer: Json = {}
        self.ended = False
        self.error: StreamCut | None = None

    def interesting(self, block: bytes) -> bool:
        return _LAST.search(block) is not None

    def feed(self, name: bytes, data: bytes) -> None:
        event = parsed(data)
        if event is None:
            return  # half an event says nothing
        kind = event.get("type") or name.decode(errors="replace")
        response = event["response"] if isinstance(event.get("response"), dict) else {}
        if kind in WHOLE or kind == "response.failed":
            self.ended, self.answer = True, response
            self.usage = usage_of(response) or self.usage
        if kind == "response.failed":
            self.error = self.error or cut(response.get("error"))
        elif kind == "error" or (not kind and event.get("error")):
            self.error = cut(event.get("error") or event)

    def complete(self) -> bool:
        return self.ended and self.error is None
