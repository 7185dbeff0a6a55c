"""Tiers, service tiers and the amounts of each class."""

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.prices import UNITS, Price, Usage, charged, cost_nano
from accounts.rates import Service, Tier, cost, shared_out

USD = 10**9


def sonnet() -> Price:
    """3 USD in and 15 out, double and half as much again above 200,000 tokens; half of all that in a batch."""
    return Price(
        1,
        "",
        "anthropic",
        "sonnet",
        0.0,
        {"input": 3 * USD, "cached_input": USD * 3 // 10, "output": 15 * USD},
        (Tier(200_000, {"input": 6 * USD, "output": 225 * USD // 10}),),
        {"batch": Service(500), "priority": Service(amounts={"input": 6 * USD, "output": 30 * USD})},
    )


def test_a_long_prompt_prices_the_whole_answer_by_its_tier() -> None:
    at_the_edge, beyond = Usage(input=200_000, output=1000), Usage(input=200_001, output=1000)
    assert cost_nano(at_the_edge, sonnet()) == 600_000_000 + 15_000_000
    assert cost_nano(beyond, sonnet()) == 200_001 * 6000 + 22_500_000


def test_all_of_a_prompt_counts_towards_its_size() -> None:
    # What the tier does not name keeps its amount: cached input at 0.3 USD.
    usage = Usage(input=1, cached_input=200_000)
    assert cost_nano(usage, sonnet()) == 6000 + 200_000 * 300


def test_several_tiers_build_on_each_other() -> None:
    tiers = (Tier(1000, {"output": 50}), Tier(100, {"input": 20}), Tier(10, {"input": 10, "output": 40}))
    price = Price(1, "", "", "m", 0.0, {"input": 5, "output": 30}, tiers)
    rates = [price.step(Usage(input=size)).rates for size in (10, 11, 100, 101, 1000, 1001)]
    place = UNITS.index("output")
    assert [(each[0], each[place]) for each in rates] == [(5, 30), (10, 40), (10, 40), (20, 40), (20, 40), (20, 50)]


def test_a_factor_is_rounded_with_the_sum_and_not_before() -> None:
    # 3 tokens at 0.5 nano each, halved: 0.75, which is 1; rounded twice it would have been 2 / 2.
    price = Price(1, "", "", "m", 0.0, {"input": 500_000}, (), {"batch": Service(500), "dear": Service(1333)})
    assert [cost_nano(Usage(input=count), price, "batch") for count in (1, 2, 3, 6)] == [0, 0, 1, 2]
    assert cost_nano(Usage(input=3), price, "dear") == 2


def test_a_service_tier_has_the_prices_of_long_prompts_too() -> None:
    long = Usage(input=300_000, output=1000)
    assert cost_nano(long, sonnet(), "batch") * 2 == cost_nano(long, sonnet())
    # Its own amounts have their own tiers, here none.
    assert cost_nano(long, sonnet(), "priority") == 300_000 * 6000 + 1000 * 30_000


@pytest.mark.parametrize("tier", ["", "default", "standard", "on_demand", "scale"])
def test_a_service_tier_that_the_price_does_not_name_costs_the_standard(tier: str) -> None:
    usage = Usage(input=10, output=5)
    assert cost_nano(usage, sonnet(), tier) == cost_nano(usage, sonnet())


def test_amounts_by_class_add_up_to_the_cost() -> None:
    price = Price(1, "", "", "m", 0.0, {"input": 400_000, "output": 700_000, "reasoning": 400_000})
    charge = charged(price, Usage(input=1, output=1, reasoning=1))
    # 0.4 + 0.7 + 0.4 = 1.5, which is 2: the class that lost most by rounding down gets the first, then the first one.
    assert (charge.cost_nano, charge.amounts) == (2, {"output": 1, "input": 1})
    assert charged(price, Usage(input=1)).amounts == {}


products = st.lists(st.integers(0, 10**12), min_size=len(UNITS), max_size=len(UNITS))


@given(products, st.sampled_from([1, 7, 10**6, 10**9]))
def test_the_remainder_is_placed_for_any_amounts(products: list[int], per: int) -> None:
    total = cost(products, per)
    exact = Decimal(sum(products)) / per
    assert total == int(exact.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))
    parts = shared_out(UNITS, products, per, total)
    assert sum(parts.values()) == total
    for unit, product in zip(UNITS, products, strict=True):
        assert product // per <= parts.get(unit, 0) <= product // per + (product % per > 0)


def test_a_price_for_time_prices_nothing_that_has_none() -> None:
    price = Price(1, "mine", "", "*", 0.0, {"input": 0, "output": 0, "seconds": 5 * USD})
    assert charged(price, Usage(input=9)).status == "unpriced"
    assert charged(price, Usage(input=9, seconds=3)).cost_nano == 15_000
    by_kind = Price(1, "", "openai", "whisper-1", 0.0, {"input": 0, "seconds": 5 * USD})
    assert charged(by_kind, Usage(input=9)).cost_nano == 0


def test_the_sum_of_a_batch_is_no_long_prompt() -> None:
    usage = Usage(input=300_000, output=1000)
    assert cost_nano(usage, sonnet(), "batch-sum") == (300_000 * 3000 + 1000 * 15_000) // 2
    plain = Price(1, "", "", "m", 0.0, {"input": USD}, (Tier(10, {"input": 2 * USD}),))
    assert cost_nano(Usage(input=100), plain, "batch-sum") == 100_000
