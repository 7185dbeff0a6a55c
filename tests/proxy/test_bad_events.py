"""U-14: events that make no sense, in the middle of a stream that does."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from loadtest.mockserver import Answer, MockServer
from proxy.dialects.messages import Messages
from proxy.sse import DONE, MAX_EVENT_BYTES
from tests.proxy.harness import ASK, Bench, bench, read, route
from tests.proxy.native.harness import of_kind

EVENTS = {"content-type": "text/event-stream"}
BAD = [
    b'data: {"choices":[{"delta":\n\n',
    b"data: {not json}\n\n",
    b"data: \xff\xfe\n\n",
    b'data: [1, 2\n\ndata: "\n\n',
]
ODD = [
    b": a comment\n\n",
    b"data:\n\n",
    b"data: \n\n",
    b"event: unheard-of\ndata: {}\n\n",
    b'event: unheard-of\ndata: {"type":"unheard-of"}\n\n',
    b"id: 7\nretry: 10\n\n",
    b'data: {"choices":\ndata: []}\n\n',
    b": " + b"x" * 2**20 + b"\n\n",
]


def said(kind: str, *between: bytes) -> list[bytes]:
    """A stream of that kind that says Hello, with something in its middle, and ends well."""
    if kind == "anthropic":
        usage = {"input_tokens": 1, "output_tokens": 1}
        events: list[Any] = [
            {"type": "message_start", "message": {"id": "m", "model": "c", "usage": usage}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
            {"type": "message_stop"},
        ]
        told, place = [b"event: %b\ndata: %b\n\n" % (e["type"].encode(), orjson.dumps(e)) for e in events], 3
    elif kind == "gemini":
        parts = [{"candidates": [{"content": {"parts": [{"text": text}]}}]} for text in ("Hel", "lo")]
        used = {"promptTokenCount": 1, "candidatesTokenCount": 1}
        end = {"candidates": [{"content": {"parts": []}, "finishReason": "STOP"}], "usageMetadata": used}
        told, place = [b"data: %b\n\n" % orjson.dumps(e) for e in (*parts, end)], 1
    else:
        chunks: list[Any] = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in ("Hel", "lo")]
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        chunks.append({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}})
        told, place = [b"data: %b\n\n" % orjson.dumps(chunk) for chunk in chunks], 1
        told.append(DONE)
    return [*told[:place], *between, *told[place:]]


async def asked(gw: Bench, kind: str) -> bytes:
    """Ask so that the stream has to be translated."""
    if kind == "openai-compatible":
        body = {"model": "m", "messages": ASK["messages"], "max_tokens": 9, "stream": True}
        return await read(await gw.ask(body, dialect=Messages()))
    return await gw.stream(ASK)


def text_of(kind: str, body: bytes) -> str:
    found = []
    for event in body.split(b"\n\n"):
        data = event.partition(b"data: ")[2]
        if data.startswith(b"{"):
            told = orjson.loads(data)
            delta = told.get("delta") or (told.get("choices") or [{}])[0].get("delta") or {}
            found.append(delta.get("text") or delta.get("content") or "")
    return "".join(found)


@pytest.mark.parametrize("kind", ["openai-compatible", "anthropic", "gemini"])
@pytest.mark.parametrize("bad", BAD + ODD, ids=range(len(BAD + ODD)))
async def test_a_translated_stream_goes_on(tmp_path: Path, kind: str, bad: bytes) -> None:
    async with MockServer() as mock, bench(tmp_path, [route("m", (of_kind(kind, mock), "m"))]) as gw:
        mock.script("*", Answer(headers=EVENTS, chunks=list(said(kind, bad))))
        body = await asked(gw, kind)
        assert text_of(kind, body) == "Hello"
        row = await gw.row()
        assert (row.status, row.usage_source) == ("settled", "provider")
        counted = b'qlite_upstream_unread_events_total{provider="my-%b"}' % kind.encode()
        assert (counted in gw.gateway.counters.render()) is (bad in BAD)


@pytest.mark.parametrize("bad", BAD + ODD, ids=range(len(BAD + ODD)))
async def test_where_nothing_is_translated_it_passes_as_it_is(tmp_path: Path, bad: bytes) -> None:
    async with MockServer() as mock, bench(tmp_path, [route("m", (of_kind("openai", mock), "m"))]) as gw:
        mock.script("*", Answer(headers=EVENTS, chunks=list(said("openai", bad))))
        body = await gw.stream(ASK)
        assert bad in body and body.endswith(DONE)
        assert (await gw.row()).status == "settled"


@pytest.mark.parametrize("kind", ["openai", "openai-compatible", "anthropic", "gemini"])
async def test_an_event_without_an_end_is_refused(tmp_path: Path, kind: str) -> None:
    endless = b"data: " + b"x" * (2 * MAX_EVENT_BYTES)
    async with MockServer() as mock, bench(tmp_path, [route("m", (of_kind(kind, mock), "m"))]) as gw:
        mock.script("*", Answer(headers=EVENTS, chunks=list(said(kind, endless))))
        body = await asked(gw, kind)
        assert b"upstream_invalid_response" in body or b"is longer than" in body
        assert b"[DONE]" not in body and b"message_stop" not in body
        row = await gw.row()
        assert (row.status, row.error) == ("interrupted", "upstream_invalid_response")


async def test_done_is_said_once(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, [route("m", (of_kind("openai", mock), "m"))]) as gw:
        mock.script("*", Answer(headers=EVENTS, chunks=[*said("openai"), DONE]))
        assert (await gw.stream(ASK)).count(DONE) == 1
