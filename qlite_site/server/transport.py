"""The socket side of a connection: Twisted's, but written to at once and read without detours.

Twisted sends what it is given on the next turn of the loop, at the price of two `epoll_ctl` and a poll. Here the first
write of a turn goes to the socket directly; what follows in the same turn is sent together at its end. Only what the
kernel does not take goes into Twisted's own buffer, with its own rules for pausing, flushing and closing.

Relies on these internals of Twisted (pinned): `Port.transport` and `_fromListeningDescriptor`;
`FileDescriptor.doWrite` and `writeSomeData`, `_tempDataLen`, `_aborting`; `connectionLost` being harmless when called
twice.
"""
# mypy: disable-error-code="no-untyped-call"

import array
import fcntl
import logging
import socket
import sys
import termios
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet import error, main, tcp
from twisted.python.failure import Failure

from qlite_site.server.status import state

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

logger = logging.getLogger("qlite.server")

READ_BYTES = 64 * 1024
# Above this many bytes waiting for the client, the app waits too. Twisted's own name for it is `bufferSize`.
HIGH_WATER_BYTES = 64 * 1024
# How much unsent data the kernel may hold for a reader that has stopped; without it, up to 4 MB each.
KERNEL_UNSENT_BYTES = 128 * 1024
# So many requests are begun in one turn of the loop, or one for so many under way, if that is more. What arrived beyond
# that is read in the next turn, in its order: a burst then holds up neither the answers of others, nor those that its
# first calls of providers bring, until its end.
BEGUN_A_TURN = 4
UNDER_WAY_FOR_ONE = 8
_TCP_CLOSE, _TCP_CLOSE_WAIT = 7, 8  # linux/tcp.h, the first byte of tcp_info


class Turn:
    """One turn of the event loop: tells first writes from later ones, and sends the later ones at the end."""

    def __init__(self, loop: "AbstractEventLoop") -> None:
        self._loop = loop
        self._ending = False
        self._held: list[Connection] = []
        self._begun = 0
        self._put_off: list[Connection] = []
        self.number = 0

    @property
    def crowded(self) -> bool:
        """Enough requests were begun in this turn."""
        return self._begun >= BEGUN_A_TURN and self._begun * UNDER_WAY_FOR_ONE >= state.in_flight

    def enter(self) -> None:
        """Note that a request is begun in this turn."""
        if not self._begun:
            self._loop.call_soon(self._count_anew)
        self._begun += 1

    def put_off(self, connection: "Connection") -> None:
        """Read from `connection` in the next turn, since this one is crowded."""
        self._put_off.append(connection)

    def _count_anew(self) -> None:
        self._begun = 0
        put_off, self._put_off = self._put_off, []
        for connection in put_off:
            connection.read_at_last()

    def begin(self) -> None:
        """Note that something was sent in this turn."""
        if not self._ending:
            self._ending = True
            self._loop.call_soon(self._end)

    def hold(self, connection: "Connection") -> None:
        """Flush `connection` at the end of this turn, which has begun."""
        self._held.append(connection)

    def _end(self) -> None:
        self._ending = False
        self.number += 1
        held, self._held = self._held, []
        for connection in held:
            connection.flush()


class Connection(tcp.Server):
    """One accepted connection. `push` is our way to write."""

    SEND_LIMIT = 256 * 1024
    bufferSize = HIGH_WATER_BYTES

    def __init__(self, sock: socket.socket, protocol: Any, client: Any, server: Any, sessionno: int, reactor: Any):
        self._front = server.factory.server
        self._loop: AbstractEventLoop = self._front.loop
        self._turn: Turn = self._front.turn
        self._last_turn = -1
        self._held: list[bytes] = []
        self._held_bytes = 0
        self.reading = self._writing = self._put_off = False
        self._sent = self._taken = 0
        super().__init__(sock, protocol, client, server, sessionno, reactor)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sys.platform == "linux":
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, KERNEL_UNSENT_BYTES)

    def addresses(self) -> tuple[tuple[str, int], tuple[str, int]]:
        """Return host and port of the client's end and of ours, as the socket knows them."""
        peer, host = self.getPeer(), self.getHost()
        return (peer.host, peer.port), (host.host, host.port)

    def produce_for(self, producer: Any) -> None:
        """Call `pauseProducing` and `resumeProducing` of `producer` as our buffer fills and empties."""
        self.registerProducer(producer, True)

    def peer(self) -> Any:
        """Return the client's address as Twisted says it."""
        return self.getPeer()

    def hand_to(self, protocol: Any) -> None:
        """Let another protocol go on with this connection."""
        self.unregisterProducer()
        self.protocol = protocol
        protocol.makeConnection(self)

    # Writing

    def push(self, data: bytes, *, last: bool) -> None:
        """Send `data` now, or at the end of this turn if something was sent in it already and this is not the last."""
        if self._writing:
            self.write(data)
        elif self._held:
            self._hold(data)
            if last or self._held_bytes > HIGH_WATER_BYTES:
                self.flush()
        elif last or self._last_turn != self._turn.number:
            if not last:
                self._last_turn = self._turn.number
                self._turn.begin()
            self._send(data)
        else:
            self._hold(data)
            self._turn.hold(self)

    def _hold(self, data: bytes) -> None:
        self._held.append(data)
        self._held_bytes += len(data)

    def flush(self) -> None:
        """Send what was held back in this turn."""
        if self._held:
            data = b"".join(self._held)
            self._held = []
            self._held_bytes = 0
            self._send(data)

    def _send(self, data: bytes) -> None:
        if not self.connected or self._aborting:
            return
        if self._writing:
            self.write(data)
            return
        try:
            sent = self.socket.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.drop()  # at once: an app that sends without a pause must hear of it before its next part
            return
        self._sent += sent
        if sent < len(data):
            self.write(data[sent:])

    def writeSomeData(self, data: bytes) -> int | error.ConnectionLost:
        sent = super().writeSomeData(data)
        if isinstance(sent, int) and sent:
            self._sent += sent
            self._watch_reader()
        return sent

    # Closing

    def finish(self) -> None:
        """Close once everything was sent."""
        self.flush()
        self.unregisterProducer()  # else Twisted waits for it for ever
        self.loseConnection()

    def finish_writing(self) -> None:
        """Tell the client that nothing more will come, once everything was sent, and go on reading."""
        self.flush()
        self.unregisterProducer()
        self.loseWriteConnection()
        self.startReading()

    def drop(self) -> None:
        """Close now, whatever still waits to be sent: the client has left."""
        self.connectionLost(Failure(main.CONNECTION_DONE))

    def abort(self) -> None:
        """Reset the connection, so that the client cannot take what it got for the whole."""
        self.abortConnection()

    def reset_by_peer(self) -> bool:
        """Return whether the kernel has given the connection up.

        No event tells so while we do not read (a client that sent too far ahead, or closed its side), nor when a reset
        comes together with data: libuv stops polling at the error, and the one read it grants gets the data.
        """
        return self._state() == _TCP_CLOSE

    def left_by_peer(self) -> bool:
        """Return whether the client has given the connection up, or its side of it."""
        return self._state() in {_TCP_CLOSE, _TCP_CLOSE_WAIT}

    def _state(self) -> int:
        if sys.platform != "linux":
            return 0
        return self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]

    # A reader that has stopped

    def _watch_reader(self) -> None:
        self._taken = self._acknowledged()
        self._front.stalls.start(self, self._loop.time())

    def stalled(self) -> None:
        """Cut the connection, unless the client took something since its time began."""
        if self._acknowledged() > self._taken:
            self._watch_reader()
            return
        logger.info("cut a connection whose reader had stopped", extra={"unsent": self._tempDataLen})
        self.abort()

    def _acknowledged(self) -> int:
        """Return how many bytes have reached the client's machine (all sent but what TIOCOUTQ still counts)."""
        waiting = array.array("i", [0])
        try:
            fcntl.ioctl(self.socket.fileno(), termios.TIOCOUTQ, waiting)
        except OSError:
            return self._sent
        return self._sent - waiting[0]

    # The event loop, without the reactor's detours (log context, reader tables)

    def startReading(self) -> None:
        if not self.reading and not self.disconnected:
            self.reading = self._watch(self._loop.add_reader, self._readable)

    def stopReading(self) -> None:
        if self.reading:
            self.reading = False
            self._loop.remove_reader(self.socket.fileno())

    def startWriting(self) -> None:
        if not self._writing and not self.disconnected:
            self._writing = self._watch(self._loop.add_writer, self._writable)
            self._watch_reader()

    def _watch(self, add: Callable[[int, Callable[[], None]], None], ready: Callable[[], None]) -> bool:
        try:
            add(self.socket.fileno(), ready)
        except RuntimeError:  # uvloop has given the socket up at an error, see `reset_by_peer`
            self._loop.call_soon(self.drop)
            return False
        return True

    def stopWriting(self) -> None:
        self._front.stalls.stop(self)
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self.socket.fileno())

    def _readable(self) -> None:
        if self._put_off:
            return
        # Whoever has asked already has nothing to say but that he leaves, which must not wait.
        if self._turn.crowded and getattr(self.protocol, "asking", False):
            # Not left to the loop to say again: of a reset it speaks once, see `reset_by_peer`.
            self._put_off = True
            self._turn.put_off(self)
        else:
            self.read_now()

    def read_at_last(self) -> None:
        """The next turn has come. Who has stopped reading meanwhile is told by the loop once it reads again."""
        self._put_off = False
        if self.reading and not self.disconnected:
            self._readable()

    def read_now(self) -> None:
        """Take what has arrived, if anything has, and hand it to the protocol."""
        try:
            data = self.socket.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.drop()
            return
        protocol: Any = self.protocol
        try:
            if data:
                protocol.dataReceived(data)
            elif hasattr(protocol, "ended"):
                protocol.ended()
            else:
                self.drop()  # a WebSocket has no use for half a connection
        except Exception:
            logger.exception("the server failed on what a client sent")
            self.abort()

    def _writable(self) -> None:
        try:
            why = self.doWrite()
        except Exception as failure:
            logger.exception("the server failed to write")
            why = failure
        if why:
            self.connectionLost(Failure(why))


class ListeningPort(tcp.Port):
    """The listening socket in this worker."""

    transport = Connection
    accepts_a_turn = 100

    def doRead(self) -> None:
        self.numberAccepts = self.accepts_a_turn
        super().doRead()

    def take_waiting(self) -> None:
        """Accept all who wait in the kernel's queue: closing the socket would reset them."""
        self.numberAccepts = 4096
        super().doRead()
