"""One connection of the load client: a request out, its whole answer back, with the times that matter."""

import asyncio
import socket
import time
from dataclasses import dataclass
from typing import Self, cast

from loadtest.client.pulse import Pulse


@dataclass(frozen=True, slots=True)
class Answered:
    """A whole answer. `seconds` until its last byte, `first_byte` until the first byte of its body."""

    status: int
    seconds: float
    first_byte: float
    head: bytes
    body: bytes


class Broken(Exception):
    """The connection ended before the answer did; `body` holds what had come of it, chunk framing included."""

    def __init__(self, body: bytes) -> None:
        super().__init__("the connection ended before the answer did")
        self.body = body


class Caller(asyncio.Protocol):
    """Asks one request at a time over one kept connection; `await caller.ask(bytes)` raises Broken when it ends."""

    def __init__(self, port: int, pulse: Pulse) -> None:
        self._port = port
        self._pulse = pulse
        self._buffer = bytearray()
        self._waiting: asyncio.Future[Answered] | None = None
        self.connected = False

    @classmethod
    async def connect(cls, port: int, pulse: Pulse | None = None) -> Self:
        """Connect to a port of loopback; raises OSError."""
        watch = pulse or Pulse()
        _, caller = await asyncio.get_running_loop().create_connection(lambda: cls(port, watch), "127.0.0.1", port)
        return caller

    async def again(self) -> Self:
        """A new connection to the same place; raises OSError."""
        self.close()
        return await self.connect(self._port, self._pulse)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connected = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.connected = False
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(Broken(bytes(self._buffer[self._body_at :])))

    def ask(self, request: bytes) -> asyncio.Future[Answered]:
        """Write the request now and return the future of its answer."""
        self._buffer.clear()
        self._body_at = self._length = 0
        self._first = 0.0
        self._waiting = asyncio.get_running_loop().create_future()
        if self.connected:
            self._sent_at = time.perf_counter()
            self._transport.write(request)
        else:
            self._waiting.set_exception(Broken(b""))
        return self._waiting

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._pulse.beat(now)
        self._buffer += data
        if not self._body_at and not self._read_head():
            return
        if not self._first and len(self._buffer) > self._body_at:
            self._first = now
        body = self._whole_body()
        if body is not None and self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(self._answered(now, body))

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        self._body_at = end + 4
        lower = bytes(self._buffer[:end]).lower()
        at = lower.find(b"\r\ncontent-length:")
        # -1: a chunked body, which is over when its last chunk has come.
        self._length = -1 if at < 0 else int(lower[at + 17 :].split(b"\r\n", 1)[0])
        return True

    def _whole_body(self) -> bytes | None:
        if self._length >= 0:
            stop = self._body_at + self._length
            return bytes(self._buffer[self._body_at : stop]) if len(self._buffer) >= stop else None
        if not self._buffer.endswith(b"0\r\n\r\n"):
            return None
        return unchunk(bytes(self._buffer[self._body_at :]))

    def _answered(self, now: float, body: bytes) -> Answered:
        first = self._first or now
        head = bytes(self._buffer[: self._body_at - 4])
        return Answered(int(head[9:12]), now - self._sent_at, first - self._sent_at, head, body)


def unchunk(data: bytes) -> bytes | None:
    """The body inside a chunked one (RFC 9112, 7.1), or None when its last chunk has not come yet."""
    parts: list[bytes] = []
    at = 0
    while True:
        line = data.find(b"\r\n", at)
        if line < 0:
            return None
        size = int(data[at:line], 16)
        if size == 0:
            return b"".join(parts)
        at = line + 2 + size + 2
        if at > len(data):
            return None
        parts.append(data[line + 2 : at - 2])
