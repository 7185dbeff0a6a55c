"""An error under a good status is an error: the next target is tried, nothing is billed, and the caller hears of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from loadtest.mockserver import Answer, MockServer
from proxy import serving
from proxy.call import Reply
from proxy.dialects.base import Dialect
from proxy.dialects.completions import Completions
from proxy.dialects.gemini import GeminiCaller
from proxy.dialects.messages import Messages
from proxy.dialects.responses import Responses
from proxy.errors import UpstreamError, UpstreamRefused
from routing.values import Provider
from tests.proxy.harness import ASK, Bench, bench, provider, route

SAID = [{"role": "user", "content": "Hello"}]
MESSAGES = {"model": "m", "max_tokens": 9, "messages": SAID}
OPENROUTER = {"error": {"code": 402, "message": "Insufficient credits"}, "user_id": "u"}
ANTHROPIC = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
GOOGLE = {"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}
UNKNOWN = {"error": {"message": "Something is odd", "type": "mystery"}}
WORDS = {"error": "out of memory"}
CASES: list[tuple[str, Dialect | None, Any, Any, int, str]] = [
    ("openai-compatible", None, ASK, OPENROUTER, 429, "insufficient_quota"),
    ("openai-compatible", None, ASK, UNKNOWN, 502, "upstream_error"),
    ("openai-compatible", None, ASK, WORDS, 502, "upstream_error"),
    ("openai-compatible", Messages(), MESSAGES, OPENROUTER, 429, "insufficient_quota"),
    ("openai-compatible", Completions(), {"model": "m", "prompt": "Hello"}, OPENROUTER, 429, "insufficient_quota"),
    ("openai", Responses(), {"model": "m", "input": "Hello"}, UNKNOWN, 502, "upstream_error"),
    ("anthropic", None, ASK, ANTHROPIC, 503, "upstream_error"),
    ("anthropic", Messages(), MESSAGES, ANTHROPIC, 503, "upstream_error"),
    ("gemini", GeminiCaller(), {"contents": [{"parts": [{"text": "Hello"}]}]}, GOOGLE, 503, "upstream_error"),
]


def of_kind(mock: MockServer, kind: str, name: str = "mock") -> Provider:
    return replace(provider(mock.base_url, name), kind=kind)


def answer(body: Any) -> Answer:
    return Answer(headers={"content-type": "application/json"}, body=orjson.dumps(body))


async def ask(gw: Bench, asked: Any, dialect: Dialect | None, *, stream: bool) -> Reply:
    url: dict[str, Any] = {} if "model" in asked else {"model": "m", "stream": stream}
    raw = orjson.dumps(asked if url else asked | {"stream": stream})
    return await serving.serve(gw.gateway, gw.receive(size=len(raw), dialect=dialect), raw, **url)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("kind", "dialect", "asked", "said", "status", "code"), CASES)
async def test_it_is_told_as_one_and_costs_nothing(
    kind: str, dialect: Dialect | None, asked: Any, said: Any, status: int, code: str, stream: bool, tmp_path: Path
) -> None:
    """Who asks for a stream is answered with JSON all the same; an error of no known kind is called a break there."""
    async with MockServer() as mock, bench(tmp_path, [route("m", (of_kind(mock, kind), "m"), retries=0)]) as gw:
        mock.script("*", answer(said))
        with pytest.raises(UpstreamError) as caught:
            await ask(gw, asked, dialect, stream=stream)
        code = "stream_interrupted" if stream and said in (UNKNOWN, WORDS) else code
        assert (caught.value.status, caught.value.code) == (status, code)
        assert not isinstance(caught.value, UpstreamRefused)
        row = await gw.row()
        assert (row.status, row.cost_nano, row.usage_source) == ("failed", 0, "none")


async def test_the_next_target_is_tried(tmp_path: Path) -> None:
    async with MockServer() as mock:
        first, second = of_kind(mock, "openai-compatible", "first"), of_kind(mock, "openai-compatible", "second")
        async with bench(tmp_path, [route("m", (first, "poor"), (second, "ok"))]) as gw:
            mock.script("poor", answer(OPENROUTER))
            reply = await gw.ask(ASK)
            assert orjson.loads(reply.body)["choices"]
            assert [each.status for each in (await gw.row()).attempts] == ["failed", "settled"]


async def test_who_blames_the_request_is_believed(tmp_path: Path) -> None:
    said = {"error": {"message": "No such tool.", "type": "invalid_request_error", "param": "tools", "code": None}}
    async with MockServer() as mock:
        first, second = of_kind(mock, "openai-compatible", "first"), of_kind(mock, "openai-compatible", "second")
        async with bench(tmp_path, [route("m", (first, "picky"), (second, "ok"))]) as gw:
            mock.script("picky", answer(said))
            with pytest.raises(UpstreamRefused) as caught:
                await gw.ask(ASK)
            assert (caught.value.status, caught.value.param, caught.value.message) == (400, "tools", "No such tool.")


async def test_an_answer_with_an_error_beside_it_is_an_answer(tmp_path: Path) -> None:
    failed = {"object": "response", "status": "failed", "error": {"code": "server_error", "message": "x"}, "output": []}
    async with MockServer() as mock, bench(tmp_path, [route("m", (of_kind(mock, "openai"), "m"))]) as gw:
        mock.script("*", answer(failed))
        reply = await gw.ask({"model": "m", "input": "Hello"}, dialect=Responses())
        assert orjson.loads(reply.body)["status"] == "failed"


async def test_an_answer_that_broke_off_is_not_told_as_a_whole_one(tmp_path: Path) -> None:
    """OpenRouter says so beside what there is of it: half an answer was made, and is billed."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "Half"}, "finish_reason": "error"}
    said = {"choices": [choice | {"error": {"code": 502, "message": "Gone."}}], "usage": {"prompt_tokens": 3}}
    async with MockServer() as mock:
        place = of_kind(mock, "openai-compatible")
        async with bench(tmp_path, [route("m", (place, "m"), retries=0)]) as gw:
            mock.script("*", answer(said))
            with pytest.raises(UpstreamError) as caught:
                await gw.ask(MESSAGES, dialect=Messages())
            assert (caught.value.status, caught.value.code) == (502, "upstream_error")
            row = await gw.row()
            assert (row.status, row.usage, row.usage_source) == ("interrupted", {"input": 3}, "provider")
