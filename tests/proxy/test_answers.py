"""Plain answers through the gateway, over real sockets, against the scripted provider."""

import asyncio
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
from tests.proxy.harness import ASK, TIMEOUTS, bench, other, provider, read, route

USAGE = {"prompt_tokens": 10, "completion_tokens": 5}
REPLY = orjson.dumps({"id": "x", "model": "up", "choices": [{"message": {"content": "ok"}}], "usage": USAGE, "odd": 1})


async def refused(gw, body, **options) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await gw.ask(body, **options)
    return caught.value


async def test_it_passes_bytes_through_and_settles_before_it_answers(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, [route("m", (provider(mock.base_url), "up"))]) as gw:
        mock.script("up", Answer(body=REPLY))
        raw = b'{"model": "m", "messages": [{"role": "user", "content": "\\u00e9"}], "seed": 1.0, "new": [ ]}'
        reply = await gw.ask(raw)
        assert reply.body == REPLY
        assert mock.hits[0].body == raw.replace(b'"m"', b'"up"')
        assert mock.hits[0].headers["authorization"] == "Bearer sk-upstream-canary"
        row = await gw.row()
        assert (row.status, row.usage_source, row.cost_nano) == ("settled", "provider", 10 * 1000 + 5 * 2000)
        assert row.cost_nano == reply.cost_nano
        assert (row.team, row.key_label, row.route, row.model, row.revision) == ("red", "test key", "m", "up", 7)


async def test_it_says_the_asked_name_where_the_route_wants_it(tmp_path: Path) -> None:
    async with MockServer() as mock:
        async with bench(tmp_path, [route("m", (provider(mock.base_url), "up"), answer_as_asked=True)]) as gw:
            mock.script("up", Answer(body=REPLY))
            assert (await gw.ask(ASK)).body == REPLY.replace(b'"up"', b'"m"')


async def test_it_falls_back_and_records_both_attempts(tmp_path: Path) -> None:
    async with MockServer() as mock:
        busy, fine = provider(mock.base_url, "busy"), provider(mock.base_url, "fine")
        async with bench(tmp_path, [route("m", (busy, "status-429"), (fine, "ok"))]) as gw:
            reply = await gw.ask(ASK)
            assert reply.attempts == ["busy/status-429", "fine/ok"]
            row = await gw.row()
            assert [(a.status, a.error, a.cost_nano > 0) for a in row.attempts] == [
                ("failed", "upstream_rate_limited", False),
                ("settled", "", True),
            ]
            assert row.cost_nano == sum(a.cost_nano for a in row.attempts)


async def test_it_does_not_try_another_target_when_the_request_is_to_blame(tmp_path: Path) -> None:
    async with MockServer() as mock:
        first, second = provider(mock.base_url, "first"), provider(mock.base_url, "second")
        async with bench(tmp_path, [route("m", (first, "status-400"), (second, "ok"))]) as gw:
            error = await refused(gw, ASK)
            assert (error.status, error.origin) == (400, "upstream")
            assert len(mock.hits) == 1
            assert (await gw.row()).status == "failed"


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("status-401", 502, "upstream_auth_error"),
        ("status-500", 502, "upstream_error"),
        ("status-429", 429, "upstream_rate_limited"),
        ("redirect", 502, "upstream_redirect"),
        ("html-200", 502, "upstream_invalid_response"),
        ("empty-200", 502, "upstream_invalid_response"),
    ],
)
async def test_it_turns_a_providers_trouble_into_a_clear_error(
    tmp_path: Path, model: str, status: int, code: str
) -> None:
    async with MockServer() as mock, bench(tmp_path, [route("m", (provider(mock.base_url), model))]) as gw:
        error = await refused(gw, ASK)
        assert (error.status, error.code, error.origin) == (status, code, "upstream")
        assert "canary" not in str(error.body())
        assert "127.0.0.1" not in str(error.body())
        row = await gw.row()
        assert row.http_status == status
        assert row.attempts[0].error == code
        assert len(mock.hits) == 1  # nothing was replayed, nothing followed


async def test_it_bills_an_answer_it_could_not_read_as_an_estimate(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, [route("m", (provider(mock.base_url), "html-200"))]) as gw:
        await refused(gw, ASK)
        row = await gw.row()
        assert (row.status, row.usage_source) == ("interrupted", "estimated")
        assert row.cost_nano > 0


async def test_it_records_a_refused_connection_at_no_cost(tmp_path: Path) -> None:
    async with MockServer() as mock:
        gone = mock.base_url
    async with bench(tmp_path, [route("m", (provider(gone), "up"))]) as gw:
        error = await refused(gw, ASK)
        assert (error.status, error.code) == (502, "upstream_connection_error")
        row = await gw.row()
        assert (row.status, row.cost_nano, row.usage_source) == ("failed", 0, "none")


async def test_it_does_not_call_a_lost_connection_a_refused_one(tmp_path: Path) -> None:
    """Ecosystem 0b.8: read as 'never sent', it would be sent, and paid, twice."""
    async with MockServer() as mock, bench(tmp_path, [route("m", (provider(mock.base_url), "up"))]) as gw:
        mock.script("up", Answer(raw=True, chunks=[], then="reset"))
        error = await refused(gw, ASK)
        assert error.code == "upstream_connection_error"
        row = await gw.row()
        assert (row.status, row.usage_source) == ("interrupted", "estimated")
        assert len(mock.hits) == 1


async def test_it_gives_up_on_a_silent_provider(tmp_path: Path) -> None:
    from dataclasses import replace

    quick = replace(TIMEOUTS, first_byte=0.1)
    async with MockServer() as mock:
        async with bench(tmp_path, [route("m", (provider(mock.base_url), "up"))], timeouts=quick) as gw:
            mock.script("up", Answer(raw=True, chunks=[], then="hang"))
            error = await refused(gw, ASK)
            assert (error.status, error.code) == (504, "upstream_timeout")
            assert (await gw.row()).status == "interrupted"


async def test_it_bounds_an_answer(tmp_path: Path) -> None:
    async with MockServer() as mock:
        routes = [route("m", (provider(mock.base_url), "up"))]
        async with bench(tmp_path, routes, max_response_bytes=1000) as gw:
            mock.script("up", Answer(body=b"x" * 5000))
            assert (await refused(gw, ASK)).code == "upstream_response_too_large"


async def test_it_refuses_a_private_address_at_connect(tmp_path: Path) -> None:
    from dataclasses import replace

    async with MockServer() as mock:
        inside = replace(provider(mock.base_url), allow_private=False)
        byname = replace(provider(mock.base_url.replace("127.0.0.1", "localhost"), "byname"), allow_private=False)
        async with bench(tmp_path, [route("m", (inside, "up")), route("n", (byname, "up"))]) as gw:
            for model in ("m", "n"):
                error = await refused(gw, ASK | {"model": model})
                assert (error.status, error.code) == (502, "upstream_forbidden_address")
            assert mock.hits == []


async def test_it_estimates_what_a_provider_did_not_report(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, [route("m", (provider(mock.base_url), "usage-none"))]) as gw:
        await gw.ask(ASK)
        row = await gw.row()
        assert (row.status, row.usage_source) == ("settled", "estimated")
        assert row.usage["input"] > 0 < row.usage["output"]


@pytest.mark.parametrize(
    ("dialect", "asked", "names"),
    [
        (Messages(), ASK | {"max_tokens": 50}, ("input_tokens", "output_tokens")),
        (Responses(), {"model": "m", "input": "Hello"}, ("input_tokens", "output_tokens")),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_translated_answer_says_what_we_counted_where_the_provider_did_not(
    tmp_path: Path, dialect: Dialect, asked: dict[str, Any], names: tuple[str, str], stream: bool
) -> None:
    async with MockServer() as mock, bench(tmp_path, [route("m", (provider(mock.base_url), "usage-none"))]) as gw:
        reply = await gw.ask(asked | {"stream": stream}, dialect=dialect)
        body = await read(reply) if reply.stream is not None else reply.body
        row = await gw.row()
    said = [orjson.loads(each) for each in (map(sse.data_of, sse.events(body)) if stream else [body]) if each]
    told = [each.get("usage") or each.get("response", {}).get("usage") for each in said]
    usage = next(each for each in reversed(told) if each)
    assert row.usage_source == "estimated"
    assert [usage[name] for name in names] == [row.usage["input"], row.usage["output"]]


async def test_unknown_and_forbidden_models_look_the_same(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, [route("m", (provider(mock.base_url), "up"))]) as gw:
        unknown = await refused(gw, ASK | {"model": "n"})
        forbidden = await refused(gw, ASK, grant=other(models=("n",)))
        assert unknown.body()["error"]["code"] == forbidden.body()["error"]["code"] == "model_not_found"
        assert unknown.message.replace("'n'", "'m'") == forbidden.message
        assert [row.status for row in await gw.rows()] == ["failed", "failed"]
        assert mock.hits == []


async def test_it_records_a_body_that_is_wrong(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, [route("m", (provider(mock.base_url), "up"))]) as gw:
        assert (await refused(gw, b"{")).code == "invalid_json"
        row = await gw.row()
        assert (row.status, row.http_status, row.error, row.attempts) == ("failed", 400, "invalid_json", [])


async def test_it_does_not_call_a_provider_when_nothing_can_be_written(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, [route("m", (provider(mock.base_url), "up"))]) as gw:
        from accounts.ledger.journal import JournalUnavailable

        class Full:
            def open(self, entry: object) -> None:
                raise JournalUnavailable("full")

        gw.gateway.journal, kept = Full(), gw.gateway.journal
        error = await refused(gw, ASK)
        gw.gateway.journal = kept
        assert (error.status, error.code, error.retry_after) == (503, "ledger_unavailable", 1)
        assert mock.hits == []


async def test_it_records_a_call_that_was_cut_short(tmp_path: Path) -> None:
    async with MockServer() as mock, bench(tmp_path, [route("m", (provider(mock.base_url), "up"))]) as gw:
        mock.script("up", Answer(raw=True, chunks=[], then="hang"))
        task = asyncio.create_task(gw.ask(ASK))
        while not mock.hits:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        row = await gw.row()
        assert (row.status, row.client_gone, row.attempts[0].status) == ("interrupted", True, "interrupted")
        assert row.cost_nano > 0


async def test_it_does_not_price_what_has_no_price(tmp_path: Path) -> None:
    async with MockServer() as mock:
        async with bench(tmp_path, [route("m", (provider(mock.base_url), "ok"))], prices=()) as gw:
            reply = await gw.ask(ASK)
            row = await gw.row()
            assert (reply.cost_nano, row.cost_status, row.cost_nano) == (None, "unpriced", 0)
