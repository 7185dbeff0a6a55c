"""The scripted provider: listens on loopback, reads requests, answers as it was told."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self

import orjson

from loadtest.upstream import faults, parse, realtime, shapes
from loadtest.upstream.answer import Answer, Plan, Script, compile_answer
from loadtest.upstream.connection import Connection
from loadtest.upstream.faults import Asked
from loadtest.upstream.hit import Hit, find_nonce
from loadtest.upstream.timers import Timers
from loadtest.upstream.websocket import Socket, Talk, model_of

CHAT = "/v1/chat/completions"
REALTIME = "/realtime"  # what the path of a WebSocket ends in
MODELS = ("bench-model", "ok", "gpt-4o-mini")
KEPT_PLANS = 512


class MockServer:
    """The provider: `async with MockServer() as mock:` listens on `mock.base_url` (which ends in /v1).

    `latency` is in seconds. Every request is kept in `hits`, oldest first, unless `record` is off, as it is for load;
    `received` counts them either way. `connections` is the number of open ones. `journal` names a file that gets a line
    for each hit when its answer has ended. `nonces` looks for the nonce of each hit also where nothing is kept.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        latency: float = 0.0,
        chunks: int = 3,
        journal: Path | None = None,
        record: bool = True,
        nonces: bool = False,
    ) -> None:
        self.port = port
        self.latency = latency
        self.chunks = chunks
        self.hits: list[Hit] = []
        self.received = 0
        self._record, self._nonces = record, nonces or record or journal is not None
        self._journal_path = journal
        self._journal = -1
        self.sockets: list[Socket] = []  # every WebSocket so far
        self._talks: dict[str, Talk] = {}
        self._open: set[Connection] = set()
        self._running = 0
        self._scripts: dict[str, list[Script]] = {}
        self._failed: Counter[tuple[str, str]] = Counter()
        self._plans: dict[tuple[str, bool, bool], Plan] = {}

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes as its base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return len(self._open)

    def script(self, model: str, *answers: Script) -> None:
        """Answer the next hits for `model` with these, one each, the last one for ever; none: forget the script.

        A name that starts with a slash is a path (`/v1/embeddings`), `*` is everything. A callable gets the hit.
        """
        self._scripts[model] = list(answers)

    def talk(self, model: str, talk: Talk | None) -> None:
        """Let `talk` play the provider in sessions with `model`; None: the usual one again."""
        self._talks.pop(model, None)
        if talk is not None:
            self._talks[model] = talk

    async def start(self) -> Self:
        """Listen; with port 0 on a free one."""
        if self._journal_path is not None:
            self._journal = os.open(self._journal_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        loop = asyncio.get_running_loop()
        self._timers = Timers(loop)
        self._server = await loop.create_server(lambda: Connection(self, loop), "127.0.0.1", self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Close the listener and every connection, whatever they are at."""
        self._server.close()
        for connection in list(self._open):
            connection.close()
        for socket in self.sockets:
            socket.end()
        await self._server.wait_closed()
        # One turn of the loop for the connections to say good-bye.
        await asyncio.sleep(0)
        self._timers.close()
        if self._journal >= 0:
            os.close(self._journal)

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def idle(self, timeout: float = 2.0) -> None:
        """Wait until no answer is being given; TimeoutError after `timeout` seconds."""
        async with asyncio.timeout(timeout):
            while self._running:
                await asyncio.sleep(0.002)

    # --- What the connections ask of their desk

    def opened(self, connection: Connection) -> None:
        self._open.add(connection)

    def closed(self, connection: Connection) -> None:
        self._open.discard(connection)

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        self._timers.call_later(seconds, callback)

    def receive(self, request: parse.Request) -> tuple[Hit, Plan]:
        """Take note of a request and say what is answered."""
        hit = self._note(request)
        plan = self._plan(hit)
        hit.status = plan.status
        self._running += 1
        return hit, plan

    def upgrade(self, request: parse.Request) -> tuple[Hit, Talk] | None:
        """Take a WebSocket's handshake, unless a script for its path has another answer."""
        path = parse.first_line(request.head)[1]
        if not path.partition("?")[0].endswith(REALTIME) or self._scripts.get(path.partition("?")[0]):
            return None
        hit = self._note(request)
        hit.model, hit.status, hit.stream = model_of(path), 101, True
        self._running += 1
        return hit, self._talks.get(hit.model, realtime.talk)

    def talking(self, socket: Socket) -> None:
        self.sockets.append(socket)

    def ended(self, hit: Hit) -> None:
        self._running -= 1
        if self._journal >= 0:
            os.write(self._journal, hit.journal_line())

    def _note(self, request: parse.Request) -> Hit:
        self.received += 1
        method, path = parse.first_line(request.head)
        hit = Hit(self.received, method, path, request.body)
        hit.request_id = f"req_{self.received:032x}"
        if request.body:
            _read_body(hit)
        if self._nonces or hit.model.endswith("-then-ok"):
            hit.nonce = find_nonce(request.body)
        if self._record:
            hit.header_lines = parse.header_lines(request.head)
            hit.headers = {name.lower(): value for name, value in hit.header_lines}
            self.hits.append(hit)
        return hit

    def _plan(self, hit: Hit) -> Plan:
        if self._scripts:
            for name in (hit.model, hit.path, hit.path.partition("?")[0], "*"):
                if self._scripts.get(name):
                    return compile_answer(self._scripted(name, hit))
        if hit.path != CHAT or hit.method != "POST":
            return compile_answer(self._aside(hit))
        status, failures = faults.failing_first(hit.model) if hit.model.endswith("-then-ok") else (0, 0)
        if self._failed[hit.model, hit.nonce] < failures:
            self._failed[hit.model, hit.nonce] += 1
            return compile_answer(faults.status(status))
        return self._ready(hit)

    def _scripted(self, name: str, hit: Hit) -> Answer:
        answers = self._scripts[name]
        script = answers.pop(0) if len(answers) > 1 else answers[0]
        return script if isinstance(script, Answer) else script(hit)

    def _aside(self, hit: Hit) -> Answer:
        path = hit.path.partition("?")[0]
        if path == "/health":
            return Answer(body=b'{"status":"ok"}')
        if path == "/v1/models" and hit.method == "GET":
            return Answer(body=shapes.model_list(MODELS))
        message = f"Invalid URL ({hit.method} {path})"
        return Answer(status=404, body=shapes.error(message, "invalid_request_error", None))

    def _ready(self, hit: Hit) -> Plan:
        """The plan for a model, made once: a load test asks for the same few a million times."""
        key = (hit.model, hit.stream, hit.include_usage)
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= KEPT_PLANS:
                self._plans.clear()
            asked = Asked(hit.model, hit.stream, hit.include_usage, self.latency, self.chunks)
            plan = self._plans[key] = compile_answer(faults.answer(asked))
        return plan


def _read_body(hit: Hit) -> None:
    try:
        asked: Any = orjson.loads(hit.body)
    except orjson.JSONDecodeError:
        return
    if isinstance(asked, dict):
        hit.model = str(asked.get("model", ""))
        hit.stream = asked.get("stream") is True
        options = asked.get("stream_options")
        hit.include_usage = isinstance(options, dict) and options.get("include_usage") is True


@contextmanager
def in_thread(**settings: Any) -> Iterator[MockServer]:
    """A running MockServer for code that has no event loop of its own, such as tests of a gateway process."""
    mock, ready, loop = MockServer(**settings), Event(), asyncio.new_event_loop()
    over = asyncio.Event()

    async def live() -> None:
        async with mock:
            ready.set()
            await over.wait()

    thread = Thread(target=lambda: loop.run_until_complete(live()), name="mockserver", daemon=True)
    thread.start()
    try:
        if not ready.wait(5):
            raise RuntimeError("the mock server did not start")
        yield mock
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(5)
        loop.close()
