"""One connection of the scripted provider: requests in, the bytes of their plans out, one after another."""

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from operator import length_hint
from typing import Protocol, cast

from loadtest.upstream import parse
from loadtest.upstream.answer import Piece, Plan
from loadtest.upstream.hit import Hit
from loadtest.upstream.websocket import Socket, Talk, accept

_LINGER_ZERO = struct.pack("ii", 1, 0)


class Desk(Protocol):
    """Where a connection takes its plans from and reports to."""

    def receive(self, request: parse.Request) -> tuple[Hit, Plan]: ...
    def upgrade(self, request: parse.Request) -> tuple[Hit, Talk] | None: ...
    def talking(self, socket: Socket) -> None: ...
    def opened(self, connection: "Connection") -> None: ...
    def closed(self, connection: "Connection") -> None: ...
    def ended(self, hit: Hit) -> None: ...
    def later(self, seconds: float, callback: Callable[[], None]) -> None: ...


class Connection(asyncio.Protocol):
    """Plays one plan at a time; what arrives meanwhile waits in the buffer."""

    def __init__(self, desk: Desk, loop: asyncio.AbstractEventLoop) -> None:
        self._desk = desk
        self._loop = loop
        self._buffer = bytearray()
        self._need = 0
        self._hit: Hit | None = None
        self._paused = False
        self._held = False
        self._head = b""
        self._waiter: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not an isinstance check: uvloop's transports are no subclasses.
        self._transport = cast(asyncio.Transport, transport)
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._fd: int = raw.fileno()
        self._desk.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._hit is not None:
            self._hit.peer_closed = True
            self._end()
        self._desk.closed(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._hit is None and len(self._buffer) >= self._need:
            self._take()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._held:
            self._held = False
            self._play()

    def close(self) -> None:
        self._transport.abort()

    def _take(self) -> None:
        request = parse.take(self._buffer)
        if isinstance(request, int):
            self._need = request
            return
        del self._buffer[: request.size]
        self._need = 0
        if b"\r\nupgrade: websocket" in request.head.lower() and self._upgrade(request):
            return
        self._close = request.close
        hit, plan = self._desk.receive(request)
        self._hit, self._plan = hit, plan
        self._head = b"" if plan.head is None else b"%s%s\r\n\r\n" % (plan.head, hit.request_id.encode())
        self._pieces: Iterator[Piece] = iter(plan.pieces)
        self._play()

    def _upgrade(self, request: parse.Request) -> bool:
        taken = self._desk.upgrade(request)
        if taken is None:
            return False
        hit, talk = taken
        headers = {name.lower(): value for name, value in parse.header_lines(request.head)}
        offered = headers.get("sec-websocket-protocol", "").partition(",")[0].strip()
        self._transport.write(accept(headers["sec-websocket-key"], offered))
        socket = Socket(hit, self._transport, lambda: self._leave(hit))
        self._transport.set_protocol(socket)
        self._desk.talking(socket)
        socket.begin(talk)
        socket.data_received(bytes(self._buffer))
        return True

    def _leave(self, hit: Hit) -> None:
        hit.ended = True
        self._desk.ended(hit)
        self._desk.closed(self)

    def _play(self) -> None:
        """Write what comes next. Each piece leaves in its own turn of the loop, so in its own system call."""
        if self._paused or self._hit is None:
            self._held = self._paused
            return
        piece = next(self._pieces, None)
        if isinstance(piece, bytes):
            self._write(piece)
            self._hit.chunks += bool(piece)
            # A list knows what is left of it; anything else has to be asked again.
            if length_hint(self._pieces, 1):
                self._loop.call_soon(self._play)
            else:
                self._finish()
        elif isinstance(piece, float):
            self._desk.later(piece, self._play)
        elif piece is None:
            self._finish()
        else:
            self._waiter = self._loop.create_task(self._await(piece))

    async def _await(self, event: asyncio.Event) -> None:
        await event.wait()
        self._play()

    def _write(self, data: bytes) -> None:
        data, self._head = self._head + data, b""
        if data and self._hit is not None:
            self._send(data)
            self._hit.sent += len(data)

    def _send(self, data: bytes) -> None:
        """Send at once. The loop would keep it until its turn is over, when all who have asked in it are answered."""
        sent = 0
        if not (self._transport.get_write_buffer_size() or self._transport.is_closing()):
            with suppress(OSError):  # the transport finds out why
                sent = os.write(self._fd, data)
        if sent < len(data):
            self._transport.write(data[sent:])

    def _finish(self) -> None:
        self._write(b"")
        if self._plan.then == "hang":
            return
        self._end()
        if self._plan.then == "cut" or (self._close and self._plan.then == "end"):
            self._transport.close()
        elif self._plan.then == "reset":
            raw = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
            self._transport.abort()
        elif self._buffer:
            self._take()

    def _end(self) -> None:
        hit, self._hit = self._hit, None
        if self._waiter is not None and not self._waiter.done() and self._waiter is not asyncio.current_task():
            self._waiter.cancel()
        if hit is not None:
            hit.ended = True
            self._desk.ended(hit)
