"""A session on a hard budget: it ends when there is nothing left for a further response."""

from pathlib import Path

from accounts.budgets.limits import Limit
from accounts.prices import Price
from proxy.estimate import SESSION_NANO
from tests.proxy.realtime.harness import live
from tests.proxy.test_admission import NOW, USD, Database, at_rest, spent

# One response of the scripted provider says 121 tokens, so it costs 0.121 USD.
PRICE = Price(1, "", "", "*", 0.0, {"input": 0, "output": 1_000_000 * 1_000_000})
EACH = 121 * 1_000_000


async def test_it_hears_the_last_response_that_was_paid_for(tmp_path: Path) -> None:
    limit = Limit(1, SESSION_NANO + 2 * EACH + EACH // 2, "month", team="red")
    async with live(tmp_path, prices=(PRICE,)) as gw:
        gw.gateway.clock = lambda: NOW
        Database(gw.gateway.purse, limit)
        caller = await gw.call()
        for _ in range(3):
            await caller.respond()
        assert (await caller.event("error"))["error"]["code"] == "insufficient_quota"
        await caller.over()
        assert caller.closed == (1008, "insufficient_quota")
        row = await gw.row()
        assert (row.status, row.cost_nano) == ("settled", 3 * EACH)
        assert at_rest(gw.bench) and spent(gw.bench) == 3 * EACH


async def test_a_session_of_dear_responses_ends_before_one_that_would_not_fit(tmp_path: Path) -> None:
    """Each costs 1.21 USD, far more than is in hand for the first: no second one fits into 3 USD for sure."""
    dear = Price(1, "", "", "*", 0.0, {"input": 0, "output": 10 * 1_000_000 * 1_000_000})
    async with live(tmp_path, prices=(dear,)) as gw:
        gw.gateway.clock = lambda: NOW
        Database(gw.gateway.purse, Limit(1, 3 * USD, "month", team="red"))
        caller = await gw.call()
        await caller.respond()
        assert (await caller.event("error"))["error"]["code"] == "insufficient_quota"
        await caller.over()
        assert (await gw.row()).cost_nano == spent(gw.bench) == 10 * EACH


async def test_it_does_not_open_without_money_for_a_response(tmp_path: Path) -> None:
    async with live(tmp_path, prices=(PRICE,)) as gw:
        gw.gateway.clock = lambda: NOW
        Database(gw.gateway.purse, Limit(1, SESSION_NANO - 1, "month", team="red"))
        caller = await gw.call()
        assert (caller.status, caller.refusal["error"]["code"]) == (429, "insufficient_quota")
        assert gw.mock.hits == []


async def test_who_may_use_only_what_has_a_price_gets_no_other_session(tmp_path: Path) -> None:
    async with live(tmp_path, prices=()) as gw:
        gw.allow(priced_only=True)
        caller = await gw.call()
        assert (caller.status, caller.refusal["error"]["code"]) == (403, "model_unpriced")
