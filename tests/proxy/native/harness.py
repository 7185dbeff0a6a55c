"""A gateway with one provider of each kind over a scripted provider, called through the lean handler."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from loadtest.mockserver import Answer, MockServer
from proxy.surfaces import gateway as held
from qlite_site.handler import GatewayHandler
from routing.snapshot import build
from routing.values import Provider, Route
from tests.proxy.harness import GRANT, Bench, bench
from tests.site.test_handler import KEY, Client

SECRET = "sk-upstream-canary"
JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream"}


def of_kind(kind: str, mock: MockServer, **fields: Any) -> Provider:
    root = mock.base_url.removesuffix("/v1")
    base = root if kind in {"anthropic", "gemini", "azure-openai"} else mock.base_url
    given = {"base_url": base, "secret": SECRET, "allow_private": True, "by_name": True} | fields
    return Provider(name=given.pop("name", f"my-{kind}"), kind=kind, **given)


class Passer:
    """What a test holds: the provider, the gateway's rows, and a way to call."""

    def __init__(self, mock: MockServer, bench: Bench, handler: GatewayHandler) -> None:
        self.mock, self.bench, self._handler = mock, bench, handler

    async def __call__(
        self, path: str, body: Any = b"", *, method: str = "POST", query: bytes = b"", **headers: str
    ) -> Client:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        client = Client(method, path.partition("?")[0], **given)
        client.scope["raw_path"], client.scope["query_string"] = path.encode(), query
        client._body = body if isinstance(body, bytes) else orjson.dumps(body)
        return await client(self._handler)

    def allow(self, *models: str) -> None:
        self.bench.gateway.keys = {KEY.digest: replace(GRANT, models=models)}

    def say(self, body: Any, path: str = "*", *, status: int = 200, **headers: str) -> None:
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        self.mock.script(path, Answer(status=status, headers=JSON | said, body=raw))

    def stream(self, *chunks: bytes, headers: dict[str, str] | None = None, then: Any = "end") -> None:
        self.mock.script("*", Answer(headers=headers or EVENTS, chunks=list(chunks), then=then))


@asynccontextmanager
async def passing(folder: Path, *kinds: str, routes: Any = None, **fields: Any) -> AsyncIterator[Passer]:
    async with MockServer() as mock, bench(folder, []) as gw:
        providers = [of_kind(kind, mock, **fields) for kind in kinds]
        listed: list[Route] = routes(mock) if routes else []
        known = {target.provider.name: target.provider for route in listed for target in route.targets}
        gw.gateway.snapshot = build(7, listed, {**known, **{each.name: each for each in providers}}.values())
        gw.gateway.keys = {KEY.digest: GRANT}
        gw.gateway.tables_read_at = 1.0
        held.install(gw.gateway)
        try:
            yield Passer(mock, gw, GatewayHandler("proxy.urls", keepalive=0.05))
        finally:
            held.install(None)
