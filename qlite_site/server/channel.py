"""One client connection: reads requests one after another, hands each to the app, and lets the next one wait for it.

Takes the place of Twisted's HTTPChannel and Daphne's WebRequest, which parse line by line, buffer a body of any size
before anybody asked for the key, and spread one request over several queues, tasks and timers.
"""

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Any

from qlite_site.server import refusals, response
from qlite_site.server.body import ChunkedBody, CountedBody
from qlite_site.server.config import Answer
from qlite_site.server.exchange import CONTINUE, Exchange
from qlite_site.server.head import MAX_HEAD_BYTES, Head, parse
from qlite_site.server.refusals import Refused
from qlite_site.server.status import state
from qlite_site.server.transport import Connection

if TYPE_CHECKING:
    from qlite_site.server.hardened import HardenedServer

logger = logging.getLogger("qlite.server")

_EMPTY_LINES = re.compile(rb"(?:\r\n)++")

# A body up to this size is read without asking first: reading it costs less than asking.
EARLY_BYTES = 64 * 1024
# How much a client may send ahead of the answers it waits for before we stop reading.
AHEAD_BYTES = 64 * 1024
# A client that ends its side right behind its request still wants the answer (`nc -N`); one that ends it later, or when
# it has seen some of the answer, has hung up. Nothing on the wire tells the two apart, so time does, and for those who
# wait longer a probe (exchange.py).
HALF_CLOSE_SECONDS = 0.05


class Channel:
    """A connection is waiting for a head, reading a body, answering, or closing.

    To Twisted it is a protocol and a push producer (IProtocol, IPushProducer).
    """

    __slots__ = (
        "_ahead",
        "_asked_at",
        "_body",
        "_client",
        "_closing",
        "_head",
        "_room",
        "_server",
        "_unread",
        "exchange",
        "front",
        "full",
        "half_closed",
        "transport",
    )
    transport: Connection

    def __init__(self, front: "HardenedServer") -> None:
        self.front = front
        self.full = False  # the client has more of the answer waiting than we like to hold
        self.half_closed = False
        self.exchange: Exchange | None = None
        self._unread = b""  # the beginning of a head
        self._ahead = b""  # what came while we were not ready to look at it
        self._head: Head | None = None  # the request whose body is being read
        self._body: CountedBody | ChunkedBody | None = None
        self._closing = False
        self._asked_at = 0.0
        self._room: list[asyncio.Future[None]] = []

    # Twisted's events

    def makeConnection(self, transport: Connection) -> None:
        front = self.front
        self.transport = transport
        self._client, self._server = transport.addresses()
        transport.produce_for(self)
        front.channels.add(self)
        front.idle.start(self, front.loop.time())
        limit = front.config.max_connections
        if limit and len(front.channels) + len(front.connections) > limit:
            self.refuse(refusals.overloaded())

    def dataReceived(self, data: bytes) -> None:
        if self._closing:
            return
        if self.exchange is not None or self.full or self._ahead:
            self._ahead += data
            if len(self._ahead) > AHEAD_BYTES:
                self.transport.stopReading()
            return
        try:
            if self._body is not None:
                self._read_body(data)
            else:
                self._read_head(self._unread + data if self._unread else data)
        except Refused as refused:
            self.refuse(refused, self._head)
        except Exception:
            logger.exception("the server failed on a request")
            self.refuse(refusals.internal_error(), self._head)

    def ended(self) -> None:
        """The client has closed its side: right behind a request it may still wait, else it has hung up."""
        if self.exchange is None and not self._ahead:
            self.close()
        elif self.exchange is None or (self._asked_just_now() and not self.exchange.begun):
            self.half_closed = True
            self.transport.stopReading()
        else:
            self.transport.drop()

    def _asked_just_now(self) -> bool:
        return self.front.loop.time() - self._asked_at <= HALF_CLOSE_SECONDS

    def connectionLost(self, reason: Any = None) -> None:
        front = self.front
        front.forget(self)
        self._body = None
        self._unread = self._ahead = b""
        self.full = False
        self._let_in()
        exchange, self.exchange = self.exchange, None
        if exchange is not None and exchange.hang_up():
            front.abandoned.start(exchange, front.loop.time())

    def pauseProducing(self) -> None:
        self.full = True

    def resumeProducing(self) -> None:
        self.full = False
        self._let_in()
        self._next()

    def stopProducing(self) -> None:
        pass  # connectionLost follows

    # Reading a request

    @property
    def asking(self) -> bool:
        """What the client sends next may begin a request."""
        return self.exchange is None

    @property
    def receiving(self) -> bool:
        """A request has begun to arrive, or waits for its client to read the answers before it."""
        begun = self._body is not None or bool(self._unread) or bool(self._ahead)
        return begun and self.exchange is None and not self._closing

    def _read_head(self, data: bytes) -> None:
        if data.startswith(b"\r\n"):  # RFC 9112 section 2.2: some clients send an empty line after a body
            data = _EMPTY_LINES.sub(b"", data, 1)
        end = data.find(b"\r\n\r\n")
        if end < 0 or end > MAX_HEAD_BYTES:
            self._wait_for_head(data)
            return
        if self._unread:
            self._unread = b""
            self.front.heads.stop(self)
        head = parse(data[: end + 2])
        rest = data[end + 4 :]
        if head.websocket:
            self._head = head
            self.front.upgrade(self, head, rest)
            return
        if head.length == 0:
            self._ahead = rest
            self._ask(head, b"")
        elif head.length is not None and head.length <= len(rest) and head.length <= self.front.small_body:
            self._ahead = rest[head.length :]
            self._ask(head, rest[: head.length])
        else:
            self._begin_body(head, rest)

    def _wait_for_head(self, data: bytes) -> None:
        if len(data) > MAX_HEAD_BYTES:
            raise refusals.headers_too_large(MAX_HEAD_BYTES)
        if data and not (data[:1].isalpha() or data == b"\r"):
            raise refusals.bad_request("This is not HTTP.")
        if data.count(b"\n") != data.count(b"\r\n"):
            raise refusals.bad_request("Lines must end in CR LF.")
        if not data:
            self.front.heads.stop(self)
        elif not self._unread:
            self.front.heads.start(self, self.front.loop.time())
        self._unread = data

    def _begin_body(self, head: Head, rest: bytes) -> None:
        """Decide whether to read the body at all, before any of it is kept."""
        front = self.front
        self._head = head
        limit = front.config.max_request_bytes
        if head.length is not None and head.length > limit:
            raise refusals.request_too_large(limit)
        if head.length is None or head.length > EARLY_BYTES or head.expects_continue:
            answer = front.config.early(head.method, head.target, head.headers, self._client[0])
            if answer is not None:
                self._answer_and_close(answer, head)
                return
        if head.expects_continue and not rest:
            self.transport.push(CONTINUE, last=True)
        self._body = ChunkedBody(limit) if head.length is None else CountedBody(head.length)
        front.bodies.start(self, front.loop.time())
        if rest:
            self._read_body(rest)

    def _read_body(self, data: bytes) -> None:
        body, head = self._body, self._head
        assert body is not None and head is not None  # noqa: S101  for the type checker
        rest = body.feed(data)
        if rest is not None:
            self.front.bodies.stop(self)
            self._body = self._head = None
            self._ahead = rest
            self._ask(head, body.content())

    # Answering it

    def _ask(self, head: Head, body: bytes) -> None:
        front = self.front
        self._asked_at = now = front.loop.time()
        front.turn.enter()
        exchange = Exchange(self, head, body, now)
        self.exchange = exchange
        front.enter(exchange, exchange.scope(front.config.root_path, self._client, self._server))

    async def room(self) -> None:
        """Wait until the client has taken what waits for it, or has left."""
        room = self.front.loop.create_future()
        self._room.append(room)
        await room

    def _let_in(self) -> None:
        for room in self._room:
            if not room.done():
                room.set_result(None)
        self._room.clear()

    def answered(self, keep_alive: bool) -> None:
        """The answer was sent in full, or waits in the transport: go on to the next request."""
        self.exchange = None
        if not keep_alive or state.draining or (self.half_closed and not self._ahead):
            self.close()
        elif self._ahead:
            self.front.loop.call_soon(self._next)
        else:
            self.front.idle.start(self, self.front.loop.time())

    def _next(self) -> None:
        """Read on in what the client has sent ahead, unless it leaves our answers unread."""
        if self.exchange is not None or self.full or not self._ahead:
            return
        data, self._ahead = self._ahead, b""
        if not self.half_closed:
            self.transport.startReading()
        self.dataReceived(data)
        if self.half_closed and self.exchange is None and not self._closing:
            self.close()

    # Refusing and closing

    def refuse(self, refused: Refused, head: Head | None = None) -> None:
        """Answer in the app's place and close."""
        path, given = (head.target.partition(b"?")[0], head.headers) if head is not None else (b"", [])
        self._answer_and_close(refused.answer(self.front.config, path, given), head)

    def _answer_and_close(self, answer: Answer, head: Head | None) -> None:
        """Send `answer`, then read and drop what the client still sends: a plain close would reset it unread."""
        status, headers, body = answer
        to_head = head is not None and head.method == "HEAD"
        self.exchange = self._body = self._head = None
        self._unread = self._ahead = b""
        self._closing = True
        self.transport.push(response.whole(status, headers, body, date=self.front.date, to_head=to_head), last=True)
        self.transport.finish_writing()
        for deadlines in (self.front.heads, self.front.bodies):
            deadlines.stop(self)
        self.front.lingers.start(self, self.front.loop.time())

    def close(self) -> None:
        """Close once everything was sent."""
        self._unread = self._ahead = b""
        self._closing = True
        self.transport.finish()

    def too_slow(self) -> None:
        """A head or a body has not arrived in time, or a refused client not read its answer."""
        if self.exchange is None:
            self.close()

    def idle_too_long(self) -> None:
        """No request has come since the last one."""
        if self.exchange is None and not self.receiving and not self._closing:
            self.close()

    def leave(self) -> None:
        """The server is stopping: close if nothing is under way. A request that has just arrived is still read."""
        if self.exchange is None and not self._closing:
            self.transport.read_now()
            self.idle_too_long()
