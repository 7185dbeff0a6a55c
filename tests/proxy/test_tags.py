"""Tags on every surface: kept where the setting names them, never passed on; a bad header is refused."""

from pathlib import Path
from typing import Any

import pytest

from loadtest.mockserver import MockServer
from tests.proxy.harness import provider, route
from tests.proxy.native.harness import Passer, passing

HELLO = [{"role": "user", "content": "Hello"}]
CHAT = {"model": "m", "messages": HELLO}
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
SURFACES = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": {"model": "m", "prompt": "Hello"},
    "/v1/responses": {"model": "m", "input": "Hello"},
    "/v1/messages": CHAT | {"max_tokens": 9},
    "/v1beta/models/m:generateContent": CONTENTS,
    "/proxy": CHAT,
    "/v1/embeddings": {"model": "m", "input": "Hello"},
    "/v1/moderations": {"model": "m", "input": "Hello"},
    "/openai/v1/chat/completions": CHAT,
    "/openai/v1/novelties": {"model": "m"},
}


def served(mock: MockServer) -> Any:
    return [route("m", (provider(mock.base_url), "ok"))]


def keep(gateway: Passer, *names: str) -> None:
    gateway.bench.gateway.tag_names = frozenset(names)


@pytest.mark.parametrize("path", SURFACES)
async def test_it_keeps_the_headers_tags_and_passes_none_on(path: str, tmp_path: Path) -> None:
    async with passing(tmp_path, "openai", routes=served) as call:
        keep(call, "project", "feature")
        await call(path, SURFACES[path], x_qlite_tags="project=checkout,  feature = a b ,other=1")
        row = await call.bench.row()
        assert row.tags == {"project": "checkout", "feature": "a b"}
        assert all("x-qlite-tags" not in hit.headers for hit in call.mock.hits)


@pytest.mark.parametrize("path", [path for path in SURFACES if "contents" not in SURFACES[path]])
async def test_it_keeps_allowed_strings_of_the_metadata(path: str, tmp_path: Path) -> None:
    async with passing(tmp_path, "openai", routes=served) as call:
        keep(call, "project", "feature")
        told = {"project": "checkout", "feature": "from the body", "secret": "x"}
        await call(path, SURFACES[path] | {"metadata": told}, x_qlite_tags="feature=search")
        assert (await call.bench.row()).tags == {"project": "checkout", "feature": "search"}


async def test_it_says_what_it_does_not_keep(tmp_path: Path) -> None:
    async with passing(tmp_path, "openai", routes=served) as call:
        keep(call, "project", "feature", "n")
        told = {"project": "x" * 257, "n": 1, "feature": "", "other": "x"}
        answer = await call("/v1/chat/completions", CHAT | {"metadata": told}, x_qlite_tags="team=blue")
        assert answer.status == 200
        assert answer.headers["x-qlite-ignored"] == "X-Qlite-Tags: team, metadata.n, metadata.project"
        assert (await call.bench.row()).tags == {}


@pytest.mark.parametrize(
    "header",
    [
        *("project", "=x", "project=", "a b=c", "project=1,project=2", "project=caf\u00e9", ","),
        "project=" + "x" * 257,
        ",".join(f"t{number}=x" for number in range(17)),
    ],
)
async def test_it_refuses_a_header_that_it_cannot_read(header: str, tmp_path: Path) -> None:
    async with passing(tmp_path, "openai", routes=served) as call:
        keep(call, "project")
        client = await call("/v1/chat/completions", CHAT, x_qlite_tags=header)
        assert (client.status, client.json["error"]["code"]) == (400, "invalid_tags")
        assert client.json["error"]["param"] == "X-Qlite-Tags"
        assert call.mock.hits == []
        assert (await call.bench.row()).error == "invalid_tags"


async def test_it_refuses_in_the_callers_words(tmp_path: Path) -> None:
    async with passing(tmp_path, "openai", routes=served) as call:
        keep(call, "project")
        anthropic = await call("/v1/messages", SURFACES["/v1/messages"], x_qlite_tags="?")
        assert (anthropic.status, anthropic.json["type"]) == (400, "error")
        gemini = await call("/v1beta/models/m:generateContent", CONTENTS, x_qlite_tags="?")
        assert (gemini.status, gemini.json["error"]["status"]) == (400, "INVALID_ARGUMENT")


async def test_without_the_setting_it_does_not_look(tmp_path: Path) -> None:
    async with passing(tmp_path, "openai", routes=served) as call:
        answer = await call(
            "/v1/chat/completions", CHAT | {"metadata": {"project": "x"}}, x_qlite_tags="no tags at all"
        )
        assert answer.status == 200
        assert "x-qlite-ignored" not in answer.headers
        assert (await call.bench.row()).tags == {}
