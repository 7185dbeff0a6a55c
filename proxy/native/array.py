"""Reads Gemini's streams without alt=sse as they pass: one JSON array that comes in pieces, cut anywhere."""

import json
import re
from typing import Any

from accounts.prices import Usage
from proxy.errors import StreamCut
from proxy.providers.gemini.errors import detail_of, in_stream
from proxy.providers.gemini.grounding import searches_in, with_searches
from proxy.providers.gemini.usage import parse_usage

TAIL_BYTES = 256 * 1024  # enough for the end of the last element

# Quotes inside a JSON string are escaped, so these only match members.
_ERROR = re.compile(rb'[\[,]\s*(\{\s*"error"\s*:)')
_USAGE = re.compile(rb'"usageMetadata"\s*:\s*(\{)')
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+("?)|[\[\]{}]', re.DOTALL)
_STEPS = {b"[": 1, b"{": 1, b"]": -1, b"}": -1}
_DECODER = json.JSONDecoder()


class ArrayWatcher:
    """One stream. It has no last word before its closing bracket, so `ended` is never true."""

    ended = False

    def __init__(self) -> None:
        self.error: StreamCut | None = None
        self._tail = b""
        self._finished = False
        self._depth = 0
        self._string = b""  # the beginning of a string whose end has not come yet

    @property
    def usage(self) -> Usage | None:
        return self.so_far if self.complete() else None

    @property
    def so_far(self) -> Usage | None:
        for place in reversed(list(_USAGE.finditer(self._tail))):
            if (usage := parse_usage(_object_at(self._tail, place.start(1)))) is not None:
                return with_searches(usage, searches_in(self._tail))
        return None

    def interesting(self, block: bytes) -> bool:
        return True

    def feed(self, name: bytes, data: bytes) -> None:
        """Take the next bytes, whatever they are."""
        self._tail = (self._tail + data)[-TAIL_BYTES:]
        self._measure(data)
        recent = self._tail[-len(data) - 64 :]  # a mark may have been cut in two
        self._finished = self._finished or b'"finishReason"' in recent or b'"blockReason"' in recent
        if b'"error"' in recent:
            for place in _ERROR.finditer(self._tail):
                detail = detail_of(_object_at(self._tail, place.start(1)))
                if type(detail.get("code")) is int and isinstance(detail.get("status"), str):
                    self.error = in_stream(detail)

    def complete(self) -> bool:
        return self.error is None and self._finished and self._depth == 0 and self._tail.rstrip().endswith(b"]")

    def _measure(self, data: bytes) -> None:
        """Keep count of open brackets, leaving out those in strings."""
        text, self._string = self._string + data, b""
        for token in _TOKEN.finditer(text):
            if token[1] == b"":
                self._string = text[token.start() :]
                break
            self._depth += _STEPS.get(token.group(), 0)


def _object_at(data: bytes, start: int) -> Any:
    """Return the object that begins at `start`, None if it does not end."""
    try:
        return _DECODER.raw_decode(data[start:].decode("utf-8", "replace"))[0]
    except ValueError:
        return None
