"""Amounts of a price as rates that can be multiplied: one step for each size of a prompt, for each service tier.

Sums are integers throughout and are rounded once, half-even. Amounts by class are what is left after rounding down, and
the few nano-USD that the rounded sum is larger go one each to the classes that lost most; so they always add up to it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

MILLION = 1_000_000
STANDARD = ""  # the service tier of a call for which no other was asked or told
BATCH = "batch"
BATCH_SUM = "batch-sum"  # of many answers together: their prompts were small, however many tokens they are in sum
THOUSAND = 1000  # factors of service tiers are per mille
Amounts = Mapping[str, int]  # nano-USD per million, by unit class


@dataclass(frozen=True, slots=True)
class Tier:
    """Amounts for a whole answer to more than `above` input tokens; classes not named keep those of the tier below."""

    above: int
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class Service:
    """What a service tier costs: a factor per mille of the standard amounts, or amounts and tiers of its own."""

    per_mille: int = THOUSAND
    amounts: Amounts | None = None
    tiers: tuple[Tier, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """Rates in nano-USD for `per` units, in the order of the unit classes; `missing` are places without a price."""

    above: int
    rates: tuple[int, ...]
    missing: tuple[int, ...]
    per: int = MILLION


Steps = Mapping[str, tuple[Step, ...]]  # by service tier, for the largest prompts first


def compiled(
    units: Sequence[str],
    rate_of: Callable[[str, Amounts], int | None],
    amounts: Amounts,
    tiers: Sequence[Tier],
    services: Mapping[str, Service],
) -> Steps:
    """Return the steps of a price, ready to be multiplied."""
    scales = _scales(amounts, tiers)
    steps = {STANDARD: _steps(units, rate_of, scales, THOUSAND)}
    for name, service in services.items():
        own = scales if service.amounts is None else _scales({**amounts, **service.amounts}, service.tiers)
        steps[name] = _steps(units, rate_of, own, service.per_mille)
    steps[BATCH_SUM] = steps.get(BATCH, steps[STANDARD])[-1:]
    return steps


def cost(products: Sequence[int], per: int) -> int:
    """Return the sum of `products`, in parts of `per` of a nano-USD, as whole nano-USD: rounded once, half-even."""
    whole, rest = divmod(sum(products), per)
    return whole + (rest * 2 > per or (rest * 2 == per and whole & 1))


def shared_out(units: Sequence[str], products: Sequence[int], per: int, total: int) -> dict[str, int]:
    """Return `total`, the cost of `products`, by class; classes that cost nothing are left out."""
    parts = {unit: product // per for unit, product in zip(units, products, strict=True) if product}
    left = total - sum(parts.values())
    if left:
        lost = {unit: product % per for unit, product in zip(units, products, strict=True) if product}
        # Sorting is stable: of two that lost the same, the first class gets it.
        for unit in sorted(lost, key=lost.__getitem__, reverse=True)[:left]:
            parts[unit] += 1
    return {unit: part for unit, part in parts.items() if part}


def _scales(amounts: Amounts, tiers: Sequence[Tier]) -> list[tuple[int, Amounts]]:
    scales: list[tuple[int, Amounts]] = [(-1, amounts)]
    for tier in sorted(tiers, key=attrgetter("above")):
        scales.append((tier.above, {**scales[-1][1], **tier.amounts}))
    return scales[::-1]


def _steps(
    units: Sequence[str],
    rate_of: Callable[[str, Amounts], int | None],
    scales: Sequence[tuple[int, Amounts]],
    per_mille: int,
) -> tuple[Step, ...]:
    factor, per = (1, MILLION) if per_mille == THOUSAND else (per_mille, MILLION * THOUSAND)
    steps = []
    for above, amounts in scales:
        rates = [rate_of(unit, amounts) for unit in units]
        missing = tuple(place for place, rate in enumerate(rates) if rate is None)
        steps.append(Step(above, tuple((rate or 0) * factor for rate in rates), missing, per))
    return tuple(steps)
