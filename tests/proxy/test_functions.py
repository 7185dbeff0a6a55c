"""Functions of callers whose dialect allows other names than OpenAI's: it is told others, and they hear their own."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from loadtest.mockserver import MockServer
from proxy import serving
from proxy.providers.functions import taken
from tests.gateway.wires import openai
from tests.proxy.harness import Bench, bench, provider, read, route
from tests.proxy.test_likenesses import ASKS

LONG = "mcp__enterprise-database-management__synchronize-all-customer-data-across-systems"
NOTHING: dict[str, Any] = {"type": "object"}


def with_history(surface: str, name: str) -> dict[str, Any]:
    """A question about the answer of a function, which is offered again, and has to be called."""
    if surface == "messages":
        use = {"type": "tool_use", "id": "t1", "name": name, "input": {}}
        told = {"type": "tool_result", "tool_use_id": "t1", "content": "ok"}
        said = [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [use]},
            {"role": "user", "content": [told]},
        ]
        more = {"tools": [{"name": name, "input_schema": NOTHING}], "tool_choice": {"type": "tool", "name": name}}
        return {"model": "m", "max_tokens": 9, "messages": said} | more
    if surface == "gemini":
        declared = {"name": name, "parametersJsonSchema": NOTHING}
        said = [
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": [{"functionCall": {"name": name, "args": {}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": name, "response": {"a": 1}}}]},
        ]
        choice = {"functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": [name]}}
        return {"contents": said, "tools": [{"functionDeclarations": [declared]}], "toolConfig": choice}
    call = {"type": "function_call", "call_id": "t1", "name": name, "arguments": "{}"}
    said = [{"role": "user", "content": "Hi"}, call, {"type": "function_call_output", "call_id": "t1", "output": "ok"}]
    tools = [{"type": "function", "name": name, "parameters": NOTHING}]
    return {"model": "m", "input": said, "tools": tools, "tool_choice": {"type": "function", "name": name}}


async def ask(gw: Bench, surface: str, body: dict[str, Any], *, stream: bool) -> bytes:
    url: dict[str, Any] = {"model": "m", "stream": stream} if surface == "gemini" else {}
    raw = orjson.dumps(body if url else body | {"stream": stream})
    reply = await serving.serve(gw.gateway, gw.receive(size=len(raw), dialect=ASKS[surface][0]), raw, **url)
    return reply.body if reply.stream is None else await read(reply)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("surface", ASKS)
@pytest.mark.parametrize("name", [LONG, "files.read:v1"])
async def test_names_that_openai_refuses_are_changed_there_and_back(
    name: str, surface: str, stream: bool, tmp_path: Path
) -> None:
    async with MockServer() as mock, bench(tmp_path, [route("m", (provider(mock.base_url), "up"))]) as gw:
        mock.script("up", lambda hit: openai(hit, "tool", tool=hit.json["tools"][0]["function"]["name"]))
        got = await ask(gw, surface, with_history(surface, name), stream=stream)
        sent = mock.hits[0].json
    short = sent["tools"][0]["function"]["name"]
    assert len(short) <= 64
    assert short.replace("_", "").replace("-", "").isalnum()
    calls = [call for message in sent["messages"] for call in message.get("tool_calls") or []]
    assert [call["function"]["name"] for call in calls] == [short]
    assert short.encode() in orjson.dumps(sent["tool_choice"])
    assert name.encode() in got
    assert short.encode() not in got


@pytest.mark.parametrize("surface", ASKS)
async def test_a_schema_lists_its_properties_if_only_none(surface: str, tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, [route("m", (provider(mock.base_url), "up"))]) as gw:
        mock.script("up", lambda hit: openai(hit, "text"))
        await ask(gw, surface, with_history(surface, "f"), stream=False)
        assert mock.hits[0].json["tools"][0]["function"]["parameters"] == {"type": "object", "properties": {}}


def test_what_openai_takes_stays_the_same_object() -> None:
    function = {"name": "f", "parameters": {"type": "object", "properties": {"a": {}}}}
    body = {
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
    }
    assert taken(body) is body


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
BELOW = "(The tool's pictures and documents follow in the next message.)"


@pytest.mark.parametrize("then", [[], [{"type": "message", "role": "user", "content": "Well?"}], ["call"]], ids=str)
async def test_a_picture_that_a_tool_brings_is_the_users(then: list[Any], tmp_path: Path) -> None:
    """Servers take text alone from a tool; Codex looks at pictures with one."""
    calls = [{"type": "function_call", "call_id": f"c{n}", "name": "look", "arguments": "{}"} for n in range(3)]
    shown = {"type": "input_image", "image_url": PICTURE["image_url"]["url"], "detail": "auto"}  # type: ignore[index]
    brought = [
        {"type": "function_call_output", "call_id": "c0", "output": [{"type": "input_text", "text": "This:"}, shown]},
        {"type": "function_call_output", "call_id": "c1", "output": "nothing"},
    ]
    last = {"type": "function_call_output", "call_id": "c2", "output": "seen"}
    said = [calls[2], last] if then == ["call"] else then
    body = {"model": "m", "input": [{"role": "user", "content": "Look."}, *calls[:2], *brought, *said]}
    async with MockServer() as mock, bench(tmp_path, [route("m", (provider(mock.base_url), "up"))]) as gw:
        await ask(gw, "responses", body, stream=False)
        messages = mock.hits[0].json["messages"][2:]
    assert [each["content"] for each in messages[:2]] == [f"This:\n{BELOW}", "nothing"]
    parts = messages[2]["content"]
    assert messages[2]["role"] == "user"
    assert parts[0]["image_url"]["url"] == PICTURE["image_url"]["url"]  # type: ignore[index]
    assert [part["text"] for part in parts[1:]] == (["Well?"] if len(then) and then != ["call"] else [])
    assert [each["role"] for each in messages[3:]] == (["assistant", "tool"] if then == ["call"] else [])
