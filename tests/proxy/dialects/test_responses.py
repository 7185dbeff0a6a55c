"""The Responses API against golden files, each looked at by hand, and against the types of OpenAI's own SDK."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from proxy import chat, sse
from proxy.dialects.responses import Responses
from proxy.errors import BadRequest, StreamCut
from tests.proxy.dialects.golden import cases, expected, load, named
from tests.proxy.dialects.streaming import streamed

RESPONSES = Responses()
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
UNLISTED = {"context_length_exceeded", "insufficient_quota"}  # OpenAI sends them, though its types do not know them
STATUSES = {"response.completed": "completed", "response.incomplete": "incomplete", "response.failed": "failed"}


@pytest.mark.parametrize("path", cases("responses", "request"), ids=named)
def test_it_says_the_request_in_chat(path: Path) -> None:
    told = expected(path)
    if "error" in told:
        with pytest.raises(BadRequest) as caught:
            RESPONSES.chat(RESPONSES.parse(path.read_bytes()))
        said = {"param": caught.value.param, "code": caught.value.code, "message": caught.value.message}
        assert said == told["error"]
        return
    asked = RESPONSES.parse(path.read_bytes())
    before = orjson.dumps(asked.body)
    inner = RESPONSES.chat(asked)
    assert inner == told["chat"]
    assert list(RESPONSES.ignored(asked)) == told.get("ignored", [])
    assert orjson.dumps(asked.body) == before  # the caller's own request stays as it is
    chat.parse(orjson.dumps(inner))


@pytest.mark.parametrize("path", cases("responses", "reply"), ids=named)
def test_it_tells_an_answer(path: Path) -> None:
    case = load(path)
    told = RESPONSES.reply(case["completion"], RESPONSES.parse(orjson.dumps(case["asked"])))
    assert told == expected(path)
    Response.model_validate(told)


@pytest.mark.parametrize("path", cases("responses", "stream"), ids=named)
def test_it_tells_a_stream(path: Path) -> None:
    assert streamed(RESPONSES, load(path)) == expected(path, ".expected.sse")


@pytest.mark.parametrize("path", cases("responses", "stream"), ids=named)
def test_its_events_are_openais(path: Path) -> None:
    told = events(streamed(RESPONSES, load(path)))
    assert [data["sequence_number"] for _, data in told] == list(range(len(told)))
    for name, data in told:
        assert name == data["type"]
        error = data.get("response", {}).get("error") or {}
        if error.get("code") in UNLISTED:
            error["code"] = "server_error"
        assert EVENT.validate_python(data).type == name
    last = told[-1][1]
    assert last["response"]["status"] == STATUSES[told[-1][0]]
    assert not any(name in STATUSES for name, _ in told[:-1])


@pytest.mark.parametrize("path", cases("responses", "stream"), ids=named)
def test_what_was_said_in_pieces_is_what_is_said_at_the_end(path: Path) -> None:
    told = events(streamed(RESPONSES, load(path)))
    opened, done = set(), {}
    deltas: dict[str, str] = {}
    for name, data in told:
        if name == "response.output_item.added":
            assert data["output_index"] == len(opened)
            opened.add(data["item"]["id"])
        elif name == "response.output_item.done":
            done[data["output_index"]] = data["item"]
        elif name.endswith(".delta"):
            assert data["item_id"] in opened
            deltas[data["item_id"]] = deltas.get(data["item_id"], "") + data["delta"]
    assert told[-1][1]["response"]["output"] == [done[place] for place in sorted(done)]
    for item in done.values():
        assert deltas.get(item["id"], "") == said_in(item)


@pytest.mark.parametrize("path", cases("responses", "reply"), ids=named)
def test_a_stream_amounts_to_the_same_as_a_plain_answer(path: Path) -> None:
    case = load(path)
    completion = case["completion"]
    chunks = [
        completion | {"choices": [{"index": choice["index"], "delta": part, "finish_reason": reason} | more]}
        for choice in completion["choices"][:1]
        for part, reason, more in pieces(choice)
    ] or [completion]
    last = events(streamed(RESPONSES, case | {"chunks": chunks, "usage": None, "cost": "0"}))[-1][1]
    plain = expected(path)
    for name in ("output", "status", "incomplete_details"):
        assert last["response"][name] == plain[name]


def pieces(choice: dict[str, Any]) -> list[tuple[dict[str, Any], str | None, dict[str, Any]]]:
    """Return an answer in the order in which providers stream it."""
    message = dict(choice["message"])
    calls = message.pop("tool_calls", [])
    first = ("reasoning_content", "reasoning", "thinking_blocks", "extra_content")
    thoughts = {name: message.pop(name) for name in first if name in message}
    told: list[tuple[dict[str, Any], str | None, dict[str, Any]]] = [(thoughts, None, {})]
    told += [({name: value}, None, {"logprobs": choice.get("logprobs")}) for name, value in message.items()]
    told += [({"tool_calls": [call | {"index": place}]}, None, {}) for place, call in enumerate(calls)]
    return [*told, ({}, choice["finish_reason"], {})]


def events(stream: bytes) -> list[tuple[str, dict[str, Any]]]:
    return [
        (sse.name_of(event).decode(), orjson.loads(data))
        for event in sse.events(stream)
        if (data := sse.data_of(event)) is not None
    ]


def said_in(item: dict[str, Any]) -> str:
    if item["type"] == "message":
        return "".join(part.get("text", part.get("refusal")) for part in item["content"])
    if item["type"] == "reasoning":
        return "".join(part["text"] for part in item["summary"])
    told = item.get("arguments", item.get("input"))
    return told if isinstance(told, str) else ""  # a search or a picture comes in one piece


def test_it_keeps_what_the_provider_wants_back_in_the_items_it_gives() -> None:
    """An answer's items, sent back as they are, bring its signatures to where they came from."""
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    call["extra_content"] = {"google": {"thought_signature": "Zm9v"}}
    blocks = [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}]
    message = {"role": "assistant", "content": "So:", "reasoning_content": "Hm.", "tool_calls": [call]}
    message["thinking_blocks"] = blocks
    ask = {"model": "m", "input": "go", "tools": [{"type": "function", "name": "f"}]}
    completion = {"id": "chatcmpl-1", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    output = RESPONSES.reply(completion, RESPONSES.parse(orjson.dumps(ask)))["output"]
    result = {"type": "function_call_output", "call_id": "call_1", "output": "done"}
    again = ask | {"input": [{"role": "user", "content": "go"}, *output, result]}
    messages = RESPONSES.chat(RESPONSES.parse(orjson.dumps(again)))["messages"]
    assert messages[1] == message
    assert messages[2] == {"role": "tool", "tool_call_id": "call_1", "content": "done"}


def test_it_takes_our_state_out_where_openai_itself_is_asked() -> None:
    path = next(path for path in cases("responses", "request") if named(path) == "reasoning-with-our-state")
    asked = RESPONSES.parse(path.read_bytes())
    native = RESPONSES.as_native(asked)
    kept = [item for item in asked.body["input"] if item.get("type") != "reasoning"]
    assert native.body["input"] == kept
    assert orjson.loads(native.raw) == native.body
    assert asked.raw == path.read_bytes()


def test_it_leaves_everybody_elses_requests_alone_natively() -> None:
    for path in cases("responses", "request"):
        raw = path.read_bytes()
        if "refused" not in path.name and b"rs_ql_" not in raw:
            asked = RESPONSES.parse(raw)
            assert RESPONSES.as_native(asked) is asked
    quoted = RESPONSES.parse(b'{"model": "m", "input": [{"role": "user", "content": "rs_ql_1 is what?"}]}')
    assert RESPONSES.as_native(quoted) is quoted


def test_what_only_openai_can_do_is_no_matter_where_openai_is_asked() -> None:
    asked = RESPONSES.parse(b'{"model": "m", "input": "hi", "tools": [{"type": "web_search"}]}')
    assert b"stream_interrupted" in RESPONSES.encoder(asked).error(StreamCut("cut"))


def test_its_errors_have_openais_shape() -> None:
    body = RESPONSES.error(BadRequest("No.", param="input"), "id")
    assert body == {
        "error": {"message": "No.", "type": "invalid_request_error", "param": "input", "code": "invalid_value"}
    }
