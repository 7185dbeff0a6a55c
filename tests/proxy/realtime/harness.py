"""A gateway with routes to a provider that speaks Realtime, called as any ASGI server would."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import orjson

from accounts.ledger.entry import Entry, from_json
from accounts.ledger.scan import scan
from accounts.prices import Usage
from loadtest.mockserver import MockServer, Socket
from proxy.surfaces import gateway as held
from qlite_site.live.routing import application
from routing.snapshot import build
from tests.proxy.harness import GRANT, TIMEOUTS, Bench, bench, route
from tests.proxy.native.harness import of_kind
from tests.site.test_handler import KEY

# The scripted usage in disjoint classes, and what it costs at 1 USD in and 2 USD out.
USED = Usage(input=55, cached_input=64, audio_input=13, output=30, audio_output=91)
COST = 132 * 1000 + 121 * 2000


class Caller:
    """One WebSocket of a caller's. `status` is 101 once accepted, else that of the refusal in `refusal`."""

    def __init__(self, path: str, query: str, headers: dict[str, str], *, hangup: bool) -> None:
        pairs = {"host": "localhost", "authorization": f"Bearer {KEY.text}"} | headers
        self._hung_up: Any = None
        extensions: dict[str, Any] = {"websocket.http.response": {}}
        if hangup:
            extensions["qlite.hangup"] = {"watch": lambda hung_up: setattr(self, "_hung_up", hung_up)}
        self.scope: dict[str, Any] = {
            "type": "websocket",
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in pairs.items() if value],
            "client": ("127.0.0.1", 1),
            "extensions": extensions,
        }
        self.status = 0
        self.accepted: dict[str, Any] = {}
        self.headers: dict[str, str] = {}
        self.refusal: Any = None
        self.closed: tuple[int, str] | None = None
        self.reads = asyncio.Event()
        self.reads.set()
        self._in: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._out: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._known = asyncio.Event()

    async def open(self) -> Self:
        self._in.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.create_task(application(self.scope, self._in.get, self._send))
        waiting = asyncio.create_task(self._known.wait())
        await asyncio.wait([self.task, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not self._known.is_set():
            self.task.result()
        return self

    async def _send(self, message: Any) -> None:
        kind = message["type"]
        if kind == "websocket.send":
            await self.reads.wait()
            self._out.put_nowait(message["text"] if message.get("text") is not None else message["bytes"])
        elif kind == "websocket.close":
            self.closed = (message["code"], message["reason"])
            self._out.put_nowait(None)
            self._in.put_nowait({"type": "websocket.disconnect", "code": message["code"]})
        elif kind == "websocket.http.response.body":
            self.refusal = orjson.loads(message["body"])
            self._known.set()
        else:
            self.status = message.get("status", 101)
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            if kind == "websocket.accept":
                self.accepted = message
                self._known.set()

    def say(self, message: str | bytes | dict[str, Any]) -> None:
        data = orjson.dumps(message).decode() if isinstance(message, dict) else message
        self._in.put_nowait({"type": "websocket.receive", "text" if isinstance(data, str) else "bytes": data})

    async def hear(self) -> str | bytes | None:
        """The next message, None at the end."""
        async with asyncio.timeout(5):
            return await self._out.get()

    async def event(self, kind: str) -> dict[str, Any]:
        """The next event of this kind; those before it are passed over."""
        while (heard := await self.hear()) is not None:
            event: dict[str, Any] = orjson.loads(heard)
            if event["type"] == kind:
                return event
        raise AssertionError(f"no {kind} came before the end: {self.closed}")

    async def heard(self) -> AsyncIterator[str | bytes]:
        """Every message to the end."""
        while (message := await self.hear()) is not None:
            yield message

    async def respond(self) -> dict[str, Any]:
        """Ask for a response, and hear it to its end."""
        self.say({"type": "response.create"})
        return await self.event("response.done")

    def leave(self, code: int = 1000) -> None:
        if self._hung_up is not None:
            self._hung_up(code)
        self._in.put_nowait({"type": "websocket.disconnect", "code": code})

    async def over(self) -> None:
        async with asyncio.timeout(5):
            await self.task


class Live:
    """What a test holds: the provider, the gateway, and a way to call."""

    def __init__(self, mock: MockServer, bench: Bench) -> None:
        self.mock, self.bench, self.gateway = mock, bench, bench.gateway
        self.callers: list[Caller] = []

    async def call(
        self, model: str = "voice", *, path: str = "/v1/realtime", query: str = "", hangup: bool = True, **headers: str
    ) -> Caller:
        asked = "&".join(part for part in (f"model={model}" if model else "", query) if part)
        self.callers.append(Caller(path, asked, headers, hangup=hangup))
        return await self.callers[-1].open()

    def allow(self, **fields: Any) -> None:
        """Change what the key permits."""
        self.gateway.keys = {KEY.digest: replace(GRANT, **fields)}

    @property
    def socket(self) -> Socket:
        """The provider's end of the newest session."""
        return self.mock.sockets[-1]

    async def row(self) -> Entry:
        return await self.bench.row()

    def open_rows(self) -> list[Entry]:
        """What a process that finds the journal of a dead one would read."""
        journal = self.gateway.journal
        with scan(journal._folder, journal.name) as found:
            return [from_json(line.read()) for line in found.rows.values() if not line.settled]


@asynccontextmanager
async def live(folder: Path, **limits: Any) -> AsyncIterator[Live]:
    timeouts = limits.pop("timeouts", TIMEOUTS)
    async with MockServer() as mock, bench(folder, [], timeouts=timeouts, **limits) as gw:
        mine, azure = of_kind("openai", mock), of_kind("azure-openai", mock)
        nobody = of_kind("openai-compatible", mock, name="nobody", base_url="http://127.0.0.1:9/v1")
        claude = of_kind("anthropic", mock)
        routes = [
            route("voice", (mine, "gpt-realtime")),
            route("second", (nobody, "x"), (mine, "gpt-realtime")),
            route("nobody", (nobody, "x")),
            route("words", (claude, "claude")),
            route("azure", (azure, "my deployment")),
        ]
        providers = {target.provider.name: target.provider for each in routes for target in each.targets}
        gw.gateway.snapshot = build(7, routes, providers.values())
        gw.gateway.keys = {KEY.digest: GRANT}
        gw.gateway.tables_read_at = 1.0
        held.install(gw.gateway)
        there = Live(mock, gw)
        try:
            yield there
        finally:
            for caller in there.callers:
                caller.task.cancel()
            for task in list(gw.gateway.tasks):
                await asyncio.wait([task], timeout=5)
            held.install(None)
