"""Signed thoughts go to the caller and come back with the next turn, whatever the caller speaks, plain and streamed."""

import asyncio
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from openai.lib.streaming._deltas import accumulate_delta

from proxy import serving, sse
from proxy.dialects.base import Asked, Dialect
from proxy.dialects.gemini import GeminiCaller, signed
from proxy.dialects.messages import Messages
from proxy.dialects.responses import Responses
from proxy.providers.gemini.contents import NO_SIGNATURE
from proxy.upstream import Upstream
from routing.values import Provider
from tests.proxy.harness import TIMEOUTS, bench, read, route
from tests.proxy.providers.passing import Scripted

Json = dict[str, Any]
NAME, ARGUMENTS = "get_weather", {"city": "Rome"}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
MODELS = {"anthropic": "claude-opus-4-6", "anthropic-budget": "claude-haiku-4-5", "gemini": "gemini-3-pro"}
SURFACES: dict[str, Dialect | None] = {
    "chat": None,
    "responses": Responses(),
    "messages": Messages(),
    "gemini": GeminiCaller(),
}
USE = {"type": "tool_use", "id": "toolu_1", "name": NAME, "input": ARGUMENTS}
THOUGHT = {"type": "thinking", "thinking": "Look it up.", "signature": "c2ln"}
HIDDEN = {"type": "redacted_thinking", "data": "cmVk"}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "c", "stop_reason": "tool_use"}
MESSAGE |= {"content": [THOUGHT, HIDDEN, USE], "usage": {"input_tokens": 1, "output_tokens": 1}}  # type: ignore[dict-item]
CALL = {"functionCall": {"name": NAME, "args": ARGUMENTS, "id": "call_1"}, "thoughtSignature": "c2ln"}
CANDIDATE = {"index": 0, "content": {"role": "model", "parts": [{"text": "Look.", "thought": True}, CALL]}}
CANDIDATES = {"candidates": [CANDIDATE | {"finishReason": "STOP"}]}


def started(place: int, block: Json, *deltas: Json) -> list[Json]:
    grown = [{"type": "content_block_delta", "index": place, "delta": delta} for delta in deltas]
    begun: Json = {"type": "content_block_start", "index": place, "content_block": block}
    return [begun, *grown, {"type": "content_block_stop", "index": place}]


EVENTS: list[Json] = [
    {"type": "message_start", "message": MESSAGE | {"content": [], "stop_reason": None}},
    *started(
        *(0, THOUGHT | {"thinking": "", "signature": ""}),
        *({"type": "thinking_delta", "thinking": "Look it up."}, {"type": "signature_delta", "signature": "c2ln"}),
    ),
    *started(1, HIDDEN),
    *started(2, USE | {"input": {}}, {"type": "input_json_delta", "partial_json": '{"city":"Rome"}'}),
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 1}},
    {"type": "message_stop"},
]
PLAIN: dict[str, Json] = {"anthropic": MESSAGE, "gemini": CANDIDATES}
STREAMED: dict[str, list[Json]] = {"anthropic": EVENTS, "gemini": [CANDIDATES]}

ASK: dict[str, Json] = {
    "chat": {
        "messages": [{"role": "user", "content": "Weather?"}],
        "tools": [{"type": "function", "function": {"name": NAME, "parameters": PARAMETERS}}],
        "reasoning_effort": "low",
    },
    "responses": {
        "input": [{"role": "user", "content": "Weather?"}],
        "tools": [{"type": "function", "name": NAME, "parameters": PARAMETERS}],
        "reasoning": {"effort": "low"},
    },
    "messages": {
        "messages": [{"role": "user", "content": "Weather?"}],
        "tools": [{"name": NAME, "input_schema": PARAMETERS}],
        "max_tokens": 4096,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    },
    "gemini": {
        "contents": [{"role": "user", "parts": [{"text": "Weather?"}]}],
        "tools": [{"functionDeclarations": [{"name": NAME, "parametersJsonSchema": PARAMETERS}]}],
        "generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True}},
    },
}


def with_result(surface: str, ask: Json, told: Any) -> Json:
    """The next request: what was told, as a client keeps it, and what its tool brought. A list is a stream's events."""
    if surface == "chat":
        message = told["choices"][0]["message"] if isinstance(told, dict) else _accumulated(told)
        result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "18C"}
        return ask | {"messages": [*ask["messages"], message, result]}
    if surface == "responses":
        output = (told if isinstance(told, dict) else told[-1]["response"])["output"]
        call = next(item for item in output if item["type"] == "function_call")
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": "18C"}
        return ask | {"input": [*ask["input"], *output, result]}
    if surface == "messages":
        blocks = told["content"] if isinstance(told, dict) else _blocks(told)
        result = {"type": "tool_result", "tool_use_id": blocks[-1]["id"], "content": "18C"}
        turns = [{"role": "assistant", "content": blocks}, {"role": "user", "content": [result]}]
        return ask | {"messages": [*ask["messages"], *turns]}
    events = [told] if isinstance(told, dict) else told
    parts = [part for event in events for part in event["candidates"][0]["content"]["parts"]]
    call = next(part["functionCall"] for part in parts if "functionCall" in part)
    answer = {"name": NAME, "response": {"result": "18C"}} | ({"id": call["id"]} if "id" in call else {})
    turns = [{"role": "model", "parts": parts}, {"role": "user", "parts": [{"functionResponse": answer}]}]
    return ask | {"contents": [*ask["contents"], *turns]}


def _accumulated(chunks: list[Json]) -> Json:
    message: dict[object, object] = {}
    for chunk in chunks:
        message = accumulate_delta(message, chunk["choices"][0]["delta"])
    calls: Any = message["tool_calls"]
    for call in calls:
        del call["index"]
    return message  # type: ignore[return-value]


def _blocks(events: list[Json]) -> list[Json]:
    blocks: dict[int, Json] = {}
    for event in events:
        if event["type"] == "content_block_start":
            blocks[event["index"]] = dict(event["content_block"])
        elif event["type"] == "content_block_delta":
            block, delta = blocks[event["index"]], event["delta"]
            if delta["type"] == "input_json_delta":
                block["input"] = json.loads(delta["partial_json"])
            else:
                name = delta["type"].removesuffix("_delta")
                block[name] = block.get(name, "") + delta[name]
    return list(blocks.values())


def forgotten(told: Any) -> Any:
    """What many frameworks keep of an answer: no member that their own types do not have, and no reasoning."""
    if isinstance(told, list):
        return [forgotten(each) for each in told if not (isinstance(each, dict) and each.get("type") == "reasoning")]
    if not isinstance(told, dict):
        return told
    lost = ("extra_content", "thinking_blocks", "reasoning_content")
    return {name: forgotten(each) for name, each in told.items() if name not in lost}


async def second_request(folder: Path, surface: str, model: str, *, stream: bool, forgetful: bool = False) -> Json:
    """What the provider is asked with the second turn."""
    kind = model.partition("-")[0]
    place = Provider("up", kind, "https://up.example", secret="s")
    parts = [b"data: " + orjson.dumps(each) + b"\n\n" for each in STREAMED[kind]] if stream else None
    provider = Scripted(parts=parts or [orjson.dumps(PLAIN[kind])])
    async with bench(folder, [route("m", (place, MODELS[model]))]) as gw:
        gw.gateway.upstream = Upstream(TIMEOUTS, max_response_bytes=10**6, transports={kind: provider})

        async def ask(body: Json) -> Any:
            url: Json = {"model": "m", "stream": stream} if surface == "gemini" else {}
            raw = orjson.dumps(body | ({} if url else {"model": "m", "stream": stream}))
            reply = await serving.serve(gw.gateway, gw.receive(size=len(raw), dialect=SURFACES[surface]), raw, **url)
            if reply.stream is None:
                return orjson.loads(reply.body)
            data = [sse.data_of(event) for event in sse.events(await read(reply))]
            return [json.loads(each) for each in data if each and each != b"[DONE]"]

        told = await ask(ASK[surface])
        await ask(with_result(surface, ASK[surface], forgotten(told) if forgetful else told))
        body: Json = orjson.loads(provider.sent[-1].content)
        return body


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("model", ["anthropic", "anthropic-budget"])
def test_signed_thoughts_lead_the_turn_they_came_with(tmp_path: Path, model: str, surface: str, stream: bool) -> None:
    body = asyncio.run(second_request(tmp_path, surface, model, stream=stream))
    answered = body["messages"][1]
    assert (answered["role"], answered["content"]) == ("assistant", [THOUGHT, HIDDEN, USE])
    assert body["thinking"]["type"] in ("adaptive", "enabled")


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("surface", SURFACES)
def test_googles_signature_stands_on_its_call(tmp_path: Path, surface: str, stream: bool) -> None:
    body = asyncio.run(second_request(tmp_path, surface, "gemini", stream=stream))
    call = next(part for part in body["contents"][1]["parts"] if "functionCall" in part)
    assert call == CALL


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("surface", ["chat", "responses", "messages"])
def test_googles_signature_is_remembered_for_clients_that_lose_it(tmp_path: Path, surface: str, stream: bool) -> None:
    body = asyncio.run(second_request(tmp_path, surface, "gemini", stream=stream, forgetful=True))
    call = next(part for part in body["contents"][1]["parts"] if "functionCall" in part)
    assert call == CALL


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("surface", ["chat", "responses"])
def test_claude_goes_on_thinking_for_clients_that_lose_its_thoughts(tmp_path: Path, surface: str, stream: bool) -> None:
    body = asyncio.run(second_request(tmp_path, surface, "anthropic-budget", stream=stream, forgetful=True))
    assert body["messages"][1]["content"] == [THOUGHT, HIDDEN, USE]
    assert body["thinking"]["type"] == "enabled"
    # Newer models do without: their thoughts are of one conversation, which a client may have cut.
    body = asyncio.run(second_request(tmp_path, surface, "anthropic", stream=stream, forgetful=True))
    assert body["messages"][1]["content"] == [USE]


def test_google_is_shown_no_signature_but_its_own() -> None:
    parts: list[Json] = [dict(CALL)]
    signed.sign(parts, [THOUGHT])
    foreign = parts[0]["thoughtSignature"]
    assert signed.thoughts_of(foreign) == signed.thoughts_of(foreign.translate(str.maketrans("+/", "-_"))) == [THOUGHT]
    for name in ("thoughtSignature", "thought_signature"):
        raw = b'{"contents": [ {"parts":[{"text":"%s", "%s" : "%s"}]}]}'
        given = raw % (foreign.encode(), name.encode(), foreign.encode())
        asked = GeminiCaller().as_native(Asked(given, orjson.loads(given), "m", stream=False))
        assert asked.raw == raw % (foreign.encode(), name.encode(), NO_SIGNATURE.encode())
    own = Asked(b'{"contents":[]}', {"contents": []}, "m", stream=False)
    assert GeminiCaller().as_native(own) is own


@pytest.mark.parametrize(
    "text", ["", "c2ln", "cWxpdGU6", "cWxpdGU6!", "cWxpdGU6eyJ9", "cWxpdGU6W10=", "cWxpdGU6WzFd", None, 5]
)
def test_what_is_no_signature_of_ours_holds_nothing(text: Any) -> None:
    assert signed.thoughts_of(text) == []


def told_to_anthropic(*answers: list[Json]) -> list[Json]:
    """What Anthropic is told of a conversation whose earlier answers came from others by way of us."""
    messages: list[Json] = []
    for answer in answers:
        messages += [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": answer}]
    body = {"model": "m", "max_tokens": 9, "messages": [*messages, {"role": "user", "content": "Go on"}]}
    asked = Messages().as_native(Messages().parse(orjson.dumps(body)))
    assert orjson.loads(asked.raw) == asked.body
    return list(asked.body["messages"])


def test_anthropic_is_shown_no_thought_that_nobody_signed() -> None:
    unsigned = {"type": "thinking", "thinking": "Look.", "signature": ""}
    text = {"type": "text", "text": "Hi"}
    assert told_to_anthropic([unsigned, text])[1]["content"] == [text]
    assert told_to_anthropic([THOUGHT, HIDDEN, text])[1]["content"] == [THOUGHT, HIDDEN, text]
    # An answer that was nothing but thought leaves no empty turn behind, which would be refused as well.
    assert [each["role"] for each in told_to_anthropic([unsigned], [text])] == ["user", "user", "assistant", "user"]


def test_anthropic_is_shown_calls_as_it_takes_them() -> None:
    called = told_to_anthropic([USE | {"id": "functions.f:0", "extra_content": {"google": {}}}])[1]["content"][0]
    assert "extra_content" not in called and called["input"] == ARGUMENTS
    result = {"type": "tool_result", "tool_use_id": "functions.f:0", "content": "18C"}
    assert told_to_anthropic([result])[1]["content"][0]["tool_use_id"] == called["id"] != "functions.f:0"


def test_a_conversation_without_anything_foreign_passes_byte_for_byte() -> None:
    raw = b'{"model":"m" ,"max_tokens":9,"messages":[ {"role":"assistant","content":[%s,%s]} ]}'
    asked = Messages().parse(raw % (orjson.dumps(THOUGHT), orjson.dumps(USE)))
    assert Messages().as_native(asked) is asked
