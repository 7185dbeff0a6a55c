"""U-17: a provider closes an idle connection just as we send on it. Nothing it took is ever sent again."""

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from proxy.errors import AllTargetsFailed
from tests.proxy.harness import ASK, Bench, bench, provider, route

BODY = b'{"choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}'
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY)
UNASKED = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n"
RESET = struct.pack("ii", 1, 0)


class Server:
    """A provider in a thread. It answers the first request on each connection, then does what it is told."""

    def __init__(self, then: str) -> None:
        self.then, self.taken, self.closed = then, 0, threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/v1"
        self.connections = 0
        self.go = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._talk, args=(connection, self.connections), daemon=True).start()

    def _talk(self, connection: socket.socket, number: int) -> None:
        with connection:
            while self._take(connection):
                connection.sendall(ANSWER)
                if number > 1:
                    continue
                if self.then == "close":
                    self.go.wait(5)
                    break
                if self.then == "say more":
                    time.sleep(0.005)  # until the connection has been given back
                    connection.sendall(UNASKED)
                if self.then == "take and close" and self._take(connection):
                    break
                if self.then == "take and reset" and self._take(connection):
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    break
                if self.then == "reset":
                    self.go.wait(5)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    break
        self.closed.set()

    def _take(self, connection: socket.socket) -> bool:
        """Read one request to its end."""
        got = b""
        while b"\r\n\r\n" not in got or not got.endswith(b"}"):
            try:
                got += (data := connection.recv(2**20))
            except OSError:
                return False
            if not data:
                return False
        self.taken += 1
        return True

    def stop(self) -> None:
        self._listening.close()


@pytest.fixture
def serve() -> Iterator[Callable[[str], Server]]:
    made: list[Server] = []

    def start(then: str) -> Server:
        made.append(Server(then))
        return made[-1]

    yield start
    for server in made:
        server.stop()


Loop = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def loop(request: pytest.FixtureRequest) -> Loop:
    made: Loop = request.param
    return made


async def twice(gw: Bench, server: Server, body: bytes | dict[str, Any] = ASK) -> None:
    """Ask, and ask again once the server has closed the connection, which the loop has had no time to notice."""
    assert b'"Hi"' in (await gw.ask(ASK)).body
    await asyncio.sleep(0.02)
    server.go.set()
    if server.then in {"close", "reset"}:
        assert server.closed.wait(5)  # blocks the loop on purpose
    assert b'"Hi"' in (await gw.ask(body)).body


def run(loop: Loop, folder: Path, server: Server, body: bytes | dict[str, Any] = ASK) -> list[tuple[str, int]]:
    async def go() -> list[tuple[str, int]]:
        async with bench(folder, [route("m", (provider(server.url), "m"))]) as gw:
            try:
                await twice(gw, server, body)
            except AllTargetsFailed as error:
                assert error.code == "upstream_connection_error"
            return [(row.status, len(row.attempts)) for row in await gw.rows()]

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(go())


@pytest.mark.parametrize("size", [10, 900_000])
def test_what_a_closed_connection_did_not_take_is_sent_again(
    loop: Loop, serve: Callable[[str], Server], tmp_path: Path, size: int
) -> None:
    server = serve("close")
    long = {**ASK, "messages": [{"role": "user", "content": "x" * size}]}
    assert run(loop, tmp_path, server, long) == [("settled", 1), ("settled", 1)]
    assert (server.taken, server.connections) == (2, 2)


@pytest.mark.parametrize("then", ["take and close", "take and reset"])
def test_what_was_taken_is_not_sent_again(
    loop: Loop, serve: Callable[[str], Server], tmp_path: Path, then: str
) -> None:
    server = serve(then)
    assert run(loop, tmp_path, server) == [("settled", 1), ("interrupted", 1)]
    assert (server.taken, server.connections) == (2, 1)


def test_after_a_reset_nobody_knows(loop: Loop, serve: Callable[[str], Server], tmp_path: Path) -> None:
    server = serve("reset")
    rows = run(loop, tmp_path, server)
    # Whoever hears of the reset before it sends takes another connection; else it is told, and not sent twice.
    assert rows[1] in {("interrupted", 1), ("settled", 1)}
    assert server.taken == (2 if rows[1][0] == "settled" else 1)


def test_what_nobody_asked_for_is_no_answer_to_the_next_call(
    loop: Loop, serve: Callable[[str], Server], tmp_path: Path
) -> None:
    server = serve("say more")
    assert run(loop, tmp_path, server) == [("settled", 1), ("settled", 1)]
    assert (server.taken, server.connections) == (2, 2)
