"""Budgets at the gateway, over real sockets, with a database played by the test: B-1, B-2, B-6, B-7."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from accounts.budgets.limits import Limit, table
from accounts.prices import Price
from loadtest.mockserver import Answer, MockServer
from proxy.errors import BudgetUnavailable, GatewayError, ModelUnpriced, OverBudget
from tests.proxy.harness import ASK, Bench, bench, provider, route
from tests.proxy.lender import CALL, COST, NOW, PRICE, USD, Database


@asynccontextmanager
async def budgeted(
    folder: Path, mock: MockServer, *, usd: float = 1.0, price: Price = PRICE, **options: Any
) -> AsyncIterator[tuple[Bench, Database]]:
    limit = Limit(1, int(usd * USD), "month", team="red")
    routes = [route("m", (provider(mock.base_url), "ok"))]
    async with bench(folder, routes, prices=[price], **options) as held:
        held.gateway.clock = lambda: NOW
        yield held, Database(held.gateway.purse, limit)


async def tried(held: Bench, body: dict[str, Any] = CALL, **options: Any) -> GatewayError | None:
    try:
        reply = await held.ask(body, **options)
        if reply.stream is not None:
            while await reply.stream.next():
                pass
            reply.stream.close()
    except GatewayError as error:
        return error
    return None


def spent(held: Bench) -> int:
    return sum(each.settled for each in [*held.gateway.purse.accounts.values(), *held.gateway.purse.past])


def at_rest(held: Bench) -> bool:
    accounts = [*held.gateway.purse.accounts.values(), *held.gateway.purse.past]
    return not held.gateway.purse.open and not any(each.reserved or each.open for each in accounts)


async def test_b1_a_budget_of_one_dollar_lets_three_calls_of_thirty_cents_through_of_a_hundred(tmp_path: Path) -> None:
    async with MockServer(latency=0.02) as mock, budgeted(tmp_path, mock) as (held, _):
        outcomes = await asyncio.gather(*(tried(held) for _ in range(100)))
        refused = [each for each in outcomes if each is not None]
        assert len(refused) == 97
        assert {(each.status, each.code) for each in refused} == {(429, "insufficient_quota")}
        assert (spent(held), len(mock.hits)) == (3 * COST, 3)
        assert at_rest(held)
        rows = await held.rows()
        assert sorted(row.error for row in rows) == [""] * 3 + ["insufficient_quota"] * 97
        assert sum(row.cost_nano for row in rows) == 3 * COST


async def test_b2_without_a_maximum_the_default_is_reserved_and_settled_to_what_it_was(tmp_path: Path) -> None:
    async with MockServer() as mock, budgeted(tmp_path, mock, usd=500) as (held, _):
        assert await tried(held, ASK) is None
        assert (await held.row()).reserved_nano == 4096 * USD // 10
        assert spent(held) == COST


async def test_b2_an_answer_dearer_than_reserved_is_the_last_one(tmp_path: Path) -> None:
    async with MockServer() as mock, budgeted(tmp_path, mock, usd=0.25) as (held, _):
        assert await tried(held, ASK | {"max_tokens": 2}) is None  # the provider says three all the same
        assert spent(held) == COST
        error = await tried(held, ASK | {"max_tokens": 1})
        assert isinstance(error, OverBudget)
        assert error.over.left_nano == 0


async def test_the_refusal_says_which_budget_how_much_and_when_it_begins_anew(tmp_path: Path) -> None:
    async with MockServer() as mock, budgeted(tmp_path, mock, usd=0.5) as (held, _):
        assert await tried(held) is None
        error = await tried(held)
        assert isinstance(error, OverBudget)
        over = error.over
        assert (over.scope, over.window, over.limit_nano, over.needed_nano) == ("team", "month", USD // 2, COST)
        assert over.left_nano == USD // 5
        assert over.resets_at is not None
        assert over.resets_at.isoformat() == "2027-02-01T00:00:00+00:00"
        assert error.type == "insufficient_quota"


async def test_what_a_route_has_left_is_not_told_since_others_spend_it_too(tmp_path: Path) -> None:
    async with MockServer() as mock, budgeted(tmp_path, mock) as (held, database):
        database.limit = Limit(1, USD // 10, "day", route="m")
        held.gateway.purse.table = table([database.limit])
        error = await tried(held)
        assert isinstance(error, OverBudget)
        assert error.over.left_nano is None
        assert "Left" not in error.message


async def test_b6_nothing_stays_reserved_whatever_becomes_of_the_calls(tmp_path: Path) -> None:
    async with MockServer(latency=0.005) as mock, budgeted(tmp_path, mock, usd=60) as (held, _):
        bad = [CALL | {"user": str(n)} for n in range(60)]
        cut = Answer(chunks=[b'data: {"choices": [{"delta": {"content": "Hel"}}]}\n\n'], then="cut")
        mock.script("ok", *([Answer(status=500), cut, Answer(then="reset")] * 15))
        work = [asyncio.create_task(tried(held, body | {"stream": n % 2 == 0})) for n, body in enumerate(bad)]
        await asyncio.sleep(0.03)
        for task in work[::7]:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        await held.rows()
        assert at_rest(held)
        assert spent(held) == sum(row.cost_nano for row in await held.rows())


async def test_b7_a_lowered_budget_refuses_at_once_and_a_raised_one_lets_through_at_once(tmp_path: Path) -> None:
    async with MockServer() as mock, budgeted(tmp_path, mock, usd=1000) as (held, database):
        assert await tried(held) is None
        for usd, error in ((0.4, OverBudget), (0.7, type(None)), (0.7, OverBudget), (1000, type(None))):
            database.limit = replace(database.limit, amount_nano=int(usd * USD))
            held.gateway.purse.table = table([database.limit])
            assert isinstance(await tried(held), error)
        held.gateway.purse.table = None
        assert await tried(held) is None


async def test_far_from_the_limit_the_database_is_asked_now_and_then_only(tmp_path: Path) -> None:
    async with MockServer() as mock, budgeted(tmp_path, mock, usd=10_000) as (held, database):
        for _ in range(40):
            assert await tried(held) is None
        assert database.asked == 1


async def test_cache_hits_and_followers_reserve_nothing(tmp_path: Path) -> None:
    async with MockServer(latency=0.02) as mock, budgeted(tmp_path, mock, usd=0.3, ttl=60) as (held, _):
        assert await asyncio.gather(*(tried(held) for _ in range(10))) == [None] * 10
        assert len(mock.hits) == 1
        assert spent(held) == COST
        assert at_rest(held)


async def test_a_hard_budget_refuses_models_without_a_price(tmp_path: Path) -> None:
    unknown = Price(1, "", "", "other", 0.0, {"input": 1, "output": 1})
    async with MockServer() as mock, budgeted(tmp_path, mock, price=unknown) as (held, _):
        error = await tried(held)
        assert isinstance(error, ModelUnpriced)
        assert (error.status, error.code, mock.hits) == (403, "model_unpriced", [])


async def test_an_exhausted_budget_does_not_refuse_what_is_free(tmp_path: Path) -> None:
    async with MockServer() as mock, budgeted(tmp_path, mock, usd=0) as (held, database):
        assert isinstance(await tried(held), OverBudget)
        free = route("m", (provider(mock.base_url, free=True), "ok"))
        async with bench(tmp_path / "free", [free]) as other:
            other.gateway.purse.table = table([database.limit])
            assert await tried(other) is None


async def test_without_the_database_the_lease_serves_and_then_it_is_503(tmp_path: Path) -> None:
    async with MockServer() as mock, budgeted(tmp_path, mock, usd=100) as (held, database):
        assert await tried(held) is None
        database.down = True
        outcomes = [await tried(held) for _ in range(20)]
        served = [each for each in outcomes if each is None]
        assert 5 < len(served) < 15  # a 32nd of 100 USD
        assert all(isinstance(each, BudgetUnavailable) for each in outcomes[len(served) :])
        assert outcomes[-1] is not None
        assert (outcomes[-1].status, outcomes[-1].code, outcomes[-1].retry_after) == (503, "budget_unavailable", 1)


async def test_a_database_that_hangs_is_waited_for_a_second(tmp_path: Path) -> None:
    async with MockServer() as mock, budgeted(tmp_path, mock) as (held, database):
        database.deaf = True
        assert isinstance(await asyncio.wait_for(tried(held), 5), BudgetUnavailable)
        assert at_rest(held)


async def test_what_other_processes_hold_idle_is_waited_for(tmp_path: Path) -> None:
    async with MockServer() as mock, budgeted(tmp_path, mock, usd=0.1) as (held, database):
        database.elsewhere = USD
        work = asyncio.create_task(tried(held))
        await asyncio.sleep(0.1)
        assert not work.done()
        database.limit = replace(database.limit, amount_nano=USD)  # as if they had given it back
        assert await work is None


async def test_a_second_target_is_inside_the_same_reservation(tmp_path: Path) -> None:
    async with MockServer() as mock:
        both = route("m", (provider(mock.base_url, "first"), "bad"), (provider(mock.base_url, "second"), "ok"))
        async with bench(tmp_path, [both], prices=[PRICE]) as held:
            held.gateway.clock = lambda: NOW
            Database(held.gateway.purse, Limit(1, USD, "day", team="red"))
            mock.script("bad", *[Answer(status=500)] * 3)
            assert [await tried(held) for _ in range(3)] == [None] * 3
            assert isinstance(await tried(held), OverBudget)
            assert spent(held) == 3 * COST


async def test_a_caller_who_leaves_while_the_database_is_asked_leaves_nothing_behind(tmp_path: Path) -> None:
    async with MockServer() as mock, budgeted(tmp_path, mock) as (held, database):
        database.deaf = True
        work = asyncio.create_task(tried(held))
        await asyncio.sleep(0.05)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        database.answer()
        assert at_rest(held)
        assert mock.hits == []
