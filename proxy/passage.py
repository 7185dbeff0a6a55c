"""A stream that passes untouched, since caller and provider speak the same dialect, whichever that is.

OpenAI's chat has proxy.relay for this, where a usage chunk may have to be kept back.
"""

from accounts.prices import Usage
from proxy import sse
from proxy.dialects.base import StreamEncoder, Watcher
from proxy.errors import GatewayError, StreamCut
from proxy.stream import ProviderStream, Source


class Passage(ProviderStream):
    """The event that ends the stream is held back until the cost is known; everything before passes as it comes.

    `opening`: names of events that say nothing of the answer yet. They wait for the first one that does.
    """

    def __init__(
        self,
        body: Source,
        watcher: Watcher,
        encoder: StreamEncoder,
        *,
        opening: frozenset[bytes] = frozenset(),
        deadline: float = float("inf"),
    ) -> None:
        super().__init__(body, deadline=deadline)
        self._watcher, self._encoder, self._opening = watcher, encoder, opening
        self._last = b""

    @property
    def usage(self) -> Usage | None:
        return self._watcher.usage

    @property
    def so_far(self) -> Usage | None:
        return self._watcher.so_far

    def closing(self, cost: str, *, wants_usage: bool) -> bytes:
        told = sse.comment(f"x-request-cost={cost}") if self._encoder.comments else b""
        return told + self._last

    def failure(self, error: GatewayError) -> bytes:
        return self._encoder.error(error)

    def _begun(self) -> bool:
        if not self._opening or not super()._begun():
            return super()._begun()
        told = (event for event in sse.events(self._first) if sse.data_of(event) is not None)
        return any(sse.name_of(event) not in self._opening for event in told)

    def _end(self) -> bytes:
        if not self._watcher.complete():
            raise StreamCut("The provider ended the stream before the answer was complete.")
        return b""

    def _pass(self, block: bytes) -> bytes:
        self._keep(block)
        if not self._watcher.interesting(block):
            return block
        passed = []
        for event in sse.events(block):
            data = sse.said(event)
            if data is not None:
                self._watcher.feed(sse.name_of(event), data)
            if self._watcher.error is not None:
                self._trouble = self._watcher.error
                break
            if self._watcher.ended:
                self.done, self._last = True, event
                break
            passed.append(event)
        return b"".join(passed)
