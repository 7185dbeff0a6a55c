"""A stream that passes as it came, on its way to the caller: settled before its last piece leaves."""

import asyncio
import logging

from proxy import settle
from proxy.call import STOPPING
from proxy.delivery import Delivery
from proxy.errors import GatewayError
from proxy.native import background, batches, metering
from proxy.native.flow import Flow

log = logging.getLogger("qlite.native")


class FlowDelivery(Delivery):
    """A Flow on its way to the caller. What follows the end that the provider announced still goes on."""

    _relay: Flow
    _settled = False

    async def next(self) -> bytes:
        if self._settled and not self.over:
            return await self._rest()
        return await super().next()

    async def _rest(self) -> bytes:
        relay = self._relay
        try:
            rest = await relay._body.next() if not relay.drained else b""
        except asyncio.CancelledError as cancelled:
            self.close()
            if cancelled.args == (STOPPING,):
                return b""
            raise
        except Exception:
            rest = b""  # everything was said and paid for
        if not rest:
            self.close()
        return rest

    async def _end(self) -> bytes:
        """Settle with what the provider reported, or what there is to say without."""
        error = self._relay.reported
        status, code = ("interrupted", error.code or "upstream_error") if error else ("settled", "")
        await asyncio.shield(self._gateway.spawn(self._estimated(status=status, error=code)))
        self._settled = True
        await settle.written(self._gateway)
        self._tell_complete()
        return self._relay.closing("", wants_usage=False) or await self._rest()

    async def _metered(self) -> metering.Metered:
        shares = [*background.finished(self._relay.answer)]
        batches.bill(self._gateway, self._call, self._target.provider, shares)
        if shares:
            return None, "none"
        return await metering.of_stream(self._call, self._attempt, self._relay)

    def close(self) -> None:
        """The caller has gone, or is done."""
        if self.over:
            return
        self.over = True
        if self._relay.owed and not self._settled:
            self._gateway.spawn(self._read_on())
            return
        self._relay.close()
        if self._settled:
            return
        self._tell_failure()
        if self._relay.usage is not None:  # everything was said, only the farewell was not heard
            self._gateway.spawn(self._estimated(client_gone=True))
        else:
            self._gateway.spawn(self._estimated(status="interrupted", error="client_disconnected", client_gone=True))

    async def _read_on(self) -> None:
        """Read the rest, which nobody listens to any more."""
        try:
            while await self._relay.next():
                pass
        except GatewayError as error:
            log.warning("request %s: %s", self._call.entry.id, error.message)
        finally:
            self._relay.close()
        self._tell_failure()
        await self._estimated(status="interrupted", error="client_disconnected", client_gone=True)
