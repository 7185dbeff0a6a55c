"""A caller's own Authorization reaches a provider that wants it, and nobody else; a key of ours reaches nobody."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtest.mockserver import Answer, MockServer
from routing.values import Route
from tests.proxy.harness import route
from tests.proxy.native.harness import JSON, SECRET, of_kind, passing
from tests.site.test_handler import KEY

ASK: dict[str, Any] = {"model": "theirs", "messages": [{"role": "user", "content": "Hello"}]}
BOTH = {"authorization": "Bearer their-own-token", "x_api_key": KEY.text}
PATHS = ["/v1/chat/completions", "/v1/rerank"]


def routed(mock: MockServer) -> list[Route]:
    wants = of_kind("openai-compatible", mock, secret=None, forward_authorization=True, name="wants")
    return [
        route("theirs", (wants, "m")),
        route("ours", (replace(wants, name="has", secret=SECRET), "m")),
        route("neither", (replace(wants, name="plain", forward_authorization=False), "m")),
    ]


@pytest.mark.parametrize("path", PATHS)
async def test_it_goes_where_it_is_wanted(tmp_path: Path, path: str) -> None:
    async with passing(tmp_path, routes=routed) as call:
        call.say({"choices": []})
        assert (await call(path, ASK, **BOTH)).status == 200
        assert call.mock.hits[-1].headers["authorization"] == "Bearer their-own-token"
        assert (await call(path, ASK | {"model": "ours"}, **BOTH)).status == 200
        assert call.mock.hits[-1].headers["authorization"] == f"Bearer {SECRET}"
        assert (await call(path, ASK | {"model": "neither"}, **BOTH)).status == 200
        assert "authorization" not in call.mock.hits[-1].headers
        assert KEY.text not in str([hit.header_lines for hit in call.mock.hits])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "headers", [{}, {"x_api_key": KEY.text}, {"authorization": f"Basic x {KEY.text}", "x_api_key": KEY.text}]
)
async def test_a_key_of_ours_never_goes(tmp_path: Path, path: str, headers: dict[str, str]) -> None:
    async with passing(tmp_path, routes=routed) as call:
        call.say({"choices": []})
        await call(path, ASK, **headers)
        assert all("authorization" not in hit.headers for hit in call.mock.hits)


async def test_without_a_key_of_ours_nobody_gets_in(tmp_path: Path) -> None:
    async with passing(tmp_path, routes=routed) as call:
        for headers in ({"authorization": BOTH["authorization"]}, BOTH | {"x_api_key": "sk-ql_wrong"}):
            assert (await call("/v1/chat/completions", ASK, **headers)).status == 401
        assert not call.mock.hits


async def test_without_such_a_provider_only_authorization_counts(tmp_path: Path) -> None:
    async with passing(tmp_path, routes=lambda mock: routed(mock)[2:]) as call:
        assert (await call("/v1/chat/completions", ASK | {"model": "neither"}, **BOTH)).status == 401


@pytest.mark.parametrize("path", PATHS)
async def test_a_token_that_is_refused_is_the_callers_trouble(tmp_path: Path, path: str) -> None:
    async with passing(tmp_path, routes=routed) as call:
        call.mock.script("*", Answer(status=401, headers=JSON, body=b"{}"))
        client = await call(path, ASK, **BOTH)
        assert (client.status, client.json["error"]["code"]) == (401, "upstream_auth_error")
        assert call.bench.gateway.health.state("wants/m", call.bench.gateway.clock()) != "failing"
        assert (await call(path, ASK | {"model": "ours"}, **BOTH)).status == 502


async def test_answers_to_somebodys_token_are_not_kept(tmp_path: Path) -> None:
    async with passing(tmp_path, routes=lambda mock: [replace(each, cache_ttl=60) for each in routed(mock)]) as call:
        call.say({"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1}})
        for _ in range(2):
            assert (await call("/v1/chat/completions", ASK, **BOTH)).headers["x-cache"] == "BYPASS"
        assert len(call.mock.hits) == 2
