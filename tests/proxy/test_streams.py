"""Streams through the gateway, over real sockets, against the scripted provider."""

import asyncio
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from loadtest.mockserver import Answer, MockServer
from proxy import sse
from proxy.delivery import cost_text
from proxy.errors import GatewayError
from tests.proxy.harness import ASK, TIMEOUTS, bench, provider, read, route

ASKED = ASK | {"stream": True, "stream_options": {"include_usage": True}}
HELLO = b'data: {"id":"1","model":"up","choices":[{"index":0,"delta":{"content":"H\xc3\xa9 \xf0\x9f\x98\x80"}}]}\n\n'
STOP = b'data: {"id":"1","model":"up","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USED = b'data: {"id":"1","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5}}\n\n'
COST = 10 * 1000 + 5 * 2000
COMMENT = f": x-request-cost={cost_text(COST)}\n\n".encode()
WITH_COST = USED.replace(b'{"id"', f'{{"cost":"{cost_text(COST)}","id"'.encode(), 1)


def one(mock: MockServer, **fields):
    return [route("m", (provider(mock.base_url), "up"), **fields)]


def last_event(body: bytes) -> dict:
    return orjson.loads(sse.data_of(sse.events(body)[-1]) or b"null")


async def test_it_passes_bytes_and_keeps_the_usage_chunk_it_asked_for_itself(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, one(mock)) as gw:
        mock.script("up", Answer(chunks=[b": hi\n\n", HELLO, STOP, USED, sse.DONE]))
        assert await gw.stream(ASK) == b": hi\n\n" + HELLO + STOP + COMMENT + sse.DONE
        assert mock.hits[0].json["stream_options"] == {"include_usage": True}
        row = await gw.row()
        assert (row.status, row.usage_source, row.cost_nano, row.stream) == ("settled", "provider", COST, True)
        assert row.first_token_us is not None


async def test_it_hands_on_the_usage_chunk_with_the_cost_to_who_asked(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, one(mock)) as gw:
        mock.script("up", Answer(chunks=[HELLO, STOP, USED, sse.DONE]))
        assert await gw.stream(ASKED) == HELLO + STOP + WITH_COST + COMMENT + sse.DONE
        assert mock.hits[0].body == orjson.dumps(ASKED).replace(b'"m"', b'"up"', 1)


async def test_it_does_not_matter_where_the_bytes_are_cut(tmp_path: Path) -> None:
    whole = HELLO + STOP + USED + sse.DONE
    for ends in (b"\n", b"\r\n"):
        wire = whole.replace(b"\n", ends)
        async with MockServer() as mock, bench(tmp_path, one(mock)) as gw:
            for size in (1, 2, 3, 7, 50):
                mock.script("up", Answer(chunks=[wire], slice=size))
                body = await gw.stream(ASKED)
                assert body == (HELLO + STOP).replace(b"\n", ends) + WITH_COST + COMMENT + sse.DONE


async def test_it_says_the_asked_name_where_the_route_wants_it(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, one(mock, answer_as_asked=True)) as gw:
        mock.script("up", Answer(chunks=[HELLO + STOP + USED + sse.DONE]))
        body = await gw.stream(ASK)
        assert body == (HELLO + STOP).replace(b'"model":"up"', b'"model":"m"') + COMMENT + sse.DONE


async def test_it_falls_back_while_nothing_was_sent(tmp_path: Path) -> None:
    async with MockServer() as mock:
        cut, fine = provider(mock.base_url, "cut"), provider(mock.base_url, "fine")
        async with bench(tmp_path, [route("m", (cut, "cut-0"), (fine, "up"))]) as gw:
            mock.script("up", Answer(chunks=[HELLO, STOP, USED, sse.DONE]))
            body = await gw.stream(ASK)
            row = await gw.row()
            assert [attempt.status for attempt in row.attempts] == ["interrupted", "settled"]
            assert row.cost_nano == sum(attempt.cost_nano for attempt in row.attempts) > COST
            comment = f": x-request-cost={cost_text(row.cost_nano)}\n\n".encode()
            assert body == HELLO + STOP + comment + sse.DONE


async def test_it_falls_back_when_the_first_event_is_an_error(tmp_path: Path) -> None:
    async with MockServer() as mock:
        bad, fine = provider(mock.base_url, "bad"), provider(mock.base_url, "fine")
        async with bench(tmp_path, [route("m", (bad, "error-event-0"), (fine, "up"))]) as gw:
            mock.script("up", Answer(chunks=[HELLO, STOP, USED, sse.DONE]))
            assert await gw.stream(ASK) == HELLO + STOP + COMMENT + sse.DONE


@pytest.mark.parametrize(
    ("chunks", "then", "code"),
    [
        ([HELLO], "cut", "stream_interrupted"),
        ([HELLO], "reset", "stream_interrupted"),
        ([HELLO], "end", "stream_interrupted"),
        ([HELLO], "hang", "upstream_stalled"),
        ([HELLO, b'data: {"error": {"message": "no", "code": "boom"}}\n\n'], "end", "boom"),
        ([HELLO, b'event: error\ndata: {"error": {"message": "no"}}\n\n'], "end", "stream_interrupted"),
        (
            [HELLO, b'data: {"choices":[{"finish_reason":"error"}],"error":{"message":"x"}}\n\n'],
            "end",
            "stream_interrupted",
        ),
    ],
)
async def test_a_cut_stream_ends_in_an_error_event(tmp_path: Path, chunks: list, then: str, code: str) -> None:
    quick = replace(TIMEOUTS, idle=0.15)
    async with MockServer() as mock:
        spare = provider(mock.base_url, "spare")
        routes = [route("m", (provider(mock.base_url), "up"), (spare, "ok"))]
        async with bench(tmp_path, routes, timeouts=quick) as gw:
            mock.script("up", Answer(chunks=[*chunks, 0.02], then=then))
            body = await gw.stream(ASK)
            assert body.startswith(HELLO)
            assert sse.DONE not in body
            assert last_event(body)["error"]["code"] == code
            assert len(mock.hits) == 1  # no fallback once something was sent
            row = await gw.row()
            assert (row.status, row.usage_source, row.error) == ("interrupted", "estimated", code)
            assert row.usage["output"] > 0
            assert row.cost_nano > 0


async def test_an_error_that_is_null_is_none(tmp_path: Path) -> None:
    chunk = b'data: {"error": null, "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}\n\n'
    async with MockServer() as mock:
        mock.script("up", Answer(chunks=[chunk, b"data: [DONE]\n\n"]))
        async with bench(tmp_path, one(mock)) as gw:
            assert chunk in await gw.stream(ASK)
            assert (await gw.row()).status == "settled"


async def test_it_keeps_what_stands_before_an_error_in_the_same_read(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, one(mock)) as gw:
        mock.script("up", Answer(chunks=[HELLO + HELLO + b'data: {"error": {"message": "no"}}\n\n']))
        body = await gw.stream(ASK)
        assert body.startswith(HELLO + HELLO)
        assert b"DONE" not in body


async def test_it_forgives_a_missing_terminator_after_a_finish_reason(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, one(mock)) as gw:
        mock.script("up", Answer(chunks=[HELLO, STOP, USED.rstrip()]))
        assert await gw.stream(ASK) == HELLO + STOP + COMMENT + sse.DONE
        assert (await gw.row()).status == "settled"


async def test_text_that_speaks_of_done_errors_and_usage_is_text(tmp_path: Path) -> None:
    text = orjson.dumps(
        {"choices": [{"delta": {"content": 'data: [DONE] "usage": {"x":1} {"error": 1}\n\ndata: [DONE]'}}]}
    )
    event = b"data: " + text + b"\n\n"
    async with MockServer() as mock, bench(tmp_path, one(mock)) as gw:
        mock.script("up", Answer(chunks=[event, STOP, USED, sse.DONE]))
        assert await gw.stream(ASK) == event + STOP + COMMENT + sse.DONE


async def test_usage_in_every_chunk_counts_once_and_the_last_wins(tmp_path: Path) -> None:
    growing = [HELLO[:-3] + b',"usage":{"prompt_tokens":10,"completion_tokens":%d}}\n\n' % count for count in (1, 2, 5)]
    async with MockServer() as mock, bench(tmp_path, one(mock)) as gw:
        mock.script("up", Answer(chunks=[*growing, STOP, sse.DONE]))
        assert await gw.stream(ASK) == b"".join(growing) + STOP + COMMENT + sse.DONE
        assert (await gw.row()).usage == {"input": 10, "output": 5}


async def test_it_estimates_a_stream_without_usage(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, one(mock)) as gw:
        mock.script("up", Answer(chunks=[HELLO, STOP, sse.DONE]))
        body = await gw.stream(ASK)
        assert body.endswith(sse.DONE)
        row = await gw.row()
        assert (row.status, row.usage_source) == ("settled", "estimated")
        assert row.usage["output"] > 0


async def test_it_lets_go_of_the_provider_when_the_caller_hangs_up(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, one(mock)) as gw:
        mock.script("up", Answer(chunks=[HELLO], then="hang"))
        reply = await gw.ask(ASK | {"stream": True})
        assert await reply.stream.next() == HELLO
        reply.stream.close()
        for _ in range(100):
            if mock.hits[0].peer_closed:
                break
            await asyncio.sleep(0.01)
        assert mock.hits[0].peer_closed
        row = await gw.row()
        assert (row.status, row.client_gone, row.usage_source) == ("interrupted", True, "estimated")
        assert gw.gateway.health.state("mock/up", gw.gateway.clock()) != "failing"


async def test_a_caller_who_leaves_before_reading_anything_is_billed_too(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, one(mock)) as gw:
        mock.script("up", Answer(chunks=[HELLO], then="hang"))
        reply = await gw.ask(ASK | {"stream": True})
        reply.stream.close()
        assert (await gw.row()).status == "interrupted"


async def test_a_caller_who_leaves_after_the_usage_is_settled_with_it(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, one(mock)) as gw:
        mock.script("up", Answer(chunks=[HELLO + STOP + USED], then="hang"))
        reply = await gw.ask(ASK | {"stream": True})
        await reply.stream.next()
        reply.stream.close()
        row = await gw.row()
        assert (row.status, row.usage_source, row.cost_nano, row.client_gone) == ("settled", "provider", COST, True)


async def test_a_shutdown_ends_a_stream_with_an_error_event(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, one(mock)) as gw:
        mock.script("up", Answer(chunks=[HELLO], then="hang"))
        task = asyncio.create_task(gw.stream(ASK))
        await asyncio.sleep(0.1)
        task.cancel("server_shutting_down")
        body = await task
        assert body.startswith(HELLO)
        assert last_event(body)["error"]["code"] == "server_shutting_down"
        assert (await gw.row()).status == "interrupted"


async def test_the_last_byte_is_kept_back_when_the_ledger_cannot_take_the_row(tmp_path: Path) -> None:
    from accounts.ledger.journal import JournalUnavailable

    async with MockServer() as mock, bench(tmp_path, one(mock)) as gw:
        mock.script("up", Answer(chunks=[HELLO, 0.05, STOP + USED + sse.DONE]))
        reply = await gw.ask(ASK | {"stream": True})

        class Full:
            def settle(self, entry: object) -> None:
                raise JournalUnavailable("full")

        gw.gateway.journal, kept = Full(), gw.gateway.journal
        body = await read(reply)
        gw.gateway.journal = kept
        assert sse.DONE not in body
        assert last_event(body)["error"]["code"] == "ledger_unavailable"


@pytest.mark.parametrize("answer", [Answer(body=b'{"choices":[]}'), Answer(body=b"<html>"), Answer(chunks=[])])
async def test_it_refuses_an_answer_that_is_no_stream(tmp_path: Path, answer: Answer) -> None:
    async with MockServer() as mock, bench(tmp_path, one(mock)) as gw:
        mock.script("up", answer)
        with pytest.raises(GatewayError) as caught:
            await gw.ask(ASK | {"stream": True})
        assert caught.value.status == 502
        assert (await gw.row()).status == "interrupted"


async def test_the_connection_is_used_again_after_a_whole_stream(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, one(mock)) as gw:
        mock.script("up", Answer(chunks=[HELLO, STOP, USED, sse.DONE]))
        for _ in range(5):
            await gw.stream(ASK)
            await gw.rows()
        assert mock.connections == 1
