"""Service tiers and amounts by class on the records of calls, over real sockets."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from accounts.prices import Price
from accounts.rates import Service, Tier
from loadtest.mockserver import Answer, MockServer
from tests.proxy.harness import ASK, bench, provider, route

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
PRICE = Price(
    9,
    "",
    "",
    "*",
    0.0,
    {"input": 1_000_000_000, "output": 2_000_000_000},
    (Tier(1000, {"input": 4_000_000_000}),),
    {"flex": Service(500), "priority": Service(2000)},
)


def said(**fields: Any) -> Answer:
    body = {"id": "x", "model": "up", "choices": [{"message": {"content": "ok"}}], "usage": USAGE, **fields}
    return Answer(body=orjson.dumps(body))


@pytest.mark.parametrize(
    ("asked", "answer", "tier", "cost"),
    [
        ({}, said(), "", 20_000),
        ({"service_tier": "flex"}, said(service_tier="flex"), "flex", 10_000),
        ({"service_tier": "priority"}, said(), "priority", 40_000),
        # The provider served it in another one than was asked for: that is what it bills.
        ({"service_tier": "priority"}, said(service_tier="default"), "default", 20_000),
        ({"service_tier": "auto"}, said(service_tier="priority"), "priority", 40_000),
        ({"service_tier": 7}, said(service_tier=None), "", 20_000),
    ],
)
async def test_a_call_is_priced_in_the_tier_that_served_it(
    tmp_path: Path, asked: dict[str, Any], answer: Answer, tier: str, cost: int
) -> None:
    async with MockServer() as mock:
        mock.script("up", answer)
        async with bench(tmp_path, [route("m", (provider(mock.base_url), "up"))], prices=[PRICE]) as gw:
            reply = await gw.ask(ASK | asked)
            row = await gw.row()
            attempt = row.attempts[0]
            assert (attempt.service_tier, attempt.cost_nano, reply.cost_nano) == (tier, cost, cost)
            assert attempt.price_id == 9
            assert {*attempt.amounts} == {"input", "cached_input", "output"}
            assert sum(attempt.amounts.values()) == cost


async def test_a_long_prompt_is_priced_by_its_tier(tmp_path: Path) -> None:
    async with MockServer() as mock:
        mock.script("up", said(usage={"prompt_tokens": 1001, "completion_tokens": 5}))
        async with bench(tmp_path, [route("m", (provider(mock.base_url), "up"))], prices=[PRICE]) as gw:
            await gw.ask(ASK)
            assert (await gw.row()).attempts[0].amounts == {"input": 1001 * 4000, "output": 5 * 2000}


BY_TIME = Price(3, "mock", "", "*", 0.0, {"input": 0, "output": 0, "seconds": 500 * 10**9})


async def test_a_provider_of_ones_own_may_have_a_price_for_time(tmp_path: Path) -> None:
    async with MockServer() as mock:
        mock.script("up", said())
        async with bench(tmp_path, [route("m", (provider(mock.base_url), "up"))], prices=[PRICE, BY_TIME]) as gw:
            await gw.ask(ASK)
            attempt = (await gw.row()).attempts[0]
            # It took less than a second, and a begun one counts: 500 USD a million seconds.
            assert attempt.usage == {"input": 6, "cached_input": 4, "output": 5, "seconds": 1}
            assert (attempt.price_id, attempt.cost_nano, attempt.amounts) == (3, 500_000, {"seconds": 500_000})


async def test_time_has_no_price_where_nobody_set_one(tmp_path: Path) -> None:
    elsewhere = Price(3, "other", "", "*", 0.0, {"input": 0, "output": 0, "seconds": 500 * 10**9})
    async with MockServer() as mock:
        mock.script("up", said())
        async with bench(tmp_path, [route("m", (provider(mock.base_url), "up"))], prices=[PRICE, elsewhere]) as gw:
            await gw.ask(ASK)
            assert (await gw.row()).attempts[0].usage == {"input": 6, "cached_input": 4, "output": 5}
