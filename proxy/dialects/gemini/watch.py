"""Reads streams of Gemini's that pass untouched: usage, the end, errors."""

import re
from typing import Any

import orjson

from accounts.prices import Usage
from proxy import sse
from proxy.dialects.base import Json
from proxy.errors import StreamCut
from proxy.providers.gemini import said
from proxy.providers.gemini.errors import detail_of, in_stream
from proxy.providers.gemini.grounding import MARK, searches_in, with_searches
from proxy.providers.gemini.reply import index_of
from proxy.providers.gemini.usage import parse_usage

# Quotes inside a JSON string are escaped, so these only match members.
_END = re.compile(rb'"finishReason"|"blockReason"|"index"\s*:\s*[1-9]')
_ERROR = re.compile(rb'(?:^|[\n\r])(?:data: ?)?\[?\s*\{\s*"error"\s*:')


class GeminiWatcher:
    """One stream of events. Usage stands in every chunk, and the last one counts: none is parsed before it is asked.

    Gemini has no last event, so `ended` is never true: the answer is over when the connection is. `usage` is None until
    the answer has finished; `so_far` is what has been used up to the last chunk.
    """

    ended = False

    def __init__(self) -> None:
        self.error: StreamCut | None = None
        self._latest = self._searched = b""
        self._finished: set[int] = set()
        self._highest = 0
        self._blocked = False

    @property
    def usage(self) -> Usage | None:
        return self.so_far if self.complete() else None

    @property
    def so_far(self) -> Usage | None:
        for event in reversed(sse.events(self._latest)):
            body = _loaded(sse.data_of(event) or b"")
            if isinstance(body, dict) and (usage := parse_usage(body.get("usageMetadata"))) is not None:
                return with_searches(usage, searches_in(self._searched) if self._searched else 0)
        return None

    def interesting(self, block: bytes) -> bool:
        if b'"promptTokenCount"' in block:
            self._latest = block
        if MARK in block:
            self._searched += block
        if b'"error"' in block and _ERROR.search(block):
            self._note_bare_error(block)
            return True
        return _END.search(block) is not None

    def feed(self, name: bytes, data: bytes) -> None:
        body = _loaded(data)
        if detail := detail_of(body):
            self.error = in_stream(detail)
        elif isinstance(body, dict):
            self._note(body)

    def complete(self) -> bool:
        return self.error is None and (self._blocked or self._finished.issuperset(range(self._highest + 1)))

    def _note(self, body: Json) -> None:
        self._blocked = self._blocked or said.blocked(body)
        for place, candidate in enumerate(said.objects(body.get("candidates"))):
            index = index_of(candidate, place)
            self._highest = max(self._highest, index)
            if said.reason_of(candidate):
                self._finished.add(index)

    def _note_bare_error(self, block: bytes) -> None:
        """An error may stand in the stream as JSON without `data:`, which is no event."""
        for event in sse.events(block):
            if event.lstrip()[:1] in (b"{", b"[") and (detail := detail_of(_loaded(event))):
                self.error = in_stream(detail)


def _loaded(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
