"""The exact cache on every surface: the same answer again, plain and streamed, at no cost; and what is never kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from loadtest.mockserver import Answer
from proxy import serving
from proxy.pipeline import ExactCache, chained
from tests.proxy.billing.surfaces import BILLS, SURFACES, Surface
from tests.proxy.billing.test_matrix import ask, billing
from tests.proxy.billing.wires import EVENTS, JSON
from tests.proxy.native.harness import GRANT, KEY, Passer
from tests.site.test_handler import Client

KEPT = [each for each in SURFACES if not each.name.startswith("own-")]
OWN = [each for each in SURFACES if each.name.startswith("own-")]
WAYS = [(each, stream) for each in KEPT for stream in ((False, True) if each.streams else (False,))]
ways = pytest.mark.parametrize(("surface", "stream"), WAYS, ids=str)


@asynccontextmanager
async def caching(folder: Path, kind: str) -> AsyncIterator[Passer]:
    async with billing(folder, kind) as gw:
        gateway = gw.bench.gateway
        gateway.cache.default_ttl = 60
        gateway.chain = chained([ExactCache(gateway)], partial(serving.dispatch, gateway))
        yield gw


def told(client: Client) -> Any:
    """What an answer says, without ids that are made up and without its cost."""
    if client.body[:1] in b"{[":
        body = orjson.loads(client.body)
        for each in body if isinstance(body, list) else [body]:
            each.pop("cost", None)
        return body
    lines = [line for line in client.body.split(b"\n") if line.startswith(b"data:") and b'"cost"' not in line]
    return b"".join(lines)


@ways
async def test_an_equal_call_gets_the_answer_again_for_nothing(tmp_path: Path, surface: Surface, stream: bool) -> None:
    wire = surface.way(stream=stream)[2]
    used, _, cost = BILLS[id(wire)]
    async with caching(tmp_path, surface.kind) as gw:
        gw.mock.script("*", wire.answer(used, stream=stream))
        first, again = await ask(gw, surface, stream=stream), await ask(gw, surface, stream=stream)
        paid, hit = await gw.bench.rows()
        assert len(gw.mock.hits) == 1
    assert (first.status, again.status) == (200, 200)
    assert (first.headers["x-cache"], again.headers["x-cache"]) == ("MISS", "HIT")
    assert again.headers["x-tokens-saved"] == str(hit.tokens_saved)
    assert again.headers.get("x-request-cost", "0.000000000") == "0.000000000"
    assert again.headers["content-type"] == first.headers["content-type"]
    assert (paid.cost_nano, hit.cost_nano, hit.saved_nano, hit.status) == (cost, 0, cost, "cached")
    assert hit.attempts == []
    assert hit.tokens_saved == sum(count for unit, count in paid.usage.items() if unit != "searches")
    if not stream or (surface.name != "chat" and surface.name != "proxy"):
        assert told(again) == told(first)
    assert b"x-request-cost=0.000000000" in again.body or not stream or surface.name.startswith("gemini")


@pytest.mark.parametrize("surface", [each for each in KEPT if each.streams], ids=str)
async def test_a_stream_and_a_plain_answer_are_shared_where_one_can_be_made_of_the_other(
    tmp_path: Path, surface: Surface
) -> None:
    async with caching(tmp_path, surface.kind) as gw:
        for stream in (False, True):
            wire = surface.way(stream=stream)[2]
            gw.mock.script("*", wire.answer(BILLS[id(wire)][0], stream=stream))
            client = await ask(gw, surface, stream=stream)
            assert client.status == 200
        shared = surface.name in {"chat", "proxy"}
        assert client.headers["x-cache"] == ("HIT" if shared else "MISS")
        assert len(gw.mock.hits) == (1 if shared else 2)


@ways
async def test_equal_calls_at_once_are_one_call(tmp_path: Path, surface: Surface, stream: bool) -> None:
    wire = surface.way(stream=stream)[2]
    async with caching(tmp_path, surface.kind) as gw:
        gw.mock.script("*", replace(wire.answer(BILLS[id(wire)][0], stream=stream), delay=0.05))
        clients = await asyncio.gather(*(ask(gw, surface, stream=stream) for _ in range(5)))
        assert len(gw.mock.hits) == 1
        assert gw.bench.gateway.cache.flights == {}
    assert sorted(client.headers["x-cache"] for client in clients) == ["HIT"] * 4 + ["MISS"]


@ways
async def test_another_team_other_words_and_no_store_are_other_entries(
    tmp_path: Path, surface: Surface, stream: bool
) -> None:
    path, body, wire = surface.way(stream=stream)
    async with caching(tmp_path, surface.kind) as gw:
        gw.mock.script("*", wire.answer(BILLS[id(wire)][0], stream=stream))

        async def cache(changed: Any = body, **headers: str) -> str:
            return (await gw(path, changed, query=surface.query, **headers)).headers["x-cache"]

        assert [await cache(), await cache()] == ["MISS", "HIT"]
        assert await cache(body | {"brand_new_field": 1}) == "MISS"
        assert await cache(cache_control="no-store") == "BYPASS"
        assert await cache(cache_control="no-cache") == "BYPASS"
        gw.bench.gateway.keys = {KEY.digest: replace(GRANT, team="blue")}
        assert await cache() == "MISS"


@ways
@pytest.mark.parametrize("fate", ["cut", "error"])
async def test_errors_and_cut_answers_are_not_kept(tmp_path: Path, surface: Surface, stream: bool, fate: str) -> None:
    wire = surface.way(stream=stream)[2]
    bad = wire.cut(BILLS[id(wire)][0], stream=stream) if fate == "cut" else Answer(status=500, headers=JSON, body=b"{}")
    async with caching(tmp_path, surface.kind) as gw:
        gw.mock.script("*", bad, wire.answer(BILLS[id(wire)][0], stream=stream))
        await ask(gw, surface, stream=stream)
        client = await ask(gw, surface, stream=stream)
    assert (client.status, client.headers["x-cache"], len(gw.mock.hits)) == (200, "MISS", 2)


REFUSED = {
    "/v1/messages": (b'"end_turn"', b'"refusal"'),
    "/v1/responses": (b'"completed"', b'"incomplete"'),
    "/v1/completions": (b'"stop"', b'"content_filter"'),
    "/v1/chat/completions": (b'"stop"', b'"content_filter"'),
    "gemini": (b'"STOP"', b'"SAFETY"'),
}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("surface", [each for each in KEPT if each.streams], ids=str)
async def test_what_was_refused_or_filtered_is_not_kept(tmp_path: Path, surface: Surface, stream: bool) -> None:
    path, _, wire = surface.way(stream=stream)
    native = {"anthropic": "/v1/messages", "gemini": "gemini"}.get(surface.kind, "/v1/chat/completions")
    good, bad = REFUSED[path if path in {"/v1/responses", "/v1/completions"} and surface.kind == "openai" else native]
    answer = wire.answer(BILLS[id(wire)][0], stream=stream)
    pieces = [piece.replace(good, bad) for piece in answer.chunks or () if isinstance(piece, bytes)]
    body = (answer.body or b"").replace(good, bad)
    answer = Answer(headers=EVENTS, chunks=pieces) if stream else Answer(headers=JSON, body=body)
    async with caching(tmp_path, surface.kind) as gw:
        gw.mock.script("*", answer)
        seen = [(await ask(gw, surface, stream=stream)).headers.get("x-cache") for _ in range(2)]
    assert "HIT" not in seen


NEVER: list[tuple[str, str, Any]] = [
    ("openai", "/v1/responses", {"store": True}),
    ("openai", "/v1/responses", {"tools": [{"type": "web_search"}]}),
    ("openai", "/v1/responses", {"tools": [{"type": "mcp", "server_label": "x"}]}),
    ("openai", "/v1/responses", {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}),
    ("openai", "/v1/chat/completions", {"store": True}),
    ("openai", "/v1/chat/completions", {"web_search_options": {}}),
    ("anthropic", "/v1/messages", {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
    ("anthropic", "/v1/messages", {"mcp_servers": [{"type": "url", "name": "x"}]}),
    ("anthropic", "/v1/messages", {"container": "c1"}),
    ("gemini", "gemini", {"tools": [{"googleSearch": {}}]}),
    ("gemini", "gemini", {"tools": [{"functionDeclarations": [], "codeExecution": {}}]}),
    ("gemini", "gemini", {"cachedContent": "cachedContents/1"}),
    ("gemini", "gemini", {"contents": [{"parts": [{"fileData": {"fileUri": "files/1"}}]}]}),
]
STILL: list[tuple[str, str, Any]] = [
    ("openai", "/v1/responses", {"store": False, "tools": [{"type": "function", "name": "f", "parameters": {}}]}),
    ("anthropic", "/v1/messages", {"tools": [{"name": "f", "input_schema": {"type": "object"}}]}),
    ("anthropic", "/v1/messages", {"tools": [{"type": "bash_20250124", "name": "bash"}]}),
    ("gemini", "gemini", {"tools": [{"functionDeclarations": [{"name": "f"}]}]}),
    ("openai", "/v1/chat/completions", {"store": False, "messages": [{"role": "user", "content": 'a "file_id": 1'}]}),
]


def found(kind: str, path: str) -> Surface:
    return next(each for each in KEPT if each.kind == kind and (each.path == path or each.name == f"{path}-v1"))


@pytest.mark.parametrize(
    ("kind", "path", "extra", "kept"), [(*each, False) for each in NEVER] + [(*each, True) for each in STILL]
)
async def test_what_depends_on_a_providers_memory_or_tools_is_never_kept(
    tmp_path: Path, kind: str, path: str, extra: Any, kept: bool
) -> None:
    surface = found(kind, path)
    answer = surface.wire.answer(BILLS[id(surface.wire)][0], stream=False)
    async with caching(tmp_path, kind) as gw:
        gw.mock.script("*", surface.way(stream=False)[2].answer(BILLS[id(surface.wire)][0], stream=False) or answer)
        seen = [(await gw(surface.path, surface.body | extra)).headers["x-cache"] for _ in range(2)]
    assert seen == (["MISS", "HIT"] if kept else ["BYPASS", "BYPASS"])


@pytest.mark.parametrize("surface", OWN, ids=str)
async def test_providers_own_apis_are_not_kept(tmp_path: Path, surface: Surface) -> None:
    async with caching(tmp_path, surface.kind) as gw:
        gw.mock.script("*", surface.wire.answer(BILLS[id(surface.wire)][0], stream=False))
        seen = [(await ask(gw, surface, stream=False)).headers["x-cache"] for _ in range(2)]
    assert (seen, len(gw.mock.hits)) == (["BYPASS", "BYPASS"], 2)


async def test_what_was_left_out_of_a_request_is_told_again(tmp_path: Path) -> None:
    surface = found("openai", "/v1/messages")
    async with caching(tmp_path, "openai") as gw:
        gw.mock.script("*", surface.wire.answer(BILLS[id(surface.wire)][0], stream=False))
        first, again = [await gw(surface.path, surface.body | {"top_k": 5}) for _ in range(2)]
    assert again.headers["x-cache"] == "HIT"
    assert again.headers["x-qlite-ignored"] == first.headers["x-qlite-ignored"] == "top_k"
