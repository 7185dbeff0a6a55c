"""Connections that are used again: proof that a provider had closed one before it saw anything of a request.

A provider may close an idle connection at the very moment at which we send on it. Whether it has seen the request is
then for TCP to say: its FIN came, and with it the acknowledgement of all that it had received by then, and not a byte
of the request is acknowledged. Only then may the request be sent once more. After a reset nobody knows, since our
kernel does not look at the acknowledgement in it; nor does anybody where there is no Linux.

Relies on these internals of aiohttp (pinned): `BaseConnector._get`, `_conns` and `_factory`,
`ResponseHandler.eof_received`, `connection_lost` and `set_exception`.
"""

import socket
import struct
import sys
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ConnectionKey
    from aiohttp.tracing import Trace

# linux/tcp.h: tcpi_bytes_acked, a 64-bit number behind 120 bytes (kernel 4.1).
_ACKED = struct.Struct("=120xQ")
# A connection that was idle for less is not looked at: nobody closes one so soon, and a look costs microseconds.
IDLE_SECONDS = 0.005


class NotTaken(aiohttp.ServerDisconnectedError):
    """The connection was closed before anything of the request had arrived."""


class Handler(ResponseHandler):
    """One connection. Notes what was acknowledged when it was last taken from the idle ones."""

    _acked: int | None = None
    _untaken = False

    def reused(self, idle_seconds: float) -> None:
        """A further request is about to be sent."""
        self._acked = _acknowledged(self.transport) if idle_seconds >= IDLE_SECONDS else None

    def eof_received(self) -> None:
        self._untaken = self._nothing_acknowledged()

    def connection_lost(self, exc: BaseException | None) -> None:
        if isinstance(exc, BrokenPipeError):  # a write has found the end before a read did; a reset has another name
            self._untaken = self._nothing_acknowledged()
        super().connection_lost(exc)

    def set_exception(self, exc: Any, *cause: Any) -> None:
        super().set_exception(NotTaken() if self._untaken else exc, *cause)

    def _nothing_acknowledged(self) -> bool:
        return self._acked is not None and _acknowledged(self.transport) == self._acked


class Connector(aiohttp.TCPConnector):
    """A pool whose connections know whether they were used before."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = partial(Handler, loop=self._loop)  # type: ignore[assignment]

    async def _get(self, key: "ConnectionKey", traces: "list[Trace]") -> Connection | None:
        """Take the connection that was used last, the surest to be open still, if it has nothing to say."""
        while waiting := self._conns.get(key):
            waiting.rotate(1)
            since = waiting[0][1]
            found = await super()._get(key, traces)
            if found is None:
                break
            handler: Any = found.protocol
            if not handler.should_close:
                handler.reused(monotonic() - since)
                return found
            found.close()  # what nobody has asked for would be taken for the next answer
        return None


def _acknowledged(transport: Any) -> int | None:
    """Return how many bytes the other side has acknowledged so far, None where nobody can say."""
    raw = transport.get_extra_info("socket") if transport is not None and sys.platform == "linux" else None
    if raw is None:
        return None
    try:
        found = raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKED.size)
    except OSError:
        return None
    return _ACKED.unpack(found)[0] if len(found) == _ACKED.size else None
