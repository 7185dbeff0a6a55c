"""WebSockets, when switched on: connections are handed to Daphne's protocol (talk.py), with our way to stop.

The sweep that reaps what has ended is like Daphne's, but survives an exception. SIGTERM lets them go on for the time
that requests have too, then says goodbye (close code 1001).
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from daphne.utils import INVALID_HEADER_VALUE_BYTES  # type: ignore[import-untyped]
from daphne.ws_protocol import WebSocketFactory  # type: ignore[import-untyped]

from qlite_site.server import refusals
from qlite_site.server.config import Message, Scope
from qlite_site.server.head import Head
from qlite_site.server.talk import Inbox, Talk

if TYPE_CHECKING:
    from qlite_site.server.channel import Channel
    from qlite_site.server.hardened import HardenedServer

logger = logging.getLogger("qlite.server")

SWEEP_SECONDS = 1.0
GOING_AWAY = 1001


class WebSockets:
    """The connections of one server that speak WebSocket; Daphne keeps them in `server.connections`."""

    def __init__(self, front: "HardenedServer") -> None:
        self._front = front
        # The client's part of the handshake is over before we come in: how long the app may take is known by `abandon`.
        front.websocket_connect_timeout = front.config.abandon_seconds
        front.ws_factory = self._factory = WebSocketFactory(front, server="")
        self._factory.protocol = Talk
        self._factory.setProtocolOptions(
            autoPingTimeout=front.ping_timeout,
            allowNullOrigin=True,  # whose pages may connect is for the app to say, as with stock Daphne
            openHandshakeTimeout=0,
            failByDrop=False,  # so that a client reads why
            maxMessagePayloadSize=front.config.max_request_bytes,
            maxFramePayloadSize=front.config.max_request_bytes,
        )

    def take(self, channel: "Channel", head: Head, rest: bytes) -> None:
        """Go on with `channel` as a WebSocket.

        Raises Refused for a head that Autobahn would read as another (CVE-2026-44546).
        """
        if any(INVALID_HEADER_VALUE_BYTES.intersection(value) for _, value in head.headers):
            raise refusals.bad_request("A request header is malformed.")
        protocol = self._factory.buildProtocol(channel.transport.peer())
        protocol._raw_query_string = head.target.partition(b"?")[2]
        self._front.forget(channel)
        channel.transport.hand_to(protocol)
        protocol.begin(self._front)
        # Daphne would let this header rewrite the script name.
        lines = [b"%b: %b\r\n" % pair for pair in head.headers if pair[0] != b"daphne-root-path"]
        request = b"%b %b HTTP/1.1\r\n%b\r\n" % (head.method.encode(), head.target, b"".join(lines))
        protocol.dataReceived(request + rest)

    def enter(self, protocol: Talk, scope: Scope) -> Inbox:
        """Start the app on a connection whose handshake has come."""
        scope["asgi"] = {"version": "3.0", "spec_version": "2.3"}
        scope["extensions"] = {"websocket.http.response": {}, "qlite.hangup": {"watch": protocol.watch}}
        inbox = Inbox(protocol)

        async def send(message: Message) -> None:
            if "disconnected" not in self._front.connections.get(protocol, {"disconnected": True}):
                protocol.handle_reply(dict(message))
                if message["type"] == "websocket.send":
                    await protocol.room()

        task = self._front.loop.create_task(self._front.application(scope, inbox.get, send))
        self._front.connections[protocol]["application_instance"] = task
        return inbox

    def any(self) -> bool:
        return bool(self._front.connections)

    def watch(self) -> None:
        """Reap what has ended and ping the rest, from now on."""
        loop = self._front.loop
        loop.call_later(SWEEP_SECONDS, self.watch)
        for protocol, details in list(self._front.connections.items()):
            try:
                self._reap(protocol, details)
                if "disconnected" not in details:
                    protocol.look_alive()
            except Exception:
                logger.exception("the server failed on a WebSocket")
                protocol.transport.abort()

    def _reap(self, protocol: Any, details: dict[str, Any]) -> None:
        task: asyncio.Future[None] | None = details.get("application_instance")
        gone = "disconnected" in details
        if task is not None and task.done():
            del details["application_instance"]
            self._app_ended(protocol, task, gone)
        elif task is not None and gone:
            now = self._front.loop.time()
            if now - details.setdefault("gone_since", now) > self._front.config.abandon_seconds:
                task.cancel("client_disconnected")
        elif gone:
            del self._front.connections[protocol]

    def _app_ended(self, protocol: Any, task: "asyncio.Future[None]", gone: bool) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logger.error("exception inside the app: websocket %s", protocol.path.decode("ascii"), exc_info=error)
        if gone:
            return
        if error is None:
            protocol.handle_reply({"type": "websocket.close"})
        else:
            protocol.handle_exception(error)

    def leave(self) -> None:
        """The time to drain is over: tell every client to come back elsewhere."""
        for protocol in list(self._front.connections):
            if protocol.state == protocol.STATE_OPEN:
                protocol.sendCloseFrame(code=GOING_AWAY)  # `sendClose` takes only codes for applications
            elif protocol.state == protocol.STATE_CONNECTING:
                protocol.serverReject()

    def cancel(self) -> None:
        for details in self._front.connections.values():
            if "application_instance" in details:
                details["application_instance"].cancel("server_shutting_down")
