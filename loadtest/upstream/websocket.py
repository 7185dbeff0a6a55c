"""A WebSocket of the scripted provider (RFC 6455), written by hand so that a test sees every frame."""

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, urlsplit

from loadtest.upstream.hit import Hit

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

Message = str | bytes
Talk = Callable[["Socket"], Awaitable[None]]


def accept(key: str, protocol: str) -> bytes:
    """The answer to a good handshake."""
    proof = base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    lines.append(f"Sec-WebSocket-Accept: {proof}")
    if protocol:
        lines.append(f"Sec-WebSocket-Protocol: {protocol}")
    return "\r\n".join([*lines, "", ""]).encode()


def frame(kind: int, data: bytes, *, last: bool = True) -> bytes:
    size = len(data)
    if size < 126:
        length = bytes([size])
    else:
        length = b"\x7e" + size.to_bytes(2, "big") if size < 2**16 else b"\x7f" + size.to_bytes(8, "big")
    return bytes([kind | (0x80 if last else 0)]) + length + data


def model_of(path: str) -> str:
    """The model that a handshake's URL names."""
    named = parse_qs(urlsplit(path).query)
    return (named.get("model") or named.get("deployment") or [""])[0]


class Socket(asyncio.Protocol):
    """One session. `heard` is every message so far, `closed` the code that the other side closed with, if it did."""

    def __init__(self, hit: Hit, transport: asyncio.Transport, over: Callable[[], None]) -> None:
        self.hit = hit
        self.heard: list[Message] = []
        self.closed: int | None = None
        self.gone = asyncio.Event()
        self._transport, self._over = transport, over
        self._buffer = bytearray()
        self._parts: list[bytes] = []
        self._kind = TEXT
        self._waiting: asyncio.Queue[Message | None] = asyncio.Queue()
        self._writable = asyncio.Event()
        self._writable.set()

    def begin(self, talk: Talk) -> None:
        self._task = asyncio.get_running_loop().create_task(self._play(talk))

    async def _play(self, talk: Talk) -> None:
        await talk(self)
        if not self.gone.is_set():
            await self.close(1000)

    async def receive(self) -> Message | None:
        """The next message, None once there are no more."""
        return await self._waiting.get()

    async def send(self, message: Message, *, pieces: int = 1) -> None:
        """Send a message, in so many frames."""
        kind, data = (TEXT, message.encode()) if isinstance(message, str) else (BINARY, message)
        step = -(-len(data) // pieces) or 1
        parts = [data[at : at + step] for at in range(0, len(data), step)] or [b""]
        for number, part in enumerate(parts):
            await self._writable.wait()
            self._transport.write(frame(kind if not number else CONTINUED, part, last=number == len(parts) - 1))
            self.hit.sent += len(part)
        self.hit.chunks += 1

    async def close(self, code: int, reason: str = "") -> None:
        self._transport.write(frame(CLOSE, code.to_bytes(2, "big") + reason.encode()))

    def ping(self) -> None:
        self._transport.write(frame(PING, b"?"))

    def break_off(self) -> None:
        """End the connection without a word."""
        self._transport.abort()

    def end(self) -> None:
        """End everything, as the provider stops."""
        self._transport.abort()
        self._task.cancel()

    def stop_reading(self) -> None:
        self._transport.pause_reading()

    # asyncio's side

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (size := _whole(self._buffer)) is not None:
            self._take(bytes(self._buffer[:size]))
            del self._buffer[:size]

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.hit.peer_closed = self.closed is None
        self._writable.set()
        self.gone.set()
        self._waiting.put_nowait(None)
        self._over()

    def _take(self, whole: bytes) -> None:
        kind, data = whole[0] & 15, _unmasked(whole)
        if kind == CLOSE:
            self.closed = int.from_bytes(data[:2], "big") if data else 1005
            self._transport.write(frame(CLOSE, data[:2]))
            self._transport.close()
        elif kind == PING:
            self._transport.write(frame(PONG, data))
        elif kind != PONG:
            self._parts.append(data)
            self._kind = kind or self._kind
            if whole[0] & 0x80:
                joined, self._parts = b"".join(self._parts), []
                message: Message = joined.decode() if self._kind == TEXT else joined
                self.heard.append(message)
                self._waiting.put_nowait(message)


def _head(data: bytes | bytearray) -> tuple[int, int]:
    """Where the mask begins, and how long the data is."""
    length = data[1] & 127
    if length < 126:
        return 2, length
    wide = 2 if length == 126 else 8
    return 2 + wide, int.from_bytes(data[2 : 2 + wide], "big")


def _whole(data: bytearray) -> int | None:
    """The size of the first frame, None if it is not all there. Clients mask what they send."""
    if len(data) < 14 and (len(data) < 2 or len(data) < _head(data)[0]):
        return None
    start, length = _head(data)
    return start + 4 + length if len(data) >= start + 4 + length else None


def _unmasked(whole: bytes) -> bytes:
    start, length = _head(whole)
    mask = whole[start : start + 4] * (length // 4 + 1)
    data = whole[start + 4 :]
    return (int.from_bytes(data, "big") ^ int.from_bytes(mask[:length], "big")).to_bytes(length, "big")
