"""What a target cannot say, or leaves out, is named in the words of whoever asked."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from loadtest.mockserver import Answer, MockServer
from proxy import serving
from proxy.dialects.base import Dialect
from proxy.dialects.callers_words import WORDS, said
from proxy.dialects.completions import Completions
from proxy.dialects.gemini import GeminiCaller
from proxy.dialects.messages import Messages
from proxy.dialects.responses import Responses
from proxy.errors import GatewayError
from proxy.upstream import Upstream
from routing.values import Provider
from tests.gateway import wires
from tests.proxy.harness import TIMEOUTS, bench, provider, route
from tests.proxy.providers.passing import Scripted

ANSWER = {
    "type": "message",
    "content": [{"type": "text", "text": "x"}],
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
PICTURE = "data:image/svg+xml;base64,AA=="
DIALECTS: dict[str, Dialect] = {
    "responses": Responses(),
    "completions": Completions(),
    "anthropic": Messages(),
    "gemini": GeminiCaller(),
}


async def asked(folder: Path, surface: str, body: dict[str, Any], kind: str = "anthropic") -> Any:
    """What comes of a request to a Claude that neither samples nor can be made to call: the reply, or the error."""
    place = Provider("up", kind, "https://up.example", secret="s")
    url: dict[str, Any] = {"model": "m", "stream": False} if surface == "gemini" else {}
    raw = orjson.dumps(body if url else body | {"model": "m"})
    served = {"anthropic": "claude-opus-5-5", "gemini": "gemini-4-argon"}[kind]
    async with bench(folder, [route("m", (place, served))]) as gw:
        provider = Scripted(parts=[orjson.dumps(ANSWER | {"candidates": [{"finishReason": "STOP"}]})])
        gw.gateway.upstream = Upstream(TIMEOUTS, max_response_bytes=10**6, transports={kind: provider})
        try:
            return await serving.serve(gw.gateway, gw.receive(size=len(raw), dialect=DIALECTS[surface]), raw, **url)
        except GatewayError as error:
            return error


@pytest.mark.parametrize(
    ("surface", "body", "param"),
    [
        ("responses", {"input": "Hi", "top_logprobs": 2}, "top_logprobs"),
        (
            "responses",
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": PICTURE}]}]},
            "input",
        ),
        ("completions", {"prompt": "Hi", "logprobs": 2}, "logprobs"),
        ("completions", {"prompt": "Hi", "n": 2}, "n"),
        (
            "gemini",
            {"contents": [{"parts": [{"inlineData": {"mimeType": "image/svg+xml", "data": "AA=="}}]}]},
            "contents",
        ),
        (
            "gemini",
            {"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": {"responseLogprobs": True}},
            "generationConfig.responseLogprobs",
        ),
        (
            "gemini",
            {"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": {"candidateCount": 2}},
            "generationConfig.candidateCount",
        ),
    ],
)
async def test_a_refusal_names_the_callers_own_parameter(
    tmp_path: Path, surface: str, body: dict[str, Any], param: str
) -> None:
    error = await asked(tmp_path, surface, body)
    assert (error.status, error.param) == (400, param)


async def test_callers_of_anthropics_dialect_too(tmp_path: Path) -> None:
    picture = {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "http://x.example/a"}}]}
    error = await asked(tmp_path, "anthropic", {"messages": [picture], "max_tokens": 9}, "gemini")
    assert (error.status, error.param) == (400, "messages")


async def test_a_hint_is_named_in_the_callers_words(tmp_path: Path) -> None:
    ask = {"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": {"temperature": 0.5, "seed": 7, "topK": 3}}
    reply = await asked(tmp_path, "gemini", ask)
    named = ["generationConfig.seed", "generationConfig.temperature", "generationConfig.topK"]
    assert sorted(reply.ignored) == named


def test_what_has_no_other_name_keeps_its_own() -> None:
    assert said("messages[2].content[0].type", "openai") == "messages[2].content[0].type"
    for dialect in WORDS:
        assert said("tools[0].function.name", dialect) == "tools"
        assert said("something", dialect) == "something"
    assert said("messages.reasoning_content", "anthropic") == "messages.reasoning_content"
    assert (
        said("messages.reasoning_content", "gemini") == said("reasoning_content", "gemini") == "contents.parts.thought"
    )


@pytest.mark.parametrize(
    ("surface", "body", "param"),
    [
        ("responses", {"input": "Hello"}, "input"),
        ("completions", {"prompt": "Hello"}, "prompt"),
        ("anthropic", {"max_tokens": 5, "messages": [{"role": "user", "content": "Hello"}]}, "messages"),
    ],
)
async def test_what_a_provider_of_another_dialect_names_is_named_in_the_callers_words(
    tmp_path: Path, surface: str, body: dict[str, Any], param: str
) -> None:
    error = {"message": "No.", "type": "invalid_request_error", "param": "messages[0].content", "code": None}
    answer = Answer(status=400, headers={"content-type": "application/json"}, body=orjson.dumps({"error": error}))
    async with MockServer() as mock:
        mock.script("*", answer)
        # Completions pass to most who speak OpenAI's dialect, but not to Groq.
        place = replace(provider(mock.base_url), kind="groq" if surface == "completions" else "openai-compatible")
        async with bench(tmp_path, [route("m", (place, "up"))]) as gw:
            with pytest.raises(GatewayError) as caught:
                await gw.ask(body | {"model": "m"}, dialect=DIALECTS[surface])
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize("kind", ["anthropic", "gemini"])
async def test_what_is_left_out_of_a_picture_is_not_called_the_whole_input(tmp_path: Path, kind: str) -> None:
    shown = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "high"}
    reply = await asked(tmp_path, "responses", {"input": [{"role": "user", "content": [shown]}]}, kind)
    assert reply.ignored == ("input.content.detail",)


@pytest.mark.parametrize(
    ("surface", "body"),
    [
        ("responses", {"input": "Hi", "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": True}]}),
        (
            "anthropic",
            {
                "max_tokens": 9,
                "messages": [{"role": "user", "content": "Hi"}],
                "tools": [{"name": "f", "input_schema": {}, "strict": True}],
            },
        ),
    ],
)
async def test_a_strict_function_is_named_where_its_caller_says_so(
    tmp_path: Path, surface: str, body: dict[str, Any]
) -> None:
    assert (await asked(tmp_path, surface, body, "gemini")).ignored == ("tools.strict",)


OFF = {
    "anthropic": {
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hi"}],
        "thinking": {"type": "disabled"},
    },
    "gemini": {
        "contents": [{"parts": [{"text": "Hi"}]}],
        "generationConfig": {"thinkingConfig": {"thinkingBudget": 0}},
    },
}


@pytest.mark.parametrize(
    ("surface", "kind", "model", "told", "named"),
    [
        ("anthropic", "gemini", "gemini-2.5-flash", {"thinkingConfig": {"thinkingBudget": 0}}, ()),
        ("anthropic", "gemini", "gemini-2.5-pro", {"thinkingConfig": {"thinkingBudget": 128}}, ("thinking",)),
        ("gemini", "anthropic", "claude-opus-5", {"type": "disabled"}, ()),
        ("gemini", "anthropic", "claude-opus-5-5", None, ("generationConfig.thinkingConfig",)),
        ("anthropic", "openai-compatible", "m", None, ("thinking",)),
        ("gemini", "openai", "m", None, ("generationConfig.thinkingConfig",)),
    ],
)
async def test_thinking_is_off_where_that_can_be_said_and_named_where_not(
    tmp_path: Path, surface: str, kind: str, model: str, told: Any, named: tuple[str, ...]
) -> None:
    url: dict[str, Any] = {"model": "m", "stream": False} if surface == "gemini" else {}
    raw = orjson.dumps(OFF[surface] if url else OFF[surface] | {"model": "m"})
    async with MockServer() as mock:
        mock.script("*", lambda hit: wires.WIRES[kind if kind in wires.WIRES else "openai-compatible"](hit, "text"))
        root = mock.base_url.removesuffix("/v1") if kind in ("anthropic", "gemini") else mock.base_url
        async with bench(tmp_path, [route("m", (replace(provider(root), kind=kind), model))]) as gw:
            call = gw.receive(size=len(raw), dialect=DIALECTS[surface])
            reply = await serving.serve(gw.gateway, call, raw, **url)
        sent = mock.hits[0].json
    assert reply.ignored == named
    assert sent.get("thinking") == (told if kind == "anthropic" else None)
    assert sent.get("generationConfig", {}).get("thinkingConfig") == (told or {}).get("thinkingConfig")
    assert "reasoning_effort" not in sent
