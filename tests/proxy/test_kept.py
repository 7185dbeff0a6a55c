"""A request on a connection that was there already says and hears what one on a new connection does."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from proxy.errors import AllTargetsFailed
from tests.proxy.harness import ASK, Bench, bench, provider, route

BODY = b'{"choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
ANSWER = HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
UNTIL_THE_END = HEAD + b"connection: close\r\n\r\n" + BODY
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n"


class Server:
    """A provider that gives `answers` one after another, on however many connections, and then closes."""

    def __init__(self, answers: list[bytes]) -> None:
        self.answers, self.heads, self.connections = answers, list[bytes](), 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/v1"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                while self.answers and self._take(connection):
                    answer = self.answers.pop(0)
                    connection.sendall(answer)
                    if answer == UNTIL_THE_END:
                        break

    def _take(self, connection: socket.socket) -> bool:
        got = b""
        while b"\r\n\r\n" not in got or not got.endswith(b"}"):
            data = connection.recv(2**20)
            if not data:
                return False
            got += data
        self.heads.append(got.partition(b"\r\n\r\n")[0])
        return True

    def stop(self) -> None:
        self._listening.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def start(*answers: bytes) -> Server:
        made.append(Server(list(answers)))
        return made[-1]

    yield start
    for server in made:
        server.stop()


def gateway(folder: Path, server: Server) -> AbstractAsyncContextManager[Bench]:
    return bench(folder, [route("m", (provider(server.url), "m"))])


async def test_the_same_head_is_sent(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(ANSWER, ANSWER)
    async with gateway(tmp_path, server) as gw:
        for _ in range(2):
            assert b'"Hi"' in (await gw.ask(ASK)).body
    first, second = server.heads
    assert server.connections == 1
    assert sorted(second.lower().split(b"\r\n")) == sorted(first.lower().split(b"\r\n"))


@pytest.mark.parametrize("answer", [EARLY_HINTS + ANSWER, EARLY_HINTS * 2 + CHUNKED, CHUNKED, UNTIL_THE_END])
async def test_every_form_of_an_answer_is_read(serve: Callable[..., Server], tmp_path: Path, answer: bytes) -> None:
    server = serve(ANSWER, answer, ANSWER)
    async with gateway(tmp_path, server) as gw:
        bodies = [(await gw.ask(ASK)).body for _ in range(3)]
    assert bodies[1] == bodies[0] == bodies[2]
    assert server.connections == (2 if answer == UNTIL_THE_END else 1)


@pytest.mark.parametrize(
    "answer", [b"SMTP 220 hello\r\n\r\n", HEAD + b"content-length: x\r\n\r\n", HEAD[:12], ANSWER[:-1]]
)
async def test_no_answer_is_the_same_error(serve: Callable[..., Server], tmp_path: Path, answer: bytes) -> None:
    told = []
    for number, before in enumerate(([], [ANSWER])):
        server = serve(*before, answer)  # which closes after its last one
        async with gateway(tmp_path / str(number), server) as gw:
            for _ in before:
                await gw.ask(ASK)
            with pytest.raises(AllTargetsFailed) as failed:
                await gw.ask(ASK)
            told.append((failed.value.status, failed.value.code, failed.value.message))
    assert told[0] == told[1]
