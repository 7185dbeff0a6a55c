"""What comes before an answer (who gives it, that it is on its way) keeps no other target from being tried."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from loadtest.mockserver import Answer, MockServer
from proxy import sse
from proxy.dialects.base import Dialect
from proxy.dialects.messages import Messages
from proxy.dialects.responses import Responses
from proxy.errors import GatewayError
from tests.proxy.harness import ASK, Bench, bench, provider, read, route


def event(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\n".encode() + b"data: " + orjson.dumps({"type": kind} | members) + b"\n\n"


OVERLOADED = {"type": "overloaded_error", "message": "Overloaded"}
CREATED = {"response": {"id": "r", "status": "in_progress", "output": []}}
USED = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
# By kind: how callers ask, what comes before the answer, an error after it, and the answer.
WIRES: dict[str, tuple[Dialect, dict[str, Any], list[bytes], bytes, list[bytes]]] = {
    "anthropic": (
        Messages(),
        ASK | {"max_tokens": 9, "stream": True},
        [event("message_start", message={"usage": {"input_tokens": 3, "output_tokens": 1}}), event("ping")],
        event("error", error=OVERLOADED),
        [
            event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
            event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hi"}),
            event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 2}),
            event("message_stop"),
        ],
    ),
    "openai": (
        Responses(),
        {"model": "m", "input": "Hello", "stream": True},
        [event("response.created", **CREATED), event("response.in_progress", **CREATED)],
        event("error", code="server_is_overloaded", message="Overloaded"),
        [
            event("response.output_item.added", output_index=0, item={"type": "message", "id": "i"}),
            event("response.output_text.delta", output_index=0, item_id="i", delta="Hi"),
            event("response.completed", response={"id": "r", "status": "completed", "output": [], "usage": USED}),
        ],
    ),
}
kinds = pytest.mark.parametrize("kind", WIRES)


async def streamed(gw: Bench, kind: str) -> bytes:
    dialect, asked, *_ = WIRES[kind]
    return await read(await gw.ask(asked, dialect=dialect))


def routes(mock: MockServer, kind: str) -> list[Any]:
    first, second = (replace(provider(mock.base_url, name), kind=kind) for name in ("first", "second"))
    return [route("m", (first, "bad"), (second, "up"))]


@kinds
@pytest.mark.parametrize("pause", [0.0, 0.02])
async def test_an_error_before_the_answer_goes_elsewhere_unseen(tmp_path: Path, kind: str, pause: float) -> None:
    _, _, opening, error, answer = WIRES[kind]
    async with MockServer() as mock, bench(tmp_path, routes(mock, kind)) as gw:
        mock.script("bad", Answer(chunks=[*opening, pause, error]))
        mock.script("up", Answer(chunks=[*opening, *answer]))
        body = await streamed(gw, kind)
        row = await gw.row()
    assert body.startswith(b"".join(opening) + answer[0]) and b"verload" not in body
    assert [(each.target, each.status) for each in row.attempts] == [("first/bad", "failed"), ("second/up", "settled")]


@kinds
async def test_a_stream_that_breaks_before_the_answer_goes_elsewhere_and_is_billed(tmp_path: Path, kind: str) -> None:
    _, _, opening, _, answer = WIRES[kind]
    async with MockServer() as mock, bench(tmp_path, routes(mock, kind)) as gw:
        mock.script("bad", Answer(chunks=[*opening, 0.02], then="cut"))
        mock.script("up", Answer(chunks=[*opening, *answer]))
        assert (await streamed(gw, kind)).startswith(b"".join(opening) + answer[0])
        row = await gw.row()
    assert [each.status for each in row.attempts] == ["interrupted", "settled"]
    assert all(each.cost_nano for each in row.attempts)


@kinds
async def test_an_error_in_the_answer_is_told_and_nothing_else_is_tried(tmp_path: Path, kind: str) -> None:
    _, _, opening, error, answer = WIRES[kind]
    async with MockServer() as mock, bench(tmp_path, routes(mock, kind)) as gw:
        mock.script("bad", Answer(chunks=[*opening, answer[0], 0.02, error]))
        body = await streamed(gw, kind)
        assert len(mock.hits) == 1
    assert body.startswith(b"".join(opening) + answer[0]) and b"Overloaded" in body


@kinds
async def test_an_error_before_the_answer_of_the_only_target_has_a_status(tmp_path: Path, kind: str) -> None:
    _, _, opening, error, _ = WIRES[kind]
    async with (
        MockServer() as mock,
        bench(tmp_path, [route("m", *[(routes(mock, kind)[0].targets[0].provider, "bad")])]) as gw,
    ):
        mock.script("bad", Answer(chunks=[*opening, 0.02, error]))
        with pytest.raises(GatewayError) as caught:
            await streamed(gw, kind)
    assert caught.value.status in (502, 503)


BLAMED = {
    "anthropic": event("error", error={"type": "invalid_request_error", "message": "prompt is too long"}),
    "openai": event(
        "response.failed",
        response={"id": "r", "error": {"code": "context_length_exceeded", "message": "prompt is too long"}},
    ),
}


@kinds
async def test_an_error_that_blames_the_request_is_told_in_the_stream_as_the_provider_does(
    tmp_path: Path, kind: str
) -> None:
    _, _, opening, _, _ = WIRES[kind]
    async with MockServer() as mock, bench(tmp_path, routes(mock, kind)) as gw:
        mock.script("bad", Answer(chunks=[*opening, 0.02, BLAMED[kind]]))
        body = await streamed(gw, kind)
        assert len(mock.hits) == 1
        assert (await gw.row()).status == "interrupted"
    assert body.startswith(b"".join(opening)) and b"prompt is too long" in body
    assert (b"invalid_request_error" if kind == "anthropic" else b'"code":"context_length_exceeded"') in body


@kinds
async def test_an_answer_of_nothing_but_its_frame_is_one(tmp_path: Path, kind: str) -> None:
    _, _, opening, _, answer = WIRES[kind]
    end = answer[-2:] if kind == "anthropic" else answer[-1:]
    async with MockServer() as mock, bench(tmp_path, routes(mock, kind)) as gw:
        mock.script("bad", Answer(chunks=[*opening, *end]))
        body = await streamed(gw, kind)
        assert (await gw.row()).status == "settled"
    assert [each for each in sse.events(body) if sse.data_of(each)] == [*opening, *end]


async def test_who_leaves_before_the_answer_pays_for_the_prompt_as_the_provider_counted_it(tmp_path: Path) -> None:
    _, _, opening, _, _ = WIRES["anthropic"]
    async with MockServer() as mock, bench(tmp_path, routes(mock, "anthropic")) as gw:
        mock.script("bad", Answer(chunks=opening, then="hang"))
        asked = asyncio.create_task(streamed(gw, "anthropic"))
        async with asyncio.timeout(2):
            while not mock.hits or mock.hits[0].sent < len(b"".join(opening)):
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        asked.cancel()
        with suppress(asyncio.CancelledError):
            await asked
        row = await gw.row()
    assert (row.status, row.usage_source, row.client_gone) == ("interrupted", "estimated", True)
    assert row.usage == {"input": 3, "output": 1}
