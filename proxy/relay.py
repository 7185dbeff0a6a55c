"""OpenAI's chat stream for a caller who speaks it too: bytes pass, usage is held back until the cost is known."""

import re
from collections.abc import Callable
from typing import Any

import orjson

from accounts.prices import Usage
from proxy import sse
from proxy.errors import GatewayError, StreamCut
from proxy.providers.breaks import reported
from proxy.stream import ProviderStream, Source

_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_FINISHED = re.compile(rb'"finish_reason"\s*:\s*"')
# May be an error: what the event says decides.
_ERROR = re.compile(rb'"error"\s*:\s*[{"]|"(?:finish_reason|object)"\s*:\s*"error"|(?:^|[\n\r])event: ?error')
_DONE = re.compile(rb"(?:\A|[\n\r])(data: ?\[DONE\])")
_ENDS = (b"\n\n", b"\n\r\n", b"\r\r")


class Relay(ProviderStream):
    """`usage_of` reads usage out of an event's JSON; `rename` rewrites whole events for the caller."""

    so_far: Usage | None = None  # the last word of the provider's; some say it in every chunk

    def __init__(
        self,
        body: Source,
        usage_of: Callable[[dict[str, Any]], Usage | None],
        *,
        rename: Callable[[bytes], bytes] | None = None,
        deadline: float = float("inf"),
    ) -> None:
        super().__init__(body, deadline=deadline)
        self._usage_of = usage_of
        self._rename = rename
        self._recent = b""
        self._usage_event = b""  # a chunk that carried usage and nothing else

    @property
    def usage(self) -> Usage | None:
        whole = self.done or self._usage_event or _FINISHED.search(self._recent)
        return self.so_far if whole else None

    def closing(self, cost: str, *, wants_usage: bool) -> bytes:
        words = b""
        if wants_usage and self._usage_event:
            # The cost goes in as the event's first member, so every byte of the provider's stays.
            event = self._usage_event.lstrip()[1:].replace(b"\n", b" ")
            words = sse.encode(b'{"cost":' + orjson.dumps(cost) + b"," + event)
        return words + sse.comment(f"x-request-cost={cost}") + sse.DONE

    def failure(self, error: GatewayError) -> bytes:
        return sse.encode(orjson.dumps(error.body()))

    def _end(self) -> bytes:
        if not _FINISHED.search(self._recent):
            raise StreamCut("The provider ended the stream before the answer was complete.")
        return b""

    def _pass(self, block: bytes) -> bytes:
        kept = block
        if b"[DONE]" in block and (end := _terminator(block)) >= 0:
            self.done = True
            block = block[:end]
        if b"error" in block and (found := _trouble(block)) is not None:
            start, self._trouble = found
            self.done, kept, block = False, block[:start], block[:start]
        self._keep(kept)
        if b'"usage"' in block and _USAGE.search(block):
            block = self._without_usage(block)
        if b'"finish_reason"' in block:
            self._recent = block
        return self._rename(block) if self._rename and block else block

    def _without_usage(self, block: bytes) -> bytes:
        """Read usage, last wins, and hold back a chunk that brings nothing else."""
        passed, position = [], 0
        for match in _USAGE.finditer(block):
            start, end = _event_start(block, match.start()), _event_end(block, match.end())
            body = _json(block[start:end]) if start >= position else None
            if body is not None:
                self.so_far = self._usage_of(body) or self.so_far
                if not body.get("choices"):
                    self._usage_event = sse.data_of(block[start:end]) or b""
                    passed.append(block[position:start])
                    position = end
        return b"".join([*passed, block[position:]]) if passed else block


def _event_start(block: bytes, position: int) -> int:
    """Return where the event around `position` begins."""
    start = 0
    for mark in _ENDS:
        found = block.rfind(mark, 0, position)
        if found >= 0:
            start = max(start, found + len(mark))
    return start


def _event_end(block: bytes, position: int) -> int:
    """Return just past where the event around `position` ends."""
    ends = [found + len(mark) for mark in _ENDS if (found := block.find(mark, position)) >= 0]
    return min(ends, default=len(block))


def _terminator(block: bytes) -> int:
    """Return where the event `data: [DONE]` begins, -1 if the block only speaks of it."""
    match = _DONE.search(block, max(block.find(b"[DONE]") - 7, 0))
    return _event_start(block, match.start(1)) if match else -1


def _json(event: bytes) -> dict[str, Any] | None:
    try:
        body = orjson.loads(sse.said(event) or b"")
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def _trouble(block: bytes) -> tuple[int, StreamCut] | None:
    """Return where the first event that reports an error begins, and the error."""
    for match in _ERROR.finditer(block):
        start, end = _event_start(block, match.end()), _event_end(block, match.end())
        event = block[start:end]
        if (cut := reported(sse.name_of(event), _json(event))) is not None:
            return start, cut
    return None
