"""Streams of providers' own APIs: unchanged to the last byte, billed, and broken where the provider broke."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from loadtest.mockserver import Answer
from proxy.native.array import ArrayWatcher
from proxy.native.usage import reported
from proxy.tokens import delivered_text
from tests.proxy.native.harness import EVENTS, JSON, passing
from tests.site.test_handler import Client

CHAT = {"model": "gpt-x", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
OPENAI = (
    b': ping\n\ndata: {"choices":[{"delta":{"content":"Hel"}}]}\n\n',
    b'data:  {"choices":[{"delta":{"content":"lo"}',
    b'}]}\r\n\r\nevent: odd\ndata: {}\n\ndata: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n',
    b'data: {"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":2}}\n\n',
    b"data: [DONE]\n\n",
)
ANTHROPIC = (
    b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":6,'
    b'"output_tokens":1}}}\n\n',
    b'event: ping\ndata: {"type":"ping"}\n\nevent: content_block_delta\ndata: {"type":"content_block_delta",'
    b'"index":0,"delta":{"type":"text_delta","text":"Hi"}}\n\n',
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
    b'"usage":{"output_tokens":3}}\n\n',
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n: after\n\n',
)
RESPONSES = (
    b'event: response.created\ndata: {"type":"response.created","response":{}}\n\n',
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"Hi"}\n\n',
    b'event: response.completed\ndata: {"type":"response.completed","response":{"status":"completed",'
    b'"usage":{"input_tokens":5,"output_tokens":3}}}\n\n',
)
GEMINI = (
    b'data: {"candidates":[{"content":{"parts":[{"text":"Hi"}]}}],"usageMetadata":{"promptTokenCount":7}}\r\n\r\n',
    b'data: {"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":7,'
    b'"candidatesTokenCount":4}}\r\n\r\n',
)
ARRAY = (
    b'[{"candidates":[{"content":{"parts":[{"text":"\\"usageMetadata\\":{"}]}}],"usageMetadata":{"prompt',
    b'TokenCount":7}}\n,\r\n{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":7,"candidates',
    b'TokenCount":4,"promptTokensDetails":[{"modality":"TEXT","tokenCount":7}]}}\n]',
)
ALL: list[Any] = [
    pytest.param("openai", "/openai/v1/chat/completions", OPENAI, EVENTS, {"input": 4, "output": 2}, id="chat"),
    pytest.param("anthropic", "/anthropic/v1/messages", ANTHROPIC, EVENTS, {"input": 6, "output": 3}, id="messages"),
    pytest.param("openai", "/openai/v1/responses", RESPONSES, EVENTS, {"input": 5, "output": 3}, id="responses"),
    pytest.param(
        "gemini",
        "/gemini/v1beta/models/g:streamGenerateContent",
        GEMINI,
        EVENTS,
        {"input": 7, "output": 4},
        id="gemini-events",
    ),
    pytest.param(
        "gemini",
        "/gemini/v1beta/models/g:streamGenerateContent",
        ARRAY,
        JSON,
        {"input": 7, "output": 4},
        id="gemini-array",
    ),
    pytest.param("openai", "/openai/v1/novelties", RESPONSES, EVENTS, {"input": 5, "output": 3}, id="unknown"),
]


@pytest.mark.parametrize(("kind", "path", "chunks", "headers", "usage"), ALL)
async def test_streams_pass_unchanged_and_are_billed(
    tmp_path: Path, kind: str, path: str, chunks: tuple[bytes, ...], headers: dict[str, str], usage: dict[str, int]
) -> None:
    async with passing(tmp_path, kind) as call:
        pieces = [piece for chunk in chunks for piece in (chunk, 0.06)]
        call.stream(*pieces, headers=headers)  # type: ignore[arg-type]
        client = await call(path, CHAT)
        assert client.status == 200
        assert client.body == b"".join(chunks)
        assert [part for part in client.parts if part] == list(chunks)
        assert client.headers["content-type"] == headers["content-type"]
        assert "x-request-cost" not in client.headers
        row = await call.bench.row()
        assert (row.status, row.usage_source, row.usage) == ("settled", "provider", usage)
        assert row.stream
        assert row.first_token_us is not None


@pytest.mark.parametrize(("kind", "path", "chunks", "headers", "usage"), ALL)
async def test_a_stream_is_settled_before_its_end_is_known(
    tmp_path: Path, kind: str, path: str, chunks: tuple[bytes, ...], headers: dict[str, str], usage: dict[str, int]
) -> None:
    async with passing(tmp_path, kind) as call:
        call.stream(*chunks, headers=headers)
        settled: list[bool] = []

        class Watching(Client):
            async def send(self, message: Any) -> None:
                await super().send(message)
                if self.whole:
                    settled.append(bool(call.bench.gateway.journal.ready(1)))

        client = Watching("POST", path, CHAT)
        await client(call._handler)
        assert settled == [True]


@pytest.mark.parametrize("then", ["cut", "end"])
@pytest.mark.parametrize(("kind", "path", "chunks", "headers", "usage"), ALL[:4])
async def test_a_cut_stream_ends_in_an_error_of_its_dialect(
    tmp_path: Path,
    kind: str,
    path: str,
    chunks: tuple[bytes, ...],
    headers: dict[str, str],
    usage: dict[str, int],
    then: str,
) -> None:
    async with passing(tmp_path, kind) as call:
        call.stream(chunks[0], headers=headers, then=then)
        client = await call(path, CHAT)
        assert client.body.startswith(chunks[0])
        rest = client.body.removeprefix(chunks[0])
        assert b'"error"' in rest
        assert b"[DONE]" not in rest
        row = await call.bench.row()
        assert (row.status, row.error, row.usage_source) == ("interrupted", "stream_interrupted", row.usage_source)
        # Who said at the beginning what the prompt took is believed.
        assert row.usage["input"] == {"anthropic": 6, "gemini": 7}.get(kind, row.usage["input"]) > 0


async def test_an_array_that_is_cut_breaks_the_connection(tmp_path: Path) -> None:
    async with passing(tmp_path, "gemini") as call:
        call.stream(ARRAY[0], headers=JSON, then="end")
        with pytest.raises(ConnectionError):
            await call("/gemini/v1beta/models/g:streamGenerateContent", CHAT)
        assert (await call.bench.row()).status == "interrupted"


async def test_an_error_event_of_the_provider_passes_alone(tmp_path: Path) -> None:
    async with passing(tmp_path, "anthropic") as call:
        error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Busy"}}\n\n'
        call.stream(ANTHROPIC[0], error)
        client = await call("/anthropic/v1/messages", CHAT)
        assert client.body == ANTHROPIC[0] + error
        row = await call.bench.row()
        assert (row.status, row.usage_source) == ("interrupted", "estimated")


async def test_without_usage_the_words_are_counted(tmp_path: Path) -> None:
    async with passing(tmp_path, "openai") as call:
        call.stream(OPENAI[0] + OPENAI[1], OPENAI[2], OPENAI[4])
        client = await call("/openai/v1/chat/completions", CHAT)
        assert client.body == b"".join(OPENAI[:3]) + OPENAI[4]
        row = await call.bench.row()
        assert (row.status, row.usage_source) == ("settled", "estimated")
        assert row.usage["input"] > 0
        assert row.usage["output"] == 1
        assert b"include_usage" not in call.mock.hits[0].body


@pytest.mark.parametrize(("kind", "path", "chunks", "headers", "usage"), ALL)
async def test_who_leaves_half_way_is_billed_for_what_came(
    tmp_path: Path, kind: str, path: str, chunks: tuple[bytes, ...], headers: dict[str, str], usage: dict[str, int]
) -> None:
    async with passing(tmp_path, kind) as call:
        call.mock.script("*", Answer(headers=headers, chunks=[chunks[0], chunks[1]], then="hang"))
        client = Client("POST", path, CHAT)
        asking = asyncio.create_task(client(call._handler))
        while not client.body:
            await asyncio.sleep(0.005)
        client.left.set()
        await asking
        await call.mock.idle()
        assert call.mock.hits[0].peer_closed
        row = await call.bench.row()
        assert (row.client_gone, row.http_status) == (True, 200)
        assert row.status in {"interrupted", "settled"}
        assert row.usage.get("input", 0) > 0 or row.usage_source == "none"


async def test_a_provider_that_dies_before_the_first_byte_leaves_room_for_another(tmp_path: Path) -> None:
    async with passing(tmp_path, "openai") as call:
        call.stream(b"", then="reset")
        client = await call("/openai/v1/chat/completions", CHAT)
        assert (client.status, client.json["error"]["code"]) == (502, "stream_interrupted")


def test_it_finds_usage_in_every_shape() -> None:
    found = reported(
        {"usage": {"type": "tokens", "input_tokens": 9, "output_tokens": 2, "input_token_details": {"audio_tokens": 5}}}
    )
    assert found is not None
    assert found.as_dict() == {"input": 4, "audio_input": 5, "output": 2}
    assert reported({"usage": {"total_tokens": 11}}).as_dict() == {"input": 11}  # type: ignore[union-attr]
    assert reported({"x_groq": {"usage": {"prompt_tokens": 3}}}).as_dict() == {"input": 3}  # type: ignore[union-attr]
    cached = {"usage": {"input_tokens": 1, "cache_read_input_tokens": 5, "output_tokens": 2}}
    assert reported(cached).as_dict() == {"input": 1, "cached_input": 5, "output": 2}  # type: ignore[union-attr]
    for nonsense in (None, [], "x", {"usage": 1}, {"usage": {"total_tokens": -1}}, {"usage": {"seconds": 2.5}}):
        assert reported(nonsense) is None


def test_it_reads_the_words_of_every_dialect() -> None:
    assert delivered_text(list(OPENAI)) == "Hello"
    assert delivered_text(list(ANTHROPIC)) == "Hi"
    assert delivered_text(list(RESPONSES)) == "Hi"
    assert delivered_text(list(GEMINI)) == "Hi"
    assert delivered_text([b"".join(ARRAY)]) == '"usageMetadata":{'


def test_it_reads_an_array_cut_at_every_byte() -> None:
    whole = b"".join(ARRAY)
    for place in range(len(whole)):
        watcher = ArrayWatcher()
        watcher.feed(b"", whole[:place])
        assert not watcher.complete()
        watcher.feed(b"", whole[place:])
        assert watcher.complete()
        assert watcher.usage is not None
        assert watcher.usage.as_dict() == {"input": 7, "output": 4}


def test_it_sees_an_error_in_an_array() -> None:
    watcher = ArrayWatcher()
    for piece in (b'[{"x":1},\n{"err', b'or": {"code": 503, "status": "UNAVAILABLE", "message": "Busy"}}\n]'):
        watcher.feed(b"", piece)
    assert watcher.error is not None
    assert not watcher.complete()
