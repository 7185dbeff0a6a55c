"""Servers that merely resemble OpenAI, for callers of other dialects: nothing that they say is lost or mixed up."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from accounts.prices import Usage
from loadtest.mockserver import Answer, MockServer
from proxy import serving, sse
from proxy.dialects.base import Dialect
from proxy.dialects.gemini import GeminiCaller
from proxy.dialects.messages import Messages
from proxy.dialects.responses import Responses
from proxy.dialects.responses.items import usage_object
from tests.proxy.harness import bench, provider, read, route
from tests.proxy.native.harness import passing

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
ASKS: dict[str, tuple[Dialect, dict[str, Any]]] = {
    "messages": (Messages(), {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}),
    "responses": (Responses(), {"model": "m", "input": "Hi"}),
    "gemini": (
        GeminiCaller(),
        {
            "contents": [{"parts": [{"text": "Hi"}]}],
            "generationConfig": {"thinkingConfig": {"includeThoughts": True}},
        },
    ),
}
PARTS = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}, {"type": "text", "text": "m."}]},
    {"type": "text", "text": "Yes, "},
    {"type": "reference", "reference_ids": [1]},
    {"type": "text", "text": "indeed."},
]
F = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
G = {"id": "call_2", "type": "function", "function": {"name": "g", "arguments": {"b": [2]}}}
TOLD = [("f", {"a": 1}), ("g", {"b": [2]})]


async def asked(folder: Path, surface: str, answer: Answer, *, stream: bool) -> Any:
    """What a caller of `surface` gets: a body, or the data of the events."""
    dialect, body = ASKS[surface]
    url: dict[str, Any] = {"model": "m", "stream": stream} if surface == "gemini" else {}
    raw = orjson.dumps(body if url else body | {"stream": stream})
    async with MockServer() as mock, bench(folder, [route("m", (provider(mock.base_url), "up"))]) as gw:
        mock.script("up", answer)
        reply = await serving.serve(gw.gateway, gw.receive(size=len(raw), dialect=dialect), raw, **url)
        if reply.stream is None:
            return orjson.loads(reply.body)
        events = [sse.data_of(event) for event in sse.events(await read(reply))]
        return [json.loads(data) for data in events if data]


@pytest.mark.parametrize(("kind", "name"), [("openai", "max_completion_tokens"), ("openai-compatible", "max_tokens")])
async def test_a_length_has_the_name_that_the_server_knows(tmp_path: Path, kind: str, name: str) -> None:
    dialect, body = ASKS["messages"]
    raw = orjson.dumps(body)
    async with (
        MockServer() as mock,
        bench(tmp_path, [route("m", (replace(provider(mock.base_url), kind=kind), "up"))]) as gw,
    ):
        await serving.serve(gw.gateway, gw.receive(size=len(raw), dialect=dialect), raw)
        lengths = {key: value for key, value in mock.hits[0].json.items() if key.startswith("max_")}
    assert lengths == {name: 9}


def plain(message: dict[str, Any], reason: str = "stop") -> Answer:
    choice = {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": reason}
    return Answer(body=orjson.dumps({"id": "x", "choices": [choice], "usage": USAGE}))


def streamed(*deltas: dict[str, Any], reason: str = "stop") -> Answer:
    ends = [None] * (len(deltas) - 1) + [reason]
    choices = [{"index": 0, "delta": each, "finish_reason": end} for each, end in zip(deltas, ends, strict=True)]
    events = [b"data: " + orjson.dumps({"id": "x", "choices": [each]}) + b"\n\n" for each in choices]
    return Answer(chunks=[*events, b"data: " + orjson.dumps({"choices": [], "usage": USAGE}) + b"\n\n", sse.DONE])


def heard(surface: str, got: Any) -> tuple[str, str]:
    """The thoughts and the text of an answer."""
    if surface == "messages":
        blocks = (
            got["content"]
            if isinstance(got, dict)
            else [event["delta"] for event in got if "index" in event and "delta" in event]
        )
        return _joined(blocks, "thinking"), _joined(blocks, "text")
    if surface == "gemini":
        events = [got] if isinstance(got, dict) else got
        parts = [part for event in events for each in event["candidates"] for part in each["content"]["parts"]]
        thoughts = [part for part in parts if part.get("thought")]
        return _joined(thoughts, "text"), _joined([part for part in parts if part not in thoughts], "text")
    output = (got if isinstance(got, dict) else got[-1]["response"])["output"]
    summaries = [part for item in output for part in item.get("summary", [])]
    return _joined(summaries, "text"), _joined([part for item in output for part in item.get("content", [])], "text")


def _joined(parts: list[Any], name: str) -> str:
    return "".join(part.get(name) or "" for part in parts)


def called(surface: str, got: Any) -> list[tuple[str, Any]]:
    """The calls of an answer, with their arguments."""
    if surface == "gemini":
        events = [got] if isinstance(got, dict) else got
        parts = [part for event in events for each in event["candidates"] for part in each["content"]["parts"]]
        return [
            (part["functionCall"]["name"], part["functionCall"]["args"]) for part in parts if "functionCall" in part
        ]
    if surface == "responses":
        output = (got if isinstance(got, dict) else got[-1]["response"])["output"]
        return [(item["name"], json.loads(item["arguments"])) for item in output if item["type"] == "function_call"]
    if isinstance(got, dict):
        return [(block["name"], block["input"]) for block in got["content"] if block["type"] == "tool_use"]
    begun = {e["index"]: e["content_block"]["name"] for e in got if e["type"] == "content_block_start"}
    texts = {
        index: "".join(
            e["delta"]["partial_json"] for e in got if e["type"] == "content_block_delta" and e["index"] == index
        )
        for index in begun
    }
    return [(name, json.loads(texts[index])) for index, name in begun.items()]


@pytest.mark.parametrize("surface", ASKS)
async def test_an_answer_in_parts_is_text_and_thoughts(tmp_path: Path, surface: str) -> None:
    got = await asked(tmp_path, surface, plain({"content": PARTS}), stream=False)
    assert heard(surface, got) == ("Hmm.", "Yes, indeed.")


@pytest.mark.parametrize("surface", ASKS)
async def test_a_stream_in_parts_is_too(tmp_path: Path, surface: str) -> None:
    answer = streamed({"content": PARTS[:1]}, {"content": PARTS[1:3]}, {"content": "indeed."})
    assert heard(surface, await asked(tmp_path, surface, answer, stream=True)) == ("Hmm.", "Yes, indeed.")


@pytest.mark.parametrize("surface", ASKS)
async def test_arguments_may_be_an_object(tmp_path: Path, surface: str) -> None:
    answer = plain({"content": None, "tool_calls": [F, G]}, "tool_calls")
    assert called(surface, await asked(tmp_path, surface, answer, stream=False)) == TOLD


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("surface", ASKS)
async def test_calls_without_a_number_stay_apart(tmp_path: Path, surface: str, together: bool) -> None:
    deltas = [{"tool_calls": [F, G]}] if together else [{"tool_calls": [F]}, {"tool_calls": [G]}]
    answer = streamed(*deltas, reason="tool_calls")
    assert called(surface, await asked(tmp_path, surface, answer, stream=True)) == TOLD


@pytest.mark.parametrize("surface", ASKS)
async def test_pieces_without_a_number_go_to_the_latest_call(tmp_path: Path, surface: str) -> None:
    begun = F | {"function": {"name": "f", "arguments": '{"a'}}
    answer = streamed(
        {"tool_calls": [begun]}, {"tool_calls": [{"function": {"arguments": '":1}'}}]}, reason="tool_calls"
    )
    assert called(surface, await asked(tmp_path, surface, answer, stream=True)) == TOLD[:1]


async def test_a_server_that_is_not_openai_is_told_of_no_developers(tmp_path: Path) -> None:
    """Codex speaks as a developer; templates of open models know no such role. A caller's own chat passes as it is."""
    said = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    async with MockServer() as mock, bench(tmp_path, [route("m", (provider(mock.base_url), "up"))]) as gw:
        mock.script("*", plain({"content": "x"}))
        raw = orjson.dumps({"model": "m", "input": said})
        await serving.serve(gw.gateway, gw.receive(size=len(raw), dialect=Responses()), raw)
        await gw.ask({"model": "m", "messages": said})
        assert [hit.json["messages"][0]["role"] for hit in mock.hits] == ["system", "developer"]


def test_what_was_written_for_an_hour_is_told_too() -> None:
    told = usage_object(Usage(input=1, cache_write=2, cache_write_1h=3, output=4))
    assert (told["input_tokens"], told["input_tokens_details"]["cache_write_tokens"]) == (6, 5)


async def test_files_by_their_address_go_to_who_fetches_them(tmp_path: Path) -> None:
    """Anthropic, Google and OpenRouter do. OpenAI's chat does not, and it is not fetched for it."""
    source = {"type": "url", "url": "https://e.example/a.pdf"}
    body = {"max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "document", "source": source}]}]}
    async with passing(tmp_path, "openai", "openai-compatible", "gemini") as call:
        refused = await call("/v1/messages", body | {"model": "my-openai/m"})
        assert (refused.status, refused.json["error"]["type"]) == (400, "invalid_request_error")
        assert "send their bytes" in refused.json["error"]["message"]
        assert not call.mock.hits
        for kind in ("openai-compatible", "gemini"):
            await call("/v1/messages", body | {"model": f"my-{kind}/m"})
        compatible, gemini = call.mock.hits
        assert compatible.json["messages"][0]["content"][0]["file"]["file_data"] == source["url"]
        told = {"fileUri": source["url"], "mimeType": "application/pdf"}
        assert gemini.json["contents"][0]["parts"] == [{"fileData": told}]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("surface", ASKS)
async def test_a_call_in_the_form_of_before_there_were_several_is_a_call(
    surface: str, stream: bool, tmp_path: Path
) -> None:
    begun, rest = {"name": "f", "arguments": '{"a'}, {"arguments": '":1}'}
    answer = plain({"content": None, "function_call": {"name": "f", "arguments": '{"a":1}'}}, "function_call")
    if stream:
        answer = streamed({"function_call": begun}, {"function_call": rest}, {}, reason="function_call")
    got = await asked(tmp_path, surface, answer, stream=stream)
    assert called(surface, got) == [("f", {"a": 1})]


@pytest.mark.parametrize("stream", [False, True])
async def test_calls_of_two_turns_never_have_the_same_id(stream: bool, tmp_path: Path) -> None:
    """A server that gives none, neither to the answer nor to its calls; Anthropic refuses a conversation with twins."""
    call = {"type": "function", "function": F["function"]}
    ids = []
    for turn in ("One", "Two"):
        body = ASKS["messages"][1] | {"messages": [{"role": "user", "content": turn}], "stream": stream}
        choice: dict[str, Any] = {"index": 0, "finish_reason": "tool_calls"}
        said = {"role": "assistant", "content": None, "tool_calls": [call]}
        answer = Answer(body=orjson.dumps({"choices": [choice | {"message": said}], "usage": USAGE}))
        if stream:
            event = b"data: " + orjson.dumps({"choices": [choice | {"delta": said}], "usage": USAGE}) + b"\n\n"
            answer = Answer(chunks=[event, sse.DONE])
        async with MockServer() as mock, bench(tmp_path / turn, [route("m", (provider(mock.base_url), "up"))]) as gw:
            mock.script("up", answer)
            reply = await serving.serve(gw.gateway, gw.receive(size=100, dialect=Messages()), orjson.dumps(body))
            told = reply.body if reply.stream is None else await read(reply)
        ids += [told.partition(b'"id":"toolu_')[2].partition(b'"')[0]]
    assert all(ids) and ids[0] != ids[1]
