"""A server process to talk to, and raw sockets to talk with: no HTTP library stands between a test and the bytes."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 20.0


class Running:
    """A toy server in a process of its own."""

    def __init__(self, *, wait: bool = True, toy: dict[str, Any] | None = None, **config: Any) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the process
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.server.toy", json.dumps({"config": config, "toy": toy or {}})],
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=ROOT,
        )
        self._clients: list[Client] = []
        self.port = 0
        self.workers: list[dict[str, Any]] = []
        if wait:
            while len(self.workers) < config.get("workers", 1):
                self.workers.append(self.line())
            self.port = self.workers[0]["port"]

    @property
    def pid(self) -> int:
        return self.process.pid

    def line(self) -> dict[str, Any]:
        """Return what a worker says next about its start or stop."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the server ended: {self.log()}"
        said: dict[str, Any] = json.loads(line)
        return said

    def log(self) -> str:
        self._log.seek(0)
        return self._log.read().decode()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """Return the exit code, once it has ended."""
        return self.process.wait(PATIENCE_SECONDS)

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._log.close()
        for client in self._clients:
            client.socket.close()

    def memory(self, pid: int | None = None) -> int:
        """Return the resident memory in bytes."""
        pages = Path(f"/proc/{pid or self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def connect(self) -> "Client":
        """Open a connection; it is closed with the server if not before."""
        self._clients.append(Client(self.port))
        return self._clients[-1]

    def get(self, target: str, *headers: str) -> "Answer":
        with self.connect() as client:
            client.ask("GET", target, *headers)
            return client.answer()

    def events(self) -> dict[str, Any]:
        told: dict[str, Any] = self.get("/events").json()
        return told

    def until(self, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return what `/events` tells as soon as `true` says yes to it."""
        return until(self.events, true)


def until(look: Callable[[], Any], true: Callable[[Any], bool]) -> Any:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up:
        seen = look()
        if true(seen):
            return seen
        time.sleep(0.02)
    raise AssertionError(f"waited in vain: {str(seen)[-300:]}")


class Answer:
    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.headers = dict(headers)
        self.names = [name for name, _ in headers]
        self.body = body

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of an error in JSON."""
        assert self.headers["content-type"] == "application/json"
        return str(self.json()["error"]["code"])


class Client:
    """One connection."""

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE_SECONDS)
        try:
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise
        self._unread = b""

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: Any) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(self, method: str, target: str, *headers: str, body: bytes = b"", version: str = "1.1") -> None:
        lines = [f"{method} {target} HTTP/{version}", "Host: localhost", *headers]
        if body and not any(line.lower().startswith("transfer-encoding") for line in headers):
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def line(self) -> bytes:
        while b"\r\n" not in self._unread:
            self._read()
        line, self._unread = self._unread.split(b"\r\n", 1)
        return line

    def take(self, size: int) -> bytes:
        while len(self._unread) < size:
            self._read()
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    def _read(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(self._unread)
        self._unread += data

    def head(self) -> tuple[int, list[tuple[str, str]]]:
        status = int(self.line().split(b" ")[1])
        headers = []
        while line := self.line():
            name, _, value = line.decode("latin-1").partition(": ")
            headers.append((name.lower(), value))
        return status, headers

    def chunk(self) -> bytes:
        """Return the next chunk of a chunked body, b"" for the last."""
        data = self.take(int(self.line(), 16))
        assert self.take(2) == b"\r\n"
        return data

    def answer(self, *, to_head: bool = False) -> Answer:
        """Return the next response. Raises EOFError or ConnectionError if it does not come whole."""
        status, headers = self.head()
        given = dict(headers)
        body = b""
        if to_head or status in {204, 304}:
            pass
        elif "content-length" in given:
            body = self.take(int(given["content-length"]))
        elif given.get("transfer-encoding") == "chunked":
            while piece := self.chunk():
                body += piece
        else:
            body = self.rest()
        return Answer(status, headers, body)

    def answer_rest(self) -> bytes:
        """Return what is left of a chunked body."""
        body = b""
        while piece := self.chunk():
            body += piece
        return body

    def rest(self) -> bytes:
        """Return all until the server closes."""
        try:
            while True:
                self._read()
        except EOFError:
            data, self._unread = self._unread, b""
            return data

    @property
    def unread(self) -> bytes:
        return self._unread

    def closed(self) -> bool:
        """Wait until the server closes, and return true if nothing came before that."""
        try:
            return not self.rest()
        except ConnectionResetError:
            return True
