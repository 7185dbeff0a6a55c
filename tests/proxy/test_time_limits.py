"""Each time limit by itself, where the others are far away: what is waited for, and what is said then."""

import asyncio
from pathlib import Path

import pytest

from loadtest.mockserver import Answer, MockServer
from proxy.errors import UpstreamError
from proxy.upstream import Timeouts
from tests.proxy.harness import ASK, Bench, bench, provider, read, route

FAR, NEAR = 60.0, 0.15
PATIENCE = 10.0  # of the test, far below FAR
HELLO = b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}\n\n'
SILENCE = Answer(raw=True, chunks=[], then="hang")


def far(**near: float) -> Timeouts:
    return Timeouts(**{"connect": FAR, "first_byte": FAR, "idle": FAR, "total": FAR} | near)


async def told(gw: Bench, *, stream: bool = False) -> str:
    """What a caller is told in the end: the code of an error, or the last bytes of a stream."""
    async with asyncio.timeout(PATIENCE):
        try:
            return (await gw.stream(ASK)).decode() if stream else repr(await gw.ask(ASK))
        except UpstreamError as error:
            return error.code


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("limit", ["first_byte", "total"])
async def test_nobody_waits_longer_for_an_answer_than_for_the_whole_of_it(
    tmp_path: Path, limit: str, stream: bool
) -> None:
    async with MockServer() as mock:
        mock.script("up", SILENCE)
        async with bench(tmp_path, [route("m", (provider(mock.base_url), "up"))], timeouts=far(**{limit: NEAR})) as gw:
            assert await told(gw, stream=stream) == "upstream_timeout"


@pytest.mark.parametrize("limit", ["idle", "total"])
async def test_a_plain_answer_that_stops_half_way_is_given_up(tmp_path: Path, limit: str) -> None:
    async with MockServer() as mock:
        mock.script("up", Answer(chunks=[b'{"choices":'], headers={"content-type": "application/json"}, then="hang"))
        async with bench(tmp_path, [route("m", (provider(mock.base_url), "up"))], timeouts=far(**{limit: NEAR})) as gw:
            assert await told(gw) == "upstream_timeout"


@pytest.mark.parametrize(("limit", "code"), [("idle", "upstream_stalled"), ("total", "upstream_timeout")])
async def test_a_stream_that_falls_silent_after_its_first_piece_is_cut(tmp_path: Path, limit: str, code: str) -> None:
    """The first piece comes along with the head, so that nothing more is read that could set a new limit."""
    async with MockServer() as mock:
        mock.script("up", Answer(chunks=[HELLO], then="hang"))
        async with bench(tmp_path, [route("m", (provider(mock.base_url), "up"))], timeouts=far(**{limit: NEAR})) as gw:
            said = await told(gw, stream=True)
            assert said.startswith(HELLO.decode()) and f'"code":"{code}"' in said


async def test_a_stream_that_goes_on_and_on_is_cut_in_time(tmp_path: Path) -> None:
    async with MockServer() as mock:
        mock.script("up", lambda hit: Answer(chunks=[HELLO] * 1000, gap=0.03))
        async with bench(tmp_path, [route("m", (provider(mock.base_url), "up"))], timeouts=far(total=NEAR)) as gw:
            said = await told(gw, stream=True)
            assert 1 <= said.count('"delta"') < 20
            assert '"code":"upstream_timeout"' in said


async def test_a_stream_that_has_begun_may_pause_longer_than_its_beginning_might_have_taken(tmp_path: Path) -> None:
    async with MockServer() as mock:
        end = b'data: {"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
        mock.script("up", Answer(chunks=[HELLO, 2 * NEAR, end]))
        async with bench(tmp_path, [route("m", (provider(mock.base_url), "up"))], timeouts=far(first_byte=NEAR)) as gw:
            said = await told(gw, stream=True)
            assert said.endswith("data: [DONE]\n\n") and '"error"' not in said


async def test_an_error_whose_text_never_ends_keeps_nobody_from_the_next_target(tmp_path: Path) -> None:
    async with MockServer() as mock:
        mock.script("bad", Answer(status=500, chunks=[b'{"error":'], then="hang"))
        bad, fine = provider(mock.base_url, "bad"), provider(mock.base_url, "fine")
        async with bench(tmp_path, [route("m", (bad, "bad"), (fine, "ok"))], timeouts=far(idle=NEAR)) as gw:
            async with asyncio.timeout(PATIENCE):
                assert (await gw.ask(ASK)).attempts == ["bad/bad", "fine/ok"]


async def test_who_reads_slowly_is_not_taken_for_a_provider_that_is_silent(tmp_path: Path) -> None:
    """The provider sends more at once than is kept unread, so that its connection rests, and not through its fault."""
    async with MockServer() as mock:
        end = b'data: {"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
        mock.script("up", Answer(chunks=[HELLO * 30_000, HELLO * 30_000, end]))
        async with bench(tmp_path, [route("m", (provider(mock.base_url), "up"))], timeouts=far(idle=NEAR)) as gw:
            async with asyncio.timeout(PATIENCE):
                reply = await gw.ask(ASK | {"stream": True})
                await asyncio.sleep(3 * NEAR)
                said = await read(reply)
            assert said.count(HELLO) == 60_000 and said.endswith(b"data: [DONE]\n\n")
