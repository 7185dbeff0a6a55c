"""A stream that passes piece by piece as it came, whatever it holds."""

from collections.abc import Callable
from typing import Any

from accounts.prices import Usage
from proxy import sse
from proxy.dialects.base import Watcher
from proxy.errors import GatewayError, StreamCut, UpstreamError
from proxy.stream import ProviderStream, Source


class BrokenOff(ConnectionError):
    """The provider broke off bytes that have no form for an error: the caller's connection has to break too."""


class _Uncut(sse.Splitter):
    """Leaves the pieces as they come."""

    def feed(self, chunk: bytes) -> bytes:
        return chunk


class Flow(ProviderStream):
    """`watcher` reads what passes, if anybody can: events, into which `tell` puts an error, or other bytes.

    `owed`: it has to be read to its end even if the caller leaves, since something is billed for it then.
    """

    def __init__(
        self,
        body: Source,
        watcher: Watcher | None,
        tell: Callable[[GatewayError], bytes],
        *,
        events: bool = True,
        owed: bool = False,
        deadline: float = float("inf"),
        status: int = 200,
    ) -> None:
        super().__init__(body, deadline=deadline)
        self._tell, self.status, self.owed = tell, status, owed
        self._splitter = _Uncut()
        self._events: sse.Splitter | None = sse.Splitter() if watcher is not None and events else None
        self._watcher, self._has_events = watcher, events
        self.held = b""

    @property
    def usage(self) -> Usage | None:
        return self._watcher.usage if self._watcher is not None else None

    @property
    def so_far(self) -> Usage | None:
        """What an unfinished answer has used as far as the provider has said, which some never do."""
        return self._watcher.so_far if self._watcher is not None else None

    @property
    def answer(self) -> Any:
        """The whole answer in which the usage stands, where the last event of a stream holds it."""
        return getattr(self._watcher, "answer", None)

    @property
    def reported(self) -> StreamCut | None:
        """The error that the provider itself told inside the stream."""
        return self._watcher.error if self._watcher is not None else None

    def _begun(self) -> bool:
        return bool(self._first)

    async def begin(self) -> None:
        """Wait for the first piece. Raises UpstreamError while another target may still be tried."""
        try:
            while not self._first and not self.done:
                self._first = await self._advance()
        except StreamCut as cut:
            self.close()
            raise UpstreamError(cut.message, status=cut.status, code=cut.code, billable=True) from cut
        except BaseException:
            self.close()
            raise

    def closing(self, cost: str, *, wants_usage: bool) -> bytes:
        held, self.held = self.held, b""
        return held

    def failure(self, error: GatewayError) -> bytes:
        if not self._has_events:
            raise BrokenOff(error.message)
        return self._tell(error)

    def _pass(self, block: bytes) -> bytes:
        self._keep(block)
        if self._watcher is not None and self._watch(block, self._watcher):
            self.done, self.held = True, block
            return b""
        return block

    def _watch(self, block: bytes, watcher: Watcher) -> bool:
        """Read what `block` completes; say whether the provider has said everything."""
        if not self._has_events:
            watcher.feed(b"", block)
            return False
        if self._events is None:
            return False
        try:
            whole = self._events.feed(block)
        except sse.EventTooLarge:
            self._events = None  # it goes on unread
            return False
        if whole and watcher.interesting(whole):
            for event in sse.events(whole):
                if (data := sse.data_of(event)) is not None and watcher.error is None:
                    watcher.feed(sse.name_of(event), data)
        return watcher.ended

    def _end(self) -> bytes:
        watcher = self._watcher
        if watcher is None or (self._has_events and self._events is None):
            return b""  # nobody could tell
        if self._events is not None and self._events.rest.strip():
            self._watch(b"\n\n", watcher)
        if watcher.error is None and not watcher.complete():
            raise StreamCut("The provider ended the stream before the answer was complete.")
        return b""
