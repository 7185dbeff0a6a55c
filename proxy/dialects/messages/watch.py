"""Reads a stream of Anthropic's that passes untouched: usage, the end, errors."""

import orjson

from accounts.prices import Usage
from proxy.errors import StreamCut
from proxy.providers.anthropic.errors import in_stream
from proxy.providers.anthropic.usage import Tally


class MessageWatcher:
    """One stream. `usage` is None until the answer is finished; `so_far` is what its beginning said."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._finished = self.ended = False
        self.error: StreamCut | None = None

    @property
    def usage(self) -> Usage | None:
        return self._tally.usage if self._finished else None

    @property
    def so_far(self) -> Usage | None:
        return self._tally.usage

    def interesting(self, block: bytes) -> bool:
        return b"message_" in block or b"error" in block

    def feed(self, name: bytes, data: bytes) -> None:
        if not (self.interesting(name) or self.interesting(data)):
            return
        try:
            event = orjson.loads(data)
        except orjson.JSONDecodeError:
            return
        if not isinstance(event, dict):
            return
        kind = event.get("type") or name.decode("latin-1")
        if kind == "message_start" and isinstance(event.get("message"), dict):
            self._tally.note(event["message"].get("usage"))
        elif kind == "message_delta":
            self._tally.note(event.get("usage"))
            delta = event.get("delta")
            self._finished = self._finished or (isinstance(delta, dict) and delta.get("stop_reason") is not None)
        elif kind == "message_stop":
            self._finished = self.ended = True
        elif kind == "error":
            self.error = in_stream(event)

    def complete(self) -> bool:
        return self._finished
