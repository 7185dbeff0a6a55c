"""One WebSocket connection: Daphne's protocol, with patience in both directions and answers that it has no word for.

Changed from Daphne's: a client is not read from while the app lags behind, the app waits while its client does not
read, a refusal may be a whole HTTP answer (ASGI's `websocket.http.response`), headers of an accept and the reason of a
close are sent, and an empty message is one. Relies on `WebSocketProtocol.handshake_deferred`.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from daphne.ws_protocol import WebSocketProtocol  # type: ignore[import-untyped]

from qlite_site.server import response

if TYPE_CHECKING:
    from qlite_site.server.hardened import HardenedServer

# What may wait for the app before its client is no longer read from.
WAITING_BYTES = 256 * 1024


class Inbox:
    """The messages that the app has not taken yet. Put in by Daphne, taken out by the app's `receive`."""

    def __init__(self, talk: "Talk") -> None:
        self._talk = talk
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._waiting = 0

    def put_nowait(self, message: dict[str, Any]) -> None:
        self._messages.put_nowait(message)
        self._waiting += _size(message)
        if self._waiting > WAITING_BYTES:
            self._talk.transport.stopReading()

    async def get(self) -> dict[str, Any]:
        message = await self._messages.get()
        held_up = self._waiting > WAITING_BYTES
        self._waiting -= _size(message)
        if held_up and self._waiting <= WAITING_BYTES:
            self._talk.read_on()
        return message


class Talk(WebSocketProtocol):  # type: ignore[misc]
    """One client. To the transport it is a push producer: `pauseProducing` and `resumeProducing`."""

    full = False  # the client has more waiting than we like to hold

    def begin(self, front: "HardenedServer") -> None:
        """Take over a connection: from now on the transport tells how much waits in it."""
        self._front = front
        self._room: list[asyncio.Future[None]] = []
        self._refusal: tuple[int, list[tuple[bytes, bytes]]] | None = None
        self._hung_up: Callable[[int], object] | None = None
        self.transport.produce_for(self)

    # From the app

    def watch(self, hung_up: Callable[[int], object]) -> None:
        """Call `hung_up` with the code as soon as the client leaves, whatever of its the app has not taken yet."""
        self._hung_up = hung_up

    def handle_reply(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "websocket.send" and self.state != self.STATE_CONNECTING:
            text = message.get("text")
            if self.state == self.STATE_OPEN:
                self.sendMessage(message.get("bytes") or b"" if text is None else text.encode(), isBinary=text is None)
        elif kind == "websocket.accept":
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message.get("headers", ())}
            self.serverAccept((message.get("subprotocol"), headers))
        elif kind == "websocket.close" and self.state != self.STATE_CONNECTING:
            # `sendClose` takes only codes for applications.
            self.sendCloseFrame(
                code=message.get("code") or 1000, reasonUtf8=(message.get("reason") or "").encode()[:123]
            )
        elif kind == "websocket.http.response.start":
            self._refusal = (message["status"], list(message.get("headers", ())))
        elif kind == "websocket.http.response.body":
            self._refuse(message.get("body", b""))
        else:
            super().handle_reply(message)

    async def room(self) -> None:
        """Wait until the client has taken what waits for it, or has left."""
        while self.full:
            room = self._front.loop.create_future()
            self._room.append(room)
            await room

    def _refuse(self, body: bytes) -> None:
        if self._refusal is None or self.state != self.STATE_CONNECTING:
            raise RuntimeError("a refusal begins with its status, and comes before the accept")
        status, headers = self._refusal
        self.sendData(response.whole(status, headers, body, date=self._front.date, to_head=False))
        del self.handshake_deferred
        self.wasNotCleanReason = "refused by the app"
        self._front.protocol_disconnected(self)
        self.dropConnection(abort=False)

    # From the transport

    def pauseProducing(self) -> None:
        self.full = True

    def resumeProducing(self) -> None:
        self.full = False
        self._let_in()
        if self.transport.disconnecting:
            self.transport.unregisterProducer()  # else Twisted waits for it for ever

    def stopProducing(self) -> None:
        pass  # onClose follows

    def look_alive(self) -> None:
        """Ping, and hang up on who has left. Asked once a second.

        A client that is not read from cannot tell us that it lives: its pong waits too, so none is demanded. But
        whoever writes to a closed socket is told so.
        """
        if self.transport.reading:
            self.check_timeouts()
        elif self.transport.left_by_peer():
            self.transport.drop()
        else:
            self.sendPing()

    def read_on(self) -> None:
        """Read from the client again."""
        if self.state in {self.STATE_OPEN, self.STATE_CLOSING}:
            self.transport.startReading()

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        self.full = False
        self._let_in()
        if self._hung_up is not None:
            self._front.loop.call_soon(self._hung_up, code)
        if self in self._front.connections:
            super().onClose(wasClean, code, reason)

    def _let_in(self) -> None:
        for room in self._room:
            if not room.done():
                room.set_result(None)
        self._room.clear()


def _size(message: dict[str, Any]) -> int:
    return len(message.get("text") or message.get("bytes") or b"")
