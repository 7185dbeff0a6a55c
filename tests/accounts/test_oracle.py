"""The proof that money is right: random bills against Decimal, and bills computed by hand for what providers report.

`pytest tests/accounts/test_oracle.py --bills 1000000` runs the long one.
"""

import json
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest

from accounts import pricelists
from accounts.money import usd
from accounts.prices import TOKENS_IN, UNITS, Book, Price, Usage, charged
from accounts.rates import Service, Tier
from proxy.native.usage import reported

KIN = {
    **dict.fromkeys(("cached_input", "cache_write", "audio_input", "image_input"), ("input",)),
    "cache_write_1h": ("cache_write", "input"),
    "cached_audio": ("cached_input", "audio_input", "input"),
    "cached_image": ("cached_input", "image_input", "input"),
    **dict.fromkeys(("reasoning", "audio_output", "image_output"), ("output",)),
}
# From 1e-9 USD a million to 1 USD a unit, and the small ones at which rounding shows.
RATES = (0, 1, 7, 250_000, 500_000, 1_500_000)
GOLDEN = sorted((Path(__file__).parent.parent / "golden" / "bills").glob("*.json"))


def rate(draw: random.Random) -> int:
    return draw.choice((*RATES, draw.randrange(10**10), draw.randrange(10**15 + 1)))


def amounts(draw: random.Random, least: Sequence[str] = ()) -> dict[str, int]:
    return {unit: rate(draw) for unit in {*least, *draw.sample(UNITS, draw.randint(0, len(UNITS)))}}


def some_price(draw: random.Random) -> Price:
    tiers = {draw.randrange(2000): amounts(draw) for _ in range(draw.choice((0, 0, 1, 2)))}
    made = tuple(Tier(above, tiers[above]) for above in sorted(tiers))
    services = {"batch": Service(draw.choice((500, 250, 333, 1000))), "fast": Service(amounts=amounts(draw))}
    return Price(1, "", "", "m", 0.0, amounts(draw, ("input", "output")), made, services)


def some_usage(draw: random.Random) -> Usage:
    units = draw.sample(UNITS, draw.randint(0, 6))
    return Usage(**{unit: draw.choice((1, draw.randrange(1000), draw.randrange(10**9))) for unit in units})


def by_hand(usage: Usage, price: Price, service: str) -> int | None:
    """The same in Decimal, from the rules as docs/api.md has them; None where something has no price."""
    own = price.services.get(service, Service())
    scale: Mapping[str, int] = price.nano_per_million
    tiers = price.tiers
    if own.amounts is not None:
        scale, tiers = {**scale, **own.amounts}, own.tiers
    size = sum(getattr(usage, unit) for unit in TOKENS_IN)
    for tier in sorted(tiers, key=lambda each: each.above):
        if size > tier.above:
            scale = {**scale, **tier.amounts}
    used = {unit: getattr(usage, unit) for unit in UNITS if getattr(usage, unit)}
    total, missing = Decimal(0), []
    for unit, count in used.items():
        found = next((name for name in (unit, *KIN.get(unit, ())) if name in scale), None)
        if found is None:
            missing.append(unit)
            continue
        total += Decimal(count) * Decimal(scale[found]) / Decimal(10**6) * Decimal(own.per_mille) / Decimal(1000)
    if missing and (len(missing) == len(used) or not {"requests", "characters"}.issuperset(missing)):
        return None
    return int(total.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def test_random_bills_are_what_decimal_arithmetic_says(request: pytest.FixtureRequest) -> None:
    draw, wrong, priced = random.Random(20261120), [], 0
    with localcontext() as context:
        context.prec = 60
        for _ in range(request.config.getoption("--bills") // 20):
            price = some_price(draw)
            for service in ("", "batch", "fast", "unheard-of") * 5:
                usage = some_usage(draw)
                charge, expected = charged(price, usage, service), by_hand(usage, price, service)
                priced += expected is not None
                if charge.status != ("unpriced" if expected is None else "priced") or charge.cost_nano != (
                    expected or 0
                ):
                    wrong.append((usage, price, service, charge, expected))
                if sum(charge.amounts.values()) != charge.cost_nano:
                    wrong.append((usage, price, service, charge, "its amounts"))
    assert not wrong, (len(wrong), wrong[0])
    assert priced > request.config.getoption("--bills") // 3


@pytest.fixture(scope="module")
def shipped() -> Book:
    """The price list that ships, as a price book."""
    text = (Path(pricelists.__file__).parent.parent / "prices.json").read_text()
    return Book(
        Price(
            id,
            "",
            *each.key,
            (each.effective_from or 0).timestamp(),
            each.amounts,
            each.tiers,
            each.services,
            own=False,
        )  # type: ignore[union-attr]
        for id, each in enumerate(pricelists.read(text).offers, 1)
    )


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_what_a_provider_reports_is_billed_as_by_hand(path: Path, shipped: Book) -> None:
    bill: dict[str, Any] = json.loads(path.read_text())
    by_line = sum((count * Decimal(price) for count, price in bill["lines"]), Decimal(0)) / 10**6
    assert by_line == Decimal(bill["cost_usd"]), "the bill itself is wrong"
    usage = reported(bill["body"]) or Usage(requests=1)
    at = datetime.fromisoformat(bill["at"]).replace(tzinfo=UTC).timestamp()
    tier = usage.service_tier or bill.get("asked", "")
    charge = shipped.charge(bill["kind"], bill["kind"], bill["model"], usage, at=at, service_tier=tier)
    assert (charge.status, usd(charge.cost_nano)) == ("priced", bill["cost_usd"]), (usage, charge)
    assert sum(charge.amounts.values()) == charge.cost_nano


def test_the_bills_tell_of_every_class_that_providers_report(shipped: Book) -> None:
    used = set()
    for path in GOLDEN:
        used |= (reported(json.loads(path.read_text())["body"]) or Usage(requests=1)).as_dict().keys()
    assert used == {*UNITS} - {"characters"}  # these are counted, and reported by nobody
