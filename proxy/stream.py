"""A provider's stream, read event by event: what is the same whether its bytes pass or are translated.

Fallback is possible until `begin` returns; from then on a failure is a StreamCut.
"""

import time
from abc import ABC, abstractmethod
from typing import Protocol

import httpx

from accounts.prices import Usage
from proxy import sse
from proxy.errors import GatewayError, StreamCut, UpstreamError
from proxy.providers.refusals import BLAMES_REQUEST

KEPT_BYTES = 1024 * 1024  # of a stream's bytes, for the cache and for estimates
TOO_LONG = "The provider took too long for the whole answer."


class Source(Protocol):
    """The provider's bytes, see proxy.transport.Body. `patience` is how many seconds it waits between two reads."""

    patience: float

    @property
    def ended(self) -> bool: ...
    async def next(self) -> bytes: ...
    def wait_at_most(self, seconds: float) -> None: ...
    def close(self) -> None: ...


class ProviderStream(ABC):
    """One stream. `deadline` is in monotonic seconds. `kept` holds the events that estimates and the cache go by.

    A subclass says what of a block of whole events goes to the caller (`_pass`), and sets `done` when the provider has
    said everything, or `_trouble` when what follows is an error.
    """

    status = 200  # of the answer

    def __init__(self, body: Source, *, deadline: float = float("inf")) -> None:
        self._body = body
        self._deadline = deadline
        self._splitter = sse.Splitter()
        self._first = b""
        self._trouble: StreamCut | None = None
        self._closed = False
        self.done = False
        self.counted: Usage | None = None  # by us, where the provider reports nothing
        self.kept: list[bytes] = []
        self.kept_bytes = self.seen_bytes = 0

    @property
    @abstractmethod
    def usage(self) -> Usage | None:
        """What the provider has reported of a whole answer, None before it is one; the last word wins."""

    @property
    @abstractmethod
    def so_far(self) -> Usage | None:
        """What the provider has reported of an answer that is not whole: its prompt, as a rule."""

    @property
    def unread(self) -> int:
        """How many events were left out, since they could not be read."""
        return 0

    @abstractmethod
    def _pass(self, block: bytes) -> bytes:
        """Take note of `block`, whole events of the provider's; return what goes to the caller for it."""

    @abstractmethod
    def _end(self) -> bytes:
        """Judge an end that the provider did not announce. Raises StreamCut if the answer is not whole."""

    @abstractmethod
    def closing(self, cost: str, *, wants_usage: bool) -> bytes:
        """Return the last bytes for the caller, with the cost (decimal US dollars, or "unpriced") in a comment."""

    @abstractmethod
    def failure(self, error: GatewayError) -> bytes:
        """Return an error event in the caller's shape; nothing follows it."""

    async def begin(self) -> None:
        """Wait for the first event. Raises UpstreamError while another target may still be tried."""
        try:
            while not self._begun() and not self.done and self._trouble is None:
                self._first += await self._advance()
        except StreamCut as cut:
            self.close()
            error = UpstreamError(cut.message, status=cut.status, code=cut.code, billable=True)
            error.usage = self.usage or self.so_far
            error.usage_source = "provider" if self.usage else "estimated"
            raise error from cut
        except BaseException:
            self.close()
            raise
        if self._trouble is not None and not self._begun() and not self._blames_request():
            self.close()
            raise reported_first(self._trouble)
        if self._first.lstrip()[:1] in {b"{", b"<"}:
            self.close()
            raise UpstreamError(
                "The answer is not a stream of events.", code="upstream_invalid_response", billable=True
            )

    def _blames_request(self) -> bool:
        """Say whether a provider has said who it is, and then that the request is wrong: nobody else would take it."""
        return b"data" in self._first and self._trouble is not None and self._trouble.status in BLAMES_REQUEST

    def _begun(self) -> bool:
        return b"data" in self._first  # comments alone are not a beginning

    async def next(self) -> bytes:
        """Return the next bytes for the caller, b"" once the provider has said everything. Raises StreamCut."""
        if self._first:
            first, self._first = self._first, b""
            return first
        while not self.done:
            if self._trouble is not None:
                raise self._trouble
            if out := await self._advance():
                return out
        return b""

    async def _advance(self) -> bytes:
        """Read once; return what of it goes to the caller, which may be nothing yet."""
        left = self._deadline - time.monotonic()
        if left < self._body.patience:
            if left <= 0:
                raise StreamCut(TOO_LONG, code="upstream_timeout")
            self._body.wait_at_most(left)
        try:
            chunk = await self._body.next()
            block = self._splitter.feed(chunk)
        except httpx.ReadTimeout as error:
            if time.monotonic() >= self._deadline:
                raise StreamCut(TOO_LONG, code="upstream_timeout") from error
            raise StreamCut("The provider fell silent in mid-stream.", code="upstream_stalled") from error
        except httpx.TransportError as error:
            raise StreamCut("The provider broke off the stream.") from error
        except sse.EventTooLarge as error:
            raise StreamCut(
                f"The provider's answer is malformed: {error}.", code="upstream_invalid_response"
            ) from error
        if chunk:
            return self._pass(block) if block else b""
        rest, self._splitter.rest = self._splitter.rest, b""
        out = self._pass(rest + b"\n\n") if sse.whole(rest) else b""
        if not self.done and self._trouble is None:
            out += self._end()
            self.done = True
        return out

    def _keep(self, block: bytes) -> None:
        self.seen_bytes += len(block)
        if self.kept_bytes + len(block) <= KEPT_BYTES:
            self.kept.append(block)
            self.kept_bytes += len(block)

    @property
    def scale(self) -> float:
        """By how much more was delivered than kept."""
        return self.seen_bytes / self.kept_bytes if self.kept_bytes else 1.0

    @property
    def drained(self) -> bool:
        """Whether the provider's answer was read to its very end."""
        return self._closed or self._body.ended

    async def drain(self) -> None:
        """Read what follows the last event, the end of the answer as a rule, so that the connection is used again."""
        try:
            while await self._body.next():
                pass
        except httpx.TransportError:
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the provider: its connection is kept if the answer was read to its end, closed otherwise."""
        if not self._closed:
            self._closed = True
            self._body.close()


def reported_first(cut: StreamCut) -> UpstreamError:
    """Return the error with which a stream began, for which nothing was produced: another target may be tried."""
    wait = cut.retry_after
    return UpstreamError(
        cut.message, status=cut.status, code=cut.code, param=cut.param, type=cut._type, retry_after=wait
    )
