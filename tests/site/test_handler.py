"""The lean handler, driven as any ASGI server would: no server, no database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from accounts.keys import mint
from loadtest.mockserver import Answer, MockServer
from proxy.surfaces import gateway as held
from proxy.surfaces.answers import listed
from qlite_site.handler import GatewayHandler
from tests.proxy.harness import ASK, GRANT, Bench, bench, provider, route

KEY = mint()
USED = b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}\n\n'
HELLO = b'data: {"choices":[{"delta":{"content":"Hello"}}]}\n\n'


class Client:
    """One request, and what came back."""

    def __init__(
        self, method: str = "POST", path: str = "/v1/chat/completions", body: Any = None, **headers: str
    ) -> None:
        pairs = {
            "host": "localhost",
            "content-type": "application/json",
            "authorization": f"Bearer {KEY.text}",
            **headers,
        }
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in pairs.items()],
            "client": ("127.0.0.1", 1),
        }
        self._body = orjson.dumps(body or {})
        self._asked = False
        self.left = asyncio.Event()
        self.status = 0
        self.headers: dict[str, str] = {}
        self.parts: list[bytes] = []
        self.whole = False

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    async def receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._body}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.parts.append(message.get("body", b""))
            self.whole = not message.get("more_body", False)

    async def __call__(self, handler: GatewayHandler) -> "Client":
        await handler(self.scope, self.receive, self.send)
        return self


@asynccontextmanager
async def handled(folder: Path, mock: MockServer, model: str = "ok") -> AsyncIterator[tuple[Bench, GatewayHandler]]:
    async with bench(folder, [route("m", (provider(mock.base_url), model))]) as gw:
        gw.gateway.keys = {KEY.digest: GRANT}
        gw.gateway.tables_read_at = 1.0
        held.install(gw.gateway)
        try:
            yield gw, GatewayHandler("proxy.urls", keepalive=0.05)
        finally:
            held.install(None)


async def test_it_answers_a_chat(tmp_path: Path) -> None:
    async with MockServer() as mock, handled(tmp_path, mock) as (gw, handler):
        client = await Client(body=ASK)(handler)
        row = await gw.row()
        assert client.status == 200
        assert client.whole
        assert client.headers["x-qlite-id"] == client.headers["x-request-id"] == row.id
        assert client.headers["x-request-cost"] == "0.000018000"
        assert (client.headers["x-provider"], client.headers["x-cache"]) == ("mock", "BYPASS")
        assert client.headers["content-length"] == str(len(client.body))


async def test_it_keeps_a_valid_request_id_and_makes_its_own(tmp_path: Path) -> None:
    async with MockServer() as mock, handled(tmp_path, mock) as (gw, handler):
        for given, kept in [("abc 1", True), ("x" * 128, True), ("x" * 129, False), ("caf\u00e9", False), (" ", False)]:
            client = await Client(body=ASK, x_request_id=given)(handler)
            assert (client.headers["x-request-id"] == given) is kept
            assert client.headers["x-qlite-id"] != given
        assert [row.client_request_id == row.id for row in await gw.rows()] == [False, False, True, True, True]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("POST", "/v1/nothing", 404, "not_found"),
        ("POST", "/v1/chat/completions/", 404, "not_found"),
        ("POST", "/V1/chat/completions", 404, "not_found"),
        ("OPTIONS", "/v1/chat/completions", 405, "method_not_allowed"),
        ("GET", "/v1/models/unknown", 404, "model_not_found"),
    ],
)
async def test_it_answers_errors_in_json(tmp_path: Path, method: str, path: str, status: int, code: str) -> None:
    async with MockServer() as mock, handled(tmp_path, mock) as (_, handler):
        client = await Client(method, path, ASK)(handler)
        assert (client.status, client.json["error"]["code"]) == (status, code)
        assert client.headers["x-error-origin"] == "gateway"
        assert set(client.json["error"]) == {"message", "type", "param", "code"}


async def test_a_bug_is_a_500_with_the_requests_id(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with MockServer() as mock, handled(tmp_path, mock) as (gw, handler):
        gw.gateway.snapshot = None
        client = await Client(body=ASK)(handler)
        assert (client.status, client.json["error"]["code"]) == (500, "internal_error")
        assert client.headers["x-qlite-id"] in caplog.text
        assert "Traceback" not in client.body.decode()


async def test_a_silent_stream_gets_comments_between_its_events(tmp_path: Path) -> None:
    async with MockServer() as mock, handled(tmp_path, mock, "up") as (_, handler):
        mock.script("up", Answer(chunks=[HELLO, 0.18, HELLO, USED, b"data: [DONE]\n\n"]))
        client = await Client(body=ASK | {"stream": True})(handler)
        assert client.parts[0] == HELLO
        assert 2 <= client.parts.count(b": keep-alive\n\n") <= 4
        assert client.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("told_by", ["callback", "message"])
async def test_it_stops_a_stream_when_the_caller_hangs_up(tmp_path: Path, told_by: str) -> None:
    async with MockServer() as mock, handled(tmp_path, mock, "up") as (gw, handler):
        mock.script("up", Answer(chunks=[HELLO], then="hang"))
        client = Client(body=ASK | {"stream": True})
        watched: list[Any] = []
        if told_by == "callback":
            client.scope["extensions"] = {"qlite.hangup": {"watch": watched.append}}
        task = asyncio.create_task(client(handler))
        while not client.parts:
            await asyncio.sleep(0.01)
        watched[0]() if watched else client.left.set()
        await asyncio.wait_for(task, 1)
        row = await gw.row()
        assert (row.status, row.client_gone) == ("interrupted", True)


async def test_it_lets_a_plain_call_run_to_its_end(tmp_path: Path) -> None:
    async with MockServer(latency=0.1) as mock, handled(tmp_path, mock) as (gw, handler):
        client = Client(body=ASK)
        client.left.set()
        await client(handler)
        row = await gw.row()
        assert (row.status, row.client_gone, row.usage_source) == ("settled", True, "provider")


async def test_the_servers_stop_ends_a_plain_call_with_503(tmp_path: Path) -> None:
    async with MockServer() as mock, handled(tmp_path, mock, "up") as (gw, handler):
        mock.script("up", Answer(raw=True, chunks=[], then="hang"))
        client = Client(body=ASK)
        task = asyncio.create_task(client(handler))
        while not mock.hits:
            await asyncio.sleep(0.01)
        task.cancel("server_shutting_down")
        await task
        assert (client.status, client.json["error"]["code"]) == (503, "server_shutting_down")
        assert (await gw.row()).status == "interrupted"


async def test_browsers_are_served_only_from_allowed_origins(tmp_path: Path, settings: Any) -> None:
    async with MockServer() as mock, handled(tmp_path, mock) as (_, handler):
        asked = {"origin": "https://app.example", "access_control_request_method": "POST"}
        assert (await Client("OPTIONS", **asked)(handler)).status == 405
        settings.CORS_ALLOW_ORIGINS = ["https://app.example"]
        allowed = await Client("OPTIONS", **asked)(handler)
        assert (allowed.status, allowed.headers["access-control-allow-origin"]) == (204, "https://app.example")
        assert (await Client("OPTIONS", **{**asked, "origin": "https://evil.example"})(handler)).status == 405
        answer = await Client(body=ASK, origin="https://app.example")(handler)
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        assert (
            "access-control-allow-origin"
            not in (await Client(body=ASK, origin="https://evil.example")(handler)).headers
        )


async def test_it_says_it_is_starting_until_there_is_a_gateway() -> None:
    client = await Client("GET", "/readyz")(GatewayHandler("proxy.urls", keepalive=1))
    assert (client.status, client.json["error"]["code"]) == (503, "starting")


async def test_no_view_of_the_gateway_needs_a_thread(tmp_path: Path) -> None:
    import threading

    async with MockServer() as mock, handled(tmp_path, mock) as (_, handler):
        before = threading.active_count()
        for path in ("/", "/health", "/healthz", "/readyz", "/v1/models"):
            client = await Client("GET", path)(handler)
            assert client.status == 200, client.body
        assert threading.active_count() == before


def test_a_list_that_is_too_long_for_a_header_says_so() -> None:
    names = [f"messages.content.odd{number}" for number in range(100)]
    told = listed(names).decode()
    assert len(told) <= 512 and told.endswith(", ...")
    assert told.removesuffix(", ...").split(", ") == names[: told.count(", ")]
    assert listed(names[:2]) == b"messages.content.odd0, messages.content.odd1"
