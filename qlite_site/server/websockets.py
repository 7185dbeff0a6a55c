"""WebSockets, when switched on: connections are handed to Daphne's own protocol, with our way to stop.

From the upgrade on everything is Daphne's (`WebSocketProtocol`, `Server.create_application`, the sweep that reaps what
has ended), except that the sweep survives an exception and that SIGTERM says goodbye (close code 1001).
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from daphne.utils import INVALID_HEADER_VALUE_BYTES  # type: ignore[import-untyped]
from daphne.ws_protocol import WebSocketFactory  # type: ignore[import-untyped]

from qlite_site.server import refusals
from qlite_site.server.head import Head

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
        front.connections = {}
        front.ws_factory = self._factory = WebSocketFactory(front, server="")
        self._factory.setProtocolOptions(
            autoPingTimeout=front.ping_timeout,
            allowNullOrigin=True,  # whose pages may connect is for the app to say, as with stock Daphne
            openHandshakeTimeout=front.websocket_handshake_timeout,
            maxMessagePayloadSize=front.websocket_max_message_size,
            maxFramePayloadSize=front.websocket_max_frame_size,
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
        # Daphne would let this header rewrite the script name.
        lines = [b"%b: %b\r\n" % pair for pair in head.headers if pair[0] != b"daphne-root-path"]
        request = b"%b %b HTTP/1.1\r\n%b\r\n" % (head.method.encode(), head.target, b"".join(lines))
        protocol.dataReceived(request + rest)

    def any(self) -> bool:
        return bool(self._front.connections)

    def watch(self) -> None:
        """Reap what has ended and ping the rest, from now on."""
        loop = self._front.loop
        loop.call_later(SWEEP_SECONDS, self.watch)
        for protocol, details in list(self._front.connections.items()):
            try:
                self._reap(protocol, details)
                protocol.check_timeouts()
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
        """The server is stopping: tell every client to come back elsewhere."""
        for protocol in list(self._front.connections):
            if protocol.state == protocol.STATE_OPEN:
                protocol.sendCloseFrame(code=GOING_AWAY)  # `sendClose` takes only codes for applications
            elif protocol.state == protocol.STATE_CONNECTING:
                protocol.serverReject()

    def cancel(self) -> None:
        for details in self._front.connections.values():
            if "application_instance" in details:
                details["application_instance"].cancel("server_shutting_down")
