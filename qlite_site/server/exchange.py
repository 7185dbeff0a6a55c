"""One request and its answer, as the app sees them: ASGI's `receive` and `send`, without a queue or a second task."""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from qlite_site.server import refusals, response
from qlite_site.server.config import Message, Scope
from qlite_site.server.head import Head, path_text
from qlite_site.server.status import state

if TYPE_CHECKING:
    from qlite_site.server.channel import Channel

logger = logging.getLogger("qlite.server")

# Up to here a body is joined to its head or chunk frame (one write); above, copying costs more than a second write.
_JOINED_BYTES = 64 * 1024
# While we do not read from a client (it has ended its side, or sent too far ahead) no event tells that it has gone.
# After this time, and then ever less often, it gets an interim response, which a client can read (RFC 9110 section
# 15.2) and a closed socket resets.
PROBE_SECONDS = 0.15
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# After so many parts of an answer the others get their turn, however fast the reader and however busy the app.
PARTS_IN_A_ROW = 64
_WITHOUT_BODY = frozenset({204, 304})


class Exchange:
    """A request in the hands of the app. It is over when the app has finished, whatever became of the client."""

    __slots__ = (
        "_body",
        "_channel",
        "_chunked",
        "_empty",
        "_framed",
        "_gone",
        "_head",
        "_hung_up",
        "_left",
        "_lines",
        "_over",
        "_parts",
        "_probe_at",
        "_probe_wait",
        "_waiting",
        "task",
    )

    def __init__(self, channel: "Channel", head: Head, body: bytes, now: float) -> None:
        self.task: asyncio.Task[None] | None = None
        self._channel = channel
        self._head = head
        self._body: bytes | None = body
        self._lines: bytes | None = None  # the head of the answer, until the first bytes leave
        self._framed = False  # an answer was begun
        self._over = False  # it was sent in full
        self._gone = False  # the client has left
        self._empty = False  # HEAD, 204 and 304 have no body, whatever the app says
        self._chunked = False
        self._left: int | None = None  # bytes the content length still allows
        self._parts = 0
        self._probe_wait = PROBE_SECONDS if head.version == "1.1" else float("inf")
        self._probe_at = now + self._probe_wait
        self._waiting: list[asyncio.Future[None]] = []
        self._hung_up: Callable[[], object] | None = None

    @property
    def begun(self) -> bool:
        """Some of the answer has been sent."""
        return self._framed and self._lines is None

    def scope(self, root_path: str, client: tuple[str, int], server: tuple[str, int]) -> Scope:
        """Return what the app is told of the request. Nothing a client sends can change root_path or client."""
        head = self._head
        raw_path, _, query = head.target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": head.version,
            "method": head.method,
            "scheme": "http",
            "path": path_text(raw_path),
            "raw_path": raw_path,
            "query_string": query,
            "root_path": root_path,
            "headers": head.headers,
            "client": client,
            "server": server,
            "extensions": {"qlite.hangup": {"watch": self.watch}},
        }

    def watch(self, hung_up: Callable[[], object]) -> None:
        """Call `hung_up` when the client leaves before its whole answer was sent; saves a task awaiting `receive`.

        Never before the app's first step is over: an app that has not begun its work has nothing yet to stop.
        """
        if self._gone:
            self._channel.front.loop.call_soon(hung_up)
        else:
            self._hung_up = hung_up

    async def receive(self) -> Message:
        body = self._body
        if body is not None:
            self._body = None
            return {"type": "http.request", "body": body, "more_body": False}
        if not (self._gone or self._over):
            left = asyncio.get_running_loop().create_future()
            self._waiting.append(left)
            await left
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send a part of the answer, and wait while the client has too much of it waiting already.

        After the client has left nothing is sent and nothing raised, as with stock Daphne.
        """
        kind = message["type"]
        if kind == "http.response.body":
            if not self._framed:
                raise RuntimeError("the body of a response was sent before its start")
            more = message.get("more_body", False)
            if self._gone:
                await asyncio.sleep(0)
                return
            channel = self._channel
            self._write(message.get("body", b""), more)
            self._parts += 1
            if more and channel.full:
                await channel.room()
            elif more and not self._parts % PARTS_IN_A_ROW:
                await asyncio.sleep(0)
        elif kind == "http.response.start":
            if self._framed:
                raise RuntimeError("the response was started twice")
            self._begin(message)
        else:
            raise ValueError(f"{kind!r} is not a message of an HTTP response")

    # The answer on the wire

    def _begin(self, message: Message) -> None:
        channel, request, status = self._channel, self._head, message["status"]
        lines, length, close = response.head(status, message.get("headers", ()), channel.front.date)
        self._framed = True
        if request.method == "HEAD" or status in _WITHOUT_BODY:
            self._empty = True
        elif length is not None:
            self._left = length
        elif request.version == "1.1":
            self._chunked = True
            lines += b"\r\ntransfer-encoding: chunked"
        else:
            close = True  # HTTP/1.0 knows the end of such a body by the end of the connection
        if close or not request.keep_alive or state.draining:
            request.keep_alive = False
            lines += b"\r\nconnection: close"
        self._lines = lines + b"\r\n\r\n"

    def _write(self, data: bytes, more: bool) -> None:
        if self._over:
            raise RuntimeError("the response was already complete")
        if type(data) is not bytes:
            data = bytes(memoryview(data))
        parts = self._frame(data, more)
        if self._lines is not None:
            parts.insert(0, self._lines)
            self._lines = None
        last = not more
        if len(data) <= _JOINED_BYTES:
            if parts:
                self._channel.transport.push(b"".join(parts), last=last)
        else:
            for part in parts:
                self._channel.transport.push(part, last=last)
        if last and not self._gone:
            self._finish()

    def _frame(self, data: bytes, more: bool) -> list[bytes]:
        """Return what `data` looks like on the wire."""
        if self._chunked:
            size = [b"%x\r\n" % len(data), data, b"\r\n"] if data else []
            if not more:
                size.append(response.LAST_CHUNK)
            return size
        if self._empty:
            return []
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("the response is not as long as its content-length")
        return [data] if data else []

    def _finish(self) -> None:
        self._over = True
        self._wake()
        self._channel.answered(self._head.keep_alive)

    # How it ends

    def look_alive(self, now: float) -> None:
        """Hang up if the client is gone and nothing has said so. Asked several times a second."""
        transport = self._channel.transport
        if self._gone or self._over:
            return
        if transport.reset_by_peer():
            transport.drop()
        elif not transport.reading and not self.begun and now >= self._probe_at:
            self._probe_wait *= 4
            self._probe_at = now + self._probe_wait
            transport.push(CONTINUE, last=True)

    def hang_up(self) -> bool:
        """The client has left. Return whether the app is still at work."""
        if not self._over:
            self._gone = True
            self._wake()
            if self._hung_up is not None:
                self._channel.front.loop.call_soon(self._hung_up)
        return self.task is not None

    def finished(self, task: "asyncio.Task[None]") -> None:
        """The app has finished: release everything at once, and answer for it where it did not."""
        front = self._channel.front
        front.leave(self)
        self.task = self._hung_up = None
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logger.error("exception inside the app: %s %s", *self._named(), exc_info=error)
        if self._over or self._gone:
            return
        if error is None and not task.cancelled():
            logger.error("the app returned without a whole answer: %s %s", *self._named())
        if self.begun:
            self._channel.transport.abort()
        else:
            cancelled_by_us = task.cancelled() and state.draining
            self._over = True
            self._channel.refuse(refusals.shutting_down() if cancelled_by_us else refusals.internal_error(), self._head)

    def _named(self) -> tuple[str, str]:
        """Return method and path for a log line, without the query, which may hold a key."""
        return self._head.method, self._head.target.partition(b"?")[0].decode("ascii")

    def _wake(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()
