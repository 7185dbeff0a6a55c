"""A stream on its way to the caller: relayed while it goes well, and settled before its last bytes leave."""

import asyncio
import logging
from dataclasses import replace

from accounts.ledger.entry import Attempt
from accounts.prices import Usage
from proxy import settle, tokens
from proxy.call import STOPPING, Call, Reply
from proxy.errors import GatewayError, StreamCut, Unavailable, UpstreamError
from proxy.gateway import Gateway
from proxy.stream import ProviderStream
from proxy.translation import Translation
from proxy.upstream import without_private
from routing.values import Target

log = logging.getLogger("qlite.delivery")

DRAIN_SECONDS = 1.0


class Delivery:
    """One stream that has begun. Implements proxy.call.Chunks."""

    def __init__(self, gateway: Gateway, call: Call, attempt: Attempt, target: Target, relay: ProviderStream) -> None:
        self._gateway, self._call, self._attempt, self._target, self._relay = gateway, call, attempt, target, relay
        self.over = False
        self.reply: Reply | None = None  # set by the gateway, for those who wait for the end

    @property
    def translated(self) -> bool:
        """Whether what is kept of the stream are chat's chunks, and not the events that the caller got."""
        return isinstance(self._relay, Translation)

    async def next(self) -> bytes:
        if self.over:
            return b""
        try:
            return await self._relay.next() or await self._end()
        except GatewayError as error:
            return await self._broken(error)
        except asyncio.CancelledError as cancelled:
            if cancelled.args == (STOPPING,):
                return await self._broken(StreamCut("The gateway is shutting down.", code=STOPPING))
            self.close()
            self._tell_failure()  # also when cancelled while the end was being settled: equal calls wait for it
            raise
        except Exception:
            log.exception("a stream failed, request %s", self._call.entry.id)
            return await self._broken(GatewayError("Something went wrong inside the gateway."))

    async def _end(self) -> bytes:
        """Settle with the provider's usage, or an estimate; return the usage chunk, the cost and `[DONE]`."""
        self.over = True
        relay = self._relay
        if relay.drained:
            relay.close()
        else:
            self._gateway.spawn(asyncio.wait_for(relay.drain(), DRAIN_SECONDS))
        if relay.usage is not None:
            self._settle(relay.usage, "provider")
        else:
            await asyncio.shield(self._gateway.spawn(self._estimated()))
        await settle.written(self._gateway)
        self._tell_complete()
        return relay.closing(cost_text(settle.cost_of(self._call)), wants_usage=self._call.wants_usage)

    async def _estimated(self, *, status: str = "settled", error: str = "", client_gone: bool = False) -> None:
        try:
            usage, source = await self._metered()
        except Exception:  # whatever a provider has sent, the row must not stay open
            log.exception("the usage of a stream could not be read, request %s", self._call.entry.id)
            usage, source = Usage(input=-(-self._call.entry.prompt_bytes // tokens.BYTES_PER_TOKEN)), "estimated"
        self._settle(usage, source, status=status, error=error, client_gone=client_gone)

    async def _metered(self) -> tuple[Usage | None, str]:
        """Return what the answer has used as far as it came, and whether the provider says so."""
        call, relay = self._call, self._relay
        if (usage := relay.usage) is not None:
            return usage, "provider"
        usage = await tokens.estimate_later(
            call.countable, self._attempt.model, relay.kept, call.entry.prompt_bytes, scale=relay.scale
        )
        if (known := relay.so_far) is not None:  # of the prompt the provider knows better
            usage = replace(known, output=max(known.output, usage.output - known.reasoning))
        return usage, "estimated"

    def _settle(
        self, usage: Usage | None, source: str, *, status: str = "settled", error: str = "", client_gone: bool = False
    ) -> None:
        self._relay.counted = usage
        if self._relay.unread:
            self._gateway.counters.unread(self._attempt.provider, self._relay.unread)
        settle.answered(
            self._gateway,
            self._call,
            self._attempt,
            self._target,
            usage,
            source,
            status=status,
            error=error,
            client_gone=client_gone,
            http_status=self._relay.status,
        )

    async def fail(self, error: GatewayError) -> bytes:
        """End it for a reason of our own: settle it, unless that is done, and return one error event."""
        if not self.over:
            self.over = True
            self._relay.close()
            self._tell_failure()
            code = error.code if error.code in settle.NOT_TROUBLE else "internal_error"
            try:
                await asyncio.shield(self._gateway.spawn(self._estimated(status="interrupted", error=str(code))))
            except Unavailable as ledger:
                error = ledger
        return self._relay.failure(error)

    async def _broken(self, error: GatewayError) -> bytes:
        """Settle what was delivered and return one error event; there is no `[DONE]` after it."""
        self.over = True
        self._relay.close()
        self._tell_failure()
        if not isinstance(error, Unavailable):
            try:
                code = error.code or "stream_interrupted"
                await asyncio.shield(self._gateway.spawn(self._estimated(status="interrupted", error=code)))
            except Unavailable as ledger:
                error = ledger
        if isinstance(error, UpstreamError):
            error = without_private(error, self._target.provider)
        return self._relay.failure(error)

    def close(self) -> None:
        """The caller has gone, or is done. Close the provider at once and settle what was delivered."""
        if self.over:
            return
        self.over = True
        self._relay.close()
        self._tell_failure()
        if self._relay.usage is not None:  # everything was said, only the farewell was not heard
            self._settle(self._relay.usage, "provider", client_gone=True)
        else:
            self._gateway.spawn(self._estimated(status="interrupted", error="client_disconnected", client_gone=True))

    def _tell_complete(self) -> None:
        if self._relay.seen_bytes > self._relay.kept_bytes:
            self._tell_failure()  # too long to be kept whole
        elif (reply := self._let_go()) is not None:
            for listener in reply.on_complete:
                listener(reply, self._relay.kept)

    def _tell_failure(self) -> None:
        if (reply := self._let_go()) is not None:
            for listener in reply.on_failure:
                listener()

    def _let_go(self) -> Reply | None:
        """Part with the reply, which knows this stream too: whoever goes in circles waits for the garbage collector."""
        reply, self.reply = self.reply, None
        return reply


def cost_text(cost_nano: int | None) -> str:
    """Return nano-USD as a decimal string of US dollars with nine places; `unpriced` where the price is missing."""
    if cost_nano is None:
        return "unpriced"
    return f"{cost_nano // 1_000_000_000}.{cost_nano % 1_000_000_000:09d}"
