"""A stage of somebody else's fails: the caller is told in the stream, what came is settled, nothing stays open."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from loadtest.mockserver import MockServer
from proxy.call import STOPPING, Call, Chunks, Proceed, Reply
from proxy.dialects.messages import Messages
from proxy.errors import GatewayError
from proxy.guarded import Guarded
from proxy.pipeline import Stage
from tests.proxy.harness import ASK, bench, provider, read, route


class Plain:
    async def around(self, call: Call, proceed: Proceed) -> Reply:
        return await proceed(call)


class Meddling(Plain):
    """Does `what` instead of handing on the third piece, and forgets the stream that it was given."""

    def __init__(self, what: Callable[[], Any]) -> None:
        self.what = what

    def around_stream(self, call: Call, chunks: Chunks) -> Chunks:
        return Meddled(chunks, self.what)


class Forgetful(Plain):
    """Changes nothing, and closes nothing."""

    def around_stream(self, call: Call, chunks: Chunks) -> Chunks:
        return Meddled(chunks, chunks.next)


class Meddled:
    def __init__(self, chunks: Chunks, what: Callable[[], Any]) -> None:
        self.chunks, self.what, self.asked = chunks, what, 0

    @property
    def over(self) -> bool:
        return self.chunks.over

    async def next(self) -> bytes:
        self.asked += 1
        return await (self.what() if self.asked == 3 else self.chunks.next())

    def close(self) -> None:
        pass


async def refuse() -> bytes:
    raise GatewayError("This must not be said.", status=400, code="content_filter")


async def stumble() -> bytes:
    raise RuntimeError("canary")


async def be_stopped() -> bytes:
    raise asyncio.CancelledError(STOPPING)


@pytest.mark.parametrize("around", [(), (Plain(),), (Forgetful(),)])
@pytest.mark.parametrize(
    ("what", "code"), [(refuse, "content_filter"), (stumble, "internal_error"), (be_stopped, STOPPING)]
)
async def test_its_error_is_the_last_that_a_stream_says(
    tmp_path: Path, what: Callable[[], Any], code: str | None, around: Sequence[Stage]
) -> None:
    async with MockServer() as mock:
        stages = [*map(Guarded, around), Guarded(Meddling(what))]
        async with bench(tmp_path, [route("m", (provider(mock.base_url), "paced-9x1ms"))], stages=stages) as desk:
            said = await desk.stream(ASK)
            row = await desk.row()
    events = [line for line in said.split(b"\n\n") if line.startswith(b"data: ")]
    assert orjson.loads(events[-1][6:])["error"]["code"] == code
    assert len(events) == 3 and b"canary" not in said and b"[DONE]" not in said
    assert (row.status, row.client_gone) == ("interrupted", False)
    assert row.attempts[0].usage["output"] > 0 and row.cost_nano > 0


async def test_it_is_told_in_the_words_of_the_caller(tmp_path: Path) -> None:
    async with MockServer() as mock:
        routes = [route("m", (provider(mock.base_url), "paced-9x1ms"))]
        async with bench(tmp_path, routes, stages=[Guarded(Meddling(refuse))]) as desk:
            said = await desk.stream(ASK | {"max_tokens": 5}, dialect=Messages())
    assert b"event: error" in said and b"This must not be said." in said and b"message_stop" not in said


class Late(Plain):
    """Looks at the answer, and raises although it has begun."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def around(self, call: Call, proceed: Proceed) -> Reply:
        await proceed(call)
        raise self.error


class Unready(Late):
    """Raises before it has made its stream."""

    around = Plain.around

    def around_stream(self, call: Call, chunks: Chunks) -> Chunks:
        raise self.error


@pytest.mark.parametrize("error", [GatewayError("No.", status=403, code="blocked"), RuntimeError("canary")])
async def test_what_has_begun_behind_an_error_is_closed_and_billed(tmp_path: Path, error: Exception) -> None:
    async with MockServer() as mock:
        routes = [route("m", (provider(mock.base_url), "paced-9x50ms"))]
        async with bench(tmp_path, routes, stages=[Guarded(Late(error))]) as desk:
            with pytest.raises(type(error)):
                await desk.stream(ASK)
            row = await desk.row()
            assert (row.status, row.client_gone) == ("interrupted", False)
            assert row.cost_nano > 0
            assert desk.gateway.health.providers(desk.gateway.clock()) == {}  # nobody blames the provider


@pytest.mark.parametrize("error", [GatewayError("No.", status=403, code="blocked"), RuntimeError("canary")])
async def test_a_stage_that_makes_no_stream_is_told_in_the_stream(tmp_path: Path, error: Exception) -> None:
    async with MockServer() as mock:
        routes = [route("m", (provider(mock.base_url), "paced-9x50ms"))]
        async with bench(tmp_path, routes, stages=[Guarded(Unready(error))]) as desk:
            said = await desk.stream(ASK)
            assert said.startswith(b'data: {"error"') and b"canary" not in said
            assert (await desk.row()).status == "interrupted"


async def test_a_stage_that_forgets_to_close_is_closed(tmp_path: Path) -> None:
    async with MockServer() as mock:
        routes = [route("m", (provider(mock.base_url), "paced-9x50ms"))]
        async with bench(tmp_path, routes, stages=[Guarded(Meddling(stumble))]) as desk:
            reply = await desk.ask(ASK | {"stream": True})
            assert reply.stream is not None
            await reply.stream.next()
            reply.stream.close()
            assert (await desk.row()).client_gone


async def test_a_stream_that_goes_well_passes_untouched(tmp_path: Path) -> None:
    async with MockServer() as mock:
        routes = [route("m", (provider(mock.base_url), "paced-1x1ms"))]
        async with bench(tmp_path, routes, stages=[Guarded(Plain())]) as desk:
            said = await read(await desk.ask(ASK | {"stream": True}))
            assert said.endswith(b"data: [DONE]\n\n")
            assert (await desk.row()).status == "settled"
