"""The exact cache, through the gateway."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest

from loadtest.mockserver import Answer, MockServer
from proxy import replay, sse
from proxy.cache import Cache, Entry
from proxy.errors import GatewayError
from tests.proxy.harness import ASK, Bench, bench, other, provider, read, route


def one(mock: MockServer, model: str = "ok", **fields):
    return [route("m", (provider(mock.base_url), model), **fields)]


async def test_streamed_and_plain_calls_share_an_entry(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, one(mock), ttl=60) as gw:
        first = await gw.ask(ASK)
        again = await gw.ask(ASK)
        assert (first.cache, again.cache, again.body, again.cost_nano) == ("MISS", "HIT", first.body, 0)
        streamed = await gw.stream(ASK | {"stream_options": {"include_usage": True}})
        assert streamed.endswith(b": x-request-cost=0.000000000\n\n" + sse.DONE)
        told = replay.assemble(streamed)
        original = orjson.loads(first.body)
        assert told["choices"] == original["choices"]
        assert told["usage"] == original["usage"]
        assert len(mock.hits) == 1


async def test_a_streamed_answer_is_assembled_for_plain_calls(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, one(mock, "tool-call"), ttl=60) as gw:
        await gw.stream(ASK)
        again = await gw.ask(ASK)
        call = orjson.loads(again.body)["choices"][0]["message"]["tool_calls"][0]
        assert again.cache == "HIT"
        assert orjson.loads(call["function"]["arguments"])
        assert "index" not in call
        assert len(mock.hits) == 1


async def test_a_hit_is_a_row_of_its_own_that_says_what_was_saved(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, one(mock), ttl=60) as gw:
        paid = await gw.ask(ASK)
        saved = await gw.ask(ASK)
        first, hit = await gw.rows()
        assert (hit.status, hit.cached, hit.cost_nano, hit.attempts) == ("cached", True, 0, [])
        assert hit.saved_nano == first.cost_nano == paid.cost_nano
        assert hit.tokens_saved == saved.tokens_saved == sum(first.usage.values())


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.5},
        {"seed": 1},
        {"tools": [{"type": "function", "function": {"name": "a"}}]},
        {"response_format": {"type": "json_object"}},
        {"brand_new": True},
        {"messages": [{"role": "user", "content": "hello"}]},
    ],
)
async def test_whatever_may_change_the_answer_is_another_entry(tmp_path: Path, change: dict) -> None:
    async with MockServer() as mock, bench(tmp_path, one(mock), ttl=60) as gw:
        await gw.ask(ASK)
        assert (await gw.ask(ASK | change)).cache == "MISS"


async def test_user_and_metadata_do_not_matter_but_the_team_does(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, one(mock), ttl=60) as gw:
        await gw.ask(ASK)
        assert (await gw.ask(ASK | {"user": "u", "metadata": {"a": "b"}})).cache == "HIT"
        assert (await gw.ask(ASK, grant=other(team="blue"))).cache == "MISS"


async def test_a_number_is_the_same_however_it_is_written(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, one(mock), ttl=60) as gw:
        asked = orjson.dumps(ASK)[:-1] + b',"temperature":%s,"odd":1e300}'
        for written, told in ((b"1", "MISS"), (b"1.0", "HIT"), (b"0.5", "MISS"), (b"5e-1", "HIT")):
            assert (await gw.ask(asked % written)).cache == told


async def test_it_does_as_cache_control_says(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, one(mock), ttl=60) as gw:
        assert (await gw.ask(ASK, reads_cache=False, writes_cache=False)).cache == "BYPASS"
        assert (await gw.ask(ASK)).cache == "MISS"
        assert (await gw.ask(ASK, reads_cache=False)).cache == "BYPASS"
        assert (await gw.ask(ASK)).cache == "HIT"
        assert len(mock.hits) == 3


async def test_a_route_may_switch_it_off(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, one(mock, cache_ttl=0), ttl=60) as gw:
        assert [(await gw.ask(ASK)).cache for _ in range(2)] == ["BYPASS", "BYPASS"]


async def test_entries_end(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, one(mock), ttl=60) as gw:
        await gw.ask(ASK)
        gw.gateway.clock = lambda: 4e9
        assert (await gw.ask(ASK)).cache == "MISS"


@pytest.mark.parametrize("model", ["cut-2", "error-event-2", "no-finish"])
async def test_a_cut_stream_is_not_kept(tmp_path: Path, model: str) -> None:
    async with MockServer() as mock, bench(tmp_path, one(mock, model), ttl=60) as gw:
        await gw.stream(ASK)
        await gw.stream(ASK)
        assert len(mock.hits) == 2


async def test_refused_and_filtered_answers_are_not_kept(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, one(mock, "up"), ttl=60) as gw:
        for choice in (
            {"finish_reason": "content_filter", "message": {}},
            {"finish_reason": "stop", "message": {"refusal": "no"}},
        ):
            mock.script("up", Answer(body=orjson.dumps({"choices": [choice], "usage": {"prompt_tokens": 1}})))
            await gw.ask(ASK)
            assert (await gw.ask(ASK)).cache == "MISS"


async def together(gw: Bench, count: int, **options) -> list:
    return await asyncio.gather(*(gw.ask(ASK | options) for _ in range(count)), return_exceptions=True)


async def test_equal_calls_at_once_are_one_call_upstream(tmp_path: Path) -> None:
    async with MockServer(latency=0.1) as mock, bench(tmp_path, one(mock), ttl=60) as gw:
        replies = await together(gw, 50)
        assert sorted(reply.cache for reply in replies) == ["HIT"] * 49 + ["MISS"]
        assert len(mock.hits) == 1
        assert gw.gateway.cache.flights == {}


async def test_those_who_wait_for_a_stream_get_its_answer(tmp_path: Path) -> None:
    async with MockServer(latency=0.03) as mock, bench(tmp_path, one(mock), ttl=60) as gw:
        leader = asyncio.create_task(gw.stream(ASK))
        await asyncio.sleep(0.02)
        follower = await gw.ask(ASK)
        await leader
        assert follower.cache == "HIT"
        assert len(mock.hits) == 1


async def test_when_the_leader_fails_the_next_one_leads(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, one(mock, "up"), ttl=60) as gw:
        good = orjson.dumps(
            {"choices": [{"finish_reason": "stop", "message": {"content": "x"}}], "usage": {"prompt_tokens": 1}}
        )
        mock.script("up", Answer(status=500, body=b"{}", delay=0.05), Answer(body=good, delay=0.05))
        replies = await together(gw, 20)
        failed = [reply for reply in replies if isinstance(reply, GatewayError)]
        assert len(failed) == 1
        assert len(mock.hits) == 2


async def test_when_the_leaders_caller_leaves_the_next_one_leads(tmp_path: Path) -> None:
    async with MockServer(latency=0.03) as mock, bench(tmp_path, one(mock), ttl=60) as gw:
        leader = await gw.ask(ASK | {"stream": True})
        follower = asyncio.create_task(gw.ask(ASK))
        await asyncio.sleep(0.01)
        leader.stream.close()
        assert (await follower).cache == "MISS"
        assert gw.gateway.cache.flights == {}


async def test_an_abandoned_stream_leaves_no_flight(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, one(mock), ttl=60) as gw:
        reply = await gw.ask(ASK | {"stream": True})
        await read(reply)
        reply.stream.close()
        await gw.rows()
        assert gw.gateway.cache.flights == {}
        assert len(mock.hits) == 1


def entry(key: str, size: int = 100) -> Entry:
    from accounts.prices import Usage

    return Entry(key, "t", "m", "m", "p", "openai", "m", Usage(), False, 0.0, 10.0, answer=b"x" * size)


def test_it_forgets_what_was_used_least_when_it_is_full() -> None:
    cache = Cache(3 * 1600, 60)
    for key in "abc":
        cache.put(entry(key))
    assert cache.get("a", 0) is not None
    cache.put(entry("d"))
    assert [key for key in "abcd" if cache.get(key, 0)] == ["a", "c", "d"]
    cache.put(entry("e", 5000))
    assert cache.get("e", 0) is None
    cache.drop("a")
    assert cache.get("a", 0) is None
    assert cache.get("d", 11.0) is None
    assert [each.key for each in cache.take_pending(100)] == ["d"]  # a quarter of the capacity holds no more
    assert cache.take_hits()["a"] == 2


def test_two_threads_may_use_it_at_once() -> None:
    cache = Cache(20_000, default_ttl=60)
    interval = sys.getswitchinterval()

    def use(first: int) -> None:
        for turn in range(first, first + 4_000):
            cache.put(entry(str(turn % 40)))
            cache.get(str(turn % 37), 0.0)
            cache.drop(str(turn % 31))
            for each in cache.take_pending(5):
                cache.assembled(each, b"{}")

    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(use, (0, 17)))
    finally:
        sys.setswitchinterval(interval)
    for key in map(str, range(40)):
        cache.drop(key)
    assert (cache._size, len(cache)) == (0, 0)
