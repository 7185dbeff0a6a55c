"""Faults of our own and oddities of others: the caller hears the truth, and the row is written all the same."""

import asyncio
from pathlib import Path

import orjson
import pytest

from loadtest.mockserver import Answer, MockServer
from proxy import body as bodies
from proxy.call import STOPPING, Call, Proceed, Reply
from proxy.errors import BadRequest, GatewayError
from routing.health import Health
from tests.proxy.harness import ASK, bench, provider, read, route
from tests.proxy.native.harness import of_kind

HELLO = b'data: {"choices":[{"delta":{"content":"Hello"}}]}\n\n'


class Stumbling:
    """A stage with a bug behind the provider's answer."""

    async def around(self, call: Call, proceed: Proceed) -> Reply:
        await proceed(call)
        raise ZeroDivisionError


class Unwell(Health):
    """Fails when all goes well, which is when a stream is settled."""

    def succeeded(self, target_name: str, now: float) -> None:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    "raw", [b'{"a\\\\":1,"model":"a","model":"b"}', b'{"a\\\\" :1,"b" :1,"b" :2}', b'{"a\\\\\\\\":1,"b":[],"b":2}']
)
def test_a_key_that_ends_in_a_backslash_hides_no_other_given_twice(raw: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        bodies.parse(raw)
    assert caught.value.code == "duplicate_key"


@pytest.mark.parametrize(
    ("raw", "changed"),
    [
        (b'{"mod\\u0065l":"m"}', b'{"mod\\u0065l":"up"}'),
        (b'{"mod\\u0065l":"m","x":{"model":"y"}}', b'{"mod\\u0065l":"up","x":{"model":"y"}}'),
        (b'{"x":"\\u0065","model":"m"}', b'{"x":"\\u0065","model":"up"}'),
    ],
)
def test_it_finds_a_key_however_it_is_spelled(raw: bytes, changed: bytes) -> None:
    assert bodies.with_value(raw, bodies.parse(raw), "model", "up") == changed


async def test_parts_of_an_odd_type_do_not_keep_an_answer_from_being_estimated(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, [route("m", (provider(mock.base_url), "usage-none"))]) as gw:
        content = [{"type": ["image"]}, {"type": {}, "text": "Hello"}]
        await gw.ask({"model": "m", "messages": [{"role": "user", "content": content}]})
        assert (await gw.row()).usage_source == "estimated"


async def test_a_bug_of_ours_leaves_no_row_open(tmp_path: Path) -> None:
    async with MockServer() as mock:
        routes = [route("m", (provider(mock.base_url), "ok"))]
        async with bench(tmp_path, routes, stages=[Stumbling()]) as gw:
            with pytest.raises(ZeroDivisionError):
                await gw.ask(ASK)
            assert (await gw.row()).cost_nano > 0
            assert gw.gateway.journal.in_flight() == 0


async def test_a_bug_of_ours_in_mid_stream_ends_in_an_error_event(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, [route("m", (provider(mock.base_url), "ok"))]) as gw:
        gw.gateway.health = Unwell()
        events = await gw.stream(ASK)
        assert events.endswith(b'"code":"internal_error"}}\n\n')
        row = await gw.row()
        assert (row.status, row.error, row.client_gone) == ("interrupted", "internal_error", False)
        assert row.cost_nano > 0


@pytest.mark.parametrize("stream", [False, True])
async def test_the_servers_stop_is_not_blamed_on_the_caller(tmp_path: Path, stream: bool) -> None:
    async with MockServer() as mock, bench(tmp_path, [route("m", (provider(mock.base_url), "up"))]) as gw:
        mock.script("up", Answer(raw=True, chunks=[], then="hang"))
        task = asyncio.create_task(gw.ask(ASK | {"stream": stream}))
        while not mock.hits:
            await asyncio.sleep(0.01)
        task.cancel(STOPPING)
        with pytest.raises(asyncio.CancelledError):
            await task
        row = await gw.row()
        assert (row.status, row.http_status, row.error) == ("interrupted", 503, STOPPING)
        assert not row.client_gone
        assert row.cost_nano > 0


async def test_it_counts_a_prompt_that_overwhelms_the_tokenizer(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, [route("m", (provider(mock.base_url), "usage-none"))]) as gw:
        await gw.ask({"model": "m", "messages": [{"role": "user", "content": " " * 1_000_000}]})
        row = await gw.row()
        assert (row.status, row.usage_source) == ("settled", "estimated")
        assert row.usage["input"] > 1000


async def test_it_bills_a_caller_whose_messages_cannot_be_counted(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, [route("m", (provider(mock.base_url), "usage-none"))]) as gw:
        await gw.ask({"model": "m", "messages": [{"role": "user", "content": "Hello", "tool_calls": 5}]})
        row = await gw.row()
        assert (row.status, row.usage_source) == ("settled", "estimated")


async def test_equal_calls_do_not_wait_for_one_whose_caller_left_at_its_end(tmp_path: Path) -> None:
    """An estimate of a long prompt is made in a thread: a caller can leave while its stream is being settled."""
    ask = {"model": "m", "messages": [{"role": "user", "content": "Hello " * 50_000}], "stream": True}
    async with MockServer() as mock:
        async with bench(tmp_path, [route("m", (provider(mock.base_url), "usage-none"))], ttl=60) as gw:
            reply = await gw.ask(ask)
            task = asyncio.create_task(read(reply))
            while reply.stream is not None and not reply.stream.over:
                await asyncio.sleep(0)
            task.cancel("caller_hung_up")
            with pytest.raises(asyncio.CancelledError):
                await task
            assert gw.gateway.cache.flights == {}
            assert (await gw.row()).status == "settled"


async def test_a_kept_stream_that_amounts_to_nothing_is_not_given_again(tmp_path: Path) -> None:
    odd = b'data: {"choices":[null]}\n\n'
    async with MockServer() as mock:
        async with bench(tmp_path, [route("m", (provider(mock.base_url), "up"))], ttl=60) as gw:
            mock.script("up", Answer(chunks=[odd, b"data: [DONE]\n\n"]), Answer(chunks=[HELLO, b"data: [DONE]\n\n"]))
            assert odd in await gw.stream(ASK)
            assert HELLO in await gw.stream(ASK)
            assert len(mock.hits) == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_is_none_costs_what_its_provider_counted(tmp_path: Path, stream: bool) -> None:
    used = {"promptTokenCount": 10, "thoughtsTokenCount": 2000, "totalTokenCount": 2010}
    body = orjson.dumps({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}], "usageMetadata": used})
    streamed = Answer(headers={"content-type": "text/event-stream"}, chunks=[b"data: %b\n\n" % body])
    async with MockServer() as mock:
        mock.script("*", streamed if stream else Answer(body=body))
        async with bench(tmp_path, [route("m", (of_kind("gemini", mock), "gemini-x"))]) as gw:
            with pytest.raises(GatewayError) as raised:
                await gw.ask(ASK | {"stream": stream})
            row = await gw.row()
    assert raised.value.code == "upstream_invalid_response"
    assert (row.status, row.usage_source, row.usage) == ("interrupted", "provider", {"input": 10, "reasoning": 2000})
