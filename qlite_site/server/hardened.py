"""Daphne's server with our own connections: counts what is in flight, keeps the timers, and stops without cutting."""

# mypy: disable-error-code="no-untyped-call"
import asyncio
import importlib
import inspect
import logging
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

# Imported before by worker.py (slim.py): it installs the reactor, which must come before all else of Twisted.
from daphne.server import Server, twisted_loop  # type: ignore[import-untyped]  # isort: skip
from daphne.http_protocol import HTTPFactory  # type: ignore[import-untyped]
from twisted.internet import reactor
from twisted.logger import LogLevel, globalLogBeginner

from qlite_site.server import refusals, response
from qlite_site.server.channel import EARLY_BYTES, Channel
from qlite_site.server.config import ASGIApp, Scope, ServerConfig
from qlite_site.server.deadlines import Deadlines
from qlite_site.server.exchange import Exchange
from qlite_site.server.head import Head
from qlite_site.server.status import state
from qlite_site.server.transport import Connection, ListeningPort, Turn

if TYPE_CHECKING:
    from qlite_site.server.websockets import WebSockets

logger = logging.getLogger("qlite.server")

TICK_SECONDS = 0.2
# How many connections a worker takes in one turn of its loop: few, so that all get their share of a burst.
SHARED_ACCEPTS = 4
# How long a refused client's bytes are read and dropped, so that it can read why.
LINGER_SECONDS = 3.0
# How long a request that had begun to arrive at SIGTERM may take to arrive.
ARRIVAL_SECONDS = 2.0
# How long cancelled apps may take to say goodbye, and on_stop to end.
GOODBYE_SECONDS = 2.0
ON_STOP_SECONDS = 10.0


class Factory(HTTPFactory):  # type: ignore[misc]
    """Makes our channels instead of Twisted's, and keeps no log file."""

    def buildProtocol(self, addr: Any) -> Channel:
        return Channel(self.server)

    def startFactory(self) -> None:
        pass

    def stopFactory(self) -> None:
        pass


class HardenedServer(Server):  # type: ignore[misc]
    """Serves one app in one worker until it is told to stop.

    Of Daphne it keeps the reactor, the factory and what WebSockets need. Not used: its table of connections with the
    once-a-second sweep (one exception there ends it for good), its wall-clock timeouts, its way to stop. Relies on
    `daphne.server.twisted_loop`, the loop under the reactor, and on `HTTPFactory.server`.
    """

    def __init__(self, config: ServerConfig, app: ASGIApp) -> None:
        super().__init__(app, endpoints=["inherited"], signal_handlers=False, root_path=config.root_path, verbosity=0)
        self.config = config
        self.loop = cast("asyncio.AbstractEventLoop", twisted_loop)
        self.turn = Turn(self.loop)
        self.date = response.date_line(time.time())
        self.channels: set[Channel] = set()
        self.connections: dict[Any, dict[str, Any]] = {}  # the WebSockets, as Daphne keeps them
        self.exchanges: set[Exchange] = set()
        self.small_body = min(EARLY_BYTES, config.max_request_bytes)
        self.idle = Deadlines(config.idle_seconds, Channel.idle_too_long)
        self.heads = Deadlines(config.header_seconds, Channel.too_slow)
        self.bodies = Deadlines(config.body_seconds, Channel.too_slow)
        self.lingers = Deadlines(LINGER_SECONDS, Channel.too_slow)
        self.stalls = Deadlines(config.write_stall_seconds, Connection.stalled)
        self.abandoned = Deadlines(config.abandon_seconds, _give_up)
        self._stop_at = self._arrive_by = float("inf")
        self._cancelled = False
        self._sockets: WebSockets | None = None  # made when the first of them comes
        self._upgrades: list[tuple[Channel, Head, bytes]] = []
        self._loading: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._port: ListeningPort | None = None

    def serve(self, listening: socket.socket) -> None:
        """Accept connections on `listening` until `stop` was called and the drain is over."""
        _silence_twisted()
        asyncio.set_event_loop(self.loop)
        port = ListeningPort._fromListeningDescriptor(reactor, listening.fileno(), listening.family, Factory(self))
        listening.close()
        self._port = cast(ListeningPort, port)
        if self.config.workers > 1:
            self._port.accepts_a_turn = SHARED_ACCEPTS
        self._port.startListening()
        self.loop.call_later(TICK_SECONDS, self._tick)
        cast(Any, reactor).run(installSignalHandlers=False)

    # Requests

    def enter(self, exchange: Exchange, scope: Scope) -> None:
        """Start the app on a request."""
        coroutine = self.application(scope, exchange.receive, exchange.send)
        exchange.task = task = self.loop.create_task(coroutine)
        self.exchanges.add(exchange)
        state.in_flight += 1
        task.add_done_callback(exchange.finished)

    def leave(self, exchange: Exchange) -> None:
        """The app has finished with a request."""
        self.exchanges.discard(exchange)
        state.in_flight -= 1
        self.abandoned.stop(exchange)
        if state.draining:
            self._end_if_done()

    def upgrade(self, channel: Channel, head: Head, rest: bytes) -> None:
        """Hand the connection over to the WebSocket protocol.

        The first one waits for it: Autobahn takes 14 MB and a third of a second, which only those pay who want it.
        """
        if not self.config.websockets:
            raise refusals.bad_request("WebSockets are not served here.")
        if self._sockets is not None:
            self._sockets.take(channel, head, rest)
            return
        channel.transport.stopReading()
        self._upgrades.append((channel, head, rest))
        self._loading = self._loading or self.loop.create_task(self._load_websockets())

    async def _load_websockets(self) -> None:
        """Import what WebSockets need, in a thread, and take those who wait for it."""
        module = await asyncio.to_thread(importlib.import_module, "qlite_site.server.websockets")
        self._sockets = sockets = module.WebSockets(self)
        sockets.watch()
        upgrades, self._upgrades = self._upgrades, []
        for channel, head, rest in upgrades:
            if channel in self.channels:
                channel.transport.startReading()
                try:
                    sockets.take(channel, head, rest)
                except refusals.Refused as refused:
                    channel.refuse(refused, head)

    def create_application(self, protocol: Any, scope: Scope) -> Any:
        """Start the app on a WebSocket; Daphne asks for this at the handshake."""
        return self._sockets.enter(protocol, scope) if self._sockets is not None else None

    def forget(self, channel: Channel) -> None:
        """A connection is closed, or no longer ours."""
        self.channels.discard(channel)
        for deadlines in (self.idle, self.heads, self.bodies, self.lingers):
            deadlines.stop(channel)
        if state.draining:
            self._end_if_done()

    def protocol_disconnected(self, protocol: Any) -> None:
        """A WebSocket is closed. Daphne says so twice for one that was rejected, and stumbles over the second time."""
        if protocol in self.connections:
            super().protocol_disconnected(protocol)

    # Time

    def _tick(self) -> None:
        self.loop.call_later(TICK_SECONDS, self._tick)
        self.date = response.date_line(time.time())
        now = self.loop.time()
        for deadlines in (self.idle, self.heads, self.bodies, self.lingers, self.stalls, self.abandoned):
            deadlines.check(now)
        for exchange in list(self.exchanges):
            exchange.look_alive(now)
        if state.draining:
            self._end_if_done()
        if now >= self._arrive_by:
            self._refuse_arrivals()
        if now >= self._stop_at:
            self.cancel()

    # Stopping

    def stop(self) -> None:
        """Accept no more, close what is idle, let the rest run to its end, but not beyond `drain_seconds`."""
        if state.draining:
            return
        state.draining = True
        now = self.loop.time()
        self._stop_at, self._arrive_by = now + self.config.drain_seconds, now + ARRIVAL_SECONDS
        if self._port is not None:
            self._port.take_waiting()
            self._port.stopListening()
        for channel in list(self.channels):
            channel.leave()
        self._end_if_done()

    def cancel(self) -> None:
        """Cancel what is in flight now, and end when all goodbyes are said or their time is up."""
        self.stop()
        if self._cancelled:
            self._end()
            return
        self._cancelled = True
        self._stop_at = self.loop.time() + GOODBYE_SECONDS
        self._refuse_arrivals()
        for exchange in list(self.exchanges):
            if exchange.task is not None:
                exchange.task.cancel("server_shutting_down")
        if self._sockets is not None:
            self._sockets.leave()
            self._sockets.cancel()

    def _refuse_arrivals(self) -> None:
        self._arrive_by = float("inf")
        for channel in list(self.channels):
            if channel.receiving:
                channel.refuse(refusals.shutting_down())

    def _end_if_done(self) -> None:
        if not self.exchanges and not self.channels and not (self._sockets and self._sockets.any()):
            self._end()

    def _end(self) -> None:
        if self._ending is None:
            self._ending = self.loop.create_task(self._finish())

    async def _finish(self) -> None:
        for channel in list(self.channels):
            channel.transport.abort()
        try:
            ended = self.config.on_stop()
            if inspect.isawaitable(ended):
                await asyncio.wait_for(ended, ON_STOP_SECONDS)
        except Exception:
            logger.exception("on_stop failed")
        cast(Any, reactor).stop()


def _give_up(exchange: Exchange) -> None:
    """The client has left and the app went on regardless."""
    if exchange.task is not None:
        logger.warning("cancelled an app that went on after its client had left")
        exchange.task.cancel("client_disconnected")


def _silence_twisted() -> None:
    """Let only Twisted's errors through, to our log."""

    def pass_on(event: Any) -> None:
        level = event.get("log_level")
        if level is not None and level >= LogLevel.error:
            failure = event.get("log_failure")
            logger.error("twisted: %s", event.get("log_format"), exc_info=failure.value if failure else None)

    begin = cast("Callable[..., None]", globalLogBeginner.beginLoggingTo)
    begin([pass_on], redirectStandardIO=False, discardBuffer=True)
