"""What an answer costs: units times price, in integers, rounded once. Plain; the rows stand in `models/prices.py`.

Unit classes do not overlap: cached input is not part of input, reasoning and audio are not part of output. Prices are
nano-USD per million units, so an amount in USD per million tokens times 1e9.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter, mul

MILLION = 1_000_000
REMEMBERED = 4096
FOREVER = float("inf")


@dataclass(frozen=True, slots=True)
class Usage:
    """Units of one answer, by class."""

    input: int = 0
    cached_input: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    audio_input: int = 0
    audio_output: int = 0
    requests: int = 0
    cache_write_1h: int = 0
    image_input: int = 0
    image_output: int = 0
    seconds: int = 0
    searches: int = 0

    def as_dict(self) -> dict[str, int]:
        """The classes that are not zero."""
        return {unit: count for unit in UNITS if (count := getattr(self, unit))}

    @property
    def tokens_in(self) -> int:
        return sum(_tokens_in(self))

    @property
    def tokens_out(self) -> int:
        return sum(_tokens_out(self))


UNITS = tuple(each.name for each in fields(Usage))
TOKENS_IN = ("input", "cached_input", "cache_write", "cache_write_1h", "audio_input", "image_input")
TOKENS_OUT = ("output", "reasoning", "audio_output", "image_output")
_counts, _tokens_in, _tokens_out = attrgetter(*UNITS), attrgetter(*TOKENS_IN), attrgetter(*TOKENS_OUT)
# What a class without a price of its own costs. Any other is missing; `requests` only where nothing else was counted.
FALLS_BACK = {
    "cached_input": "input",
    "cache_write": "input",
    "cache_write_1h": "cache_write",
    "reasoning": "output",
    "audio_input": "input",
    "audio_output": "output",
    "image_input": "input",
    "image_output": "output",
}


def rate_of(unit: str, given: Mapping[str, int]) -> int | None:
    """Return what a million of `unit` cost, by its own amount or by that of the class it falls back to."""
    while unit not in given:
        if unit not in FALLS_BACK:
            return None
        unit = FALLS_BACK[unit]
    return given[unit]


@dataclass(frozen=True, slots=True)
class Price:
    """One version of a price. `provider` and `kind` may be '' for any; `model` may end in a *."""

    id: int
    provider: str
    kind: str
    model: str
    effective_from: float
    nano_per_million: Mapping[str, int]
    rates: tuple[int, ...] = field(init=False, repr=False, compare=False)
    missing: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rates = [rate_of(unit, self.nano_per_million) for unit in UNITS]
        missing = {unit for unit, rate in zip(UNITS, rates, strict=True) if rate is None}
        object.__setattr__(self, "rates", tuple(rate or 0 for rate in rates))
        object.__setattr__(self, "missing", frozenset(missing))


@dataclass(frozen=True, slots=True)
class Charge:
    """What was asked of the price book: the version, `priced`, `free` or `unpriced`, and the amount in nano-USD."""

    price_id: int | None
    status: str
    cost_nano: int


def cost_nano(usage: Usage, price: Price) -> int:
    """Return the cost in nano-USD: one sum, one rounding, half-even.

    Raises ValueError for counts below zero and TypeError for anything but integers.
    """
    counts = _counts(usage)
    millionths = sum(map(mul, counts, price.rates))
    if type(millionths) is not int:
        raise TypeError(f"money is counted in integers: {usage} at {price}")
    if min(counts) < 0 or millionths < 0:
        raise ValueError(f"units and prices are never below zero: {usage} at {price}")
    whole, rest = divmod(millionths, MILLION)
    return whole + (rest * 2 > MILLION or (rest * 2 == MILLION and whole & 1))


def lacks(price: Price, usage: Usage) -> bool:
    """Say whether something was used that the price has no amount for. A request is free beside what it used."""
    used = usage.as_dict()
    if len(used) > 1:
        used.pop("requests", None)
    return not price.missing.isdisjoint(used)


class Book:
    """All price versions, looked up by provider, kind, model and time. Replaced whole when a price is added."""

    def __init__(self, prices: Iterable[Price] = ()) -> None:
        self._versions: dict[tuple[str, str, str], list[Price]] = {}
        for price in sorted(prices, key=attrgetter("effective_from", "id")):
            self._versions.setdefault((price.provider, price.kind, price.model), []).append(price)
        self._patterns = {
            (provider, kind): sorted(
                (m for p, k, m in self._versions if (p, k) == (provider, kind) and m[-1:] == "*"), key=len, reverse=True
            )
            for provider, kind, _ in self._versions
        }
        self._found: dict[tuple[str, str, str], tuple[float, float, Price | None]] = {}

    def find(self, provider: str, kind: str, model: str, at: float) -> Price | None:
        """Return the price in force at `at` (epoch seconds), or None where there is none.

        The most specific wins: this provider over this kind over any, an exact name over a pattern, a long pattern
        over a short one; of its versions the newest that has taken effect.
        """
        asked = (provider, kind, model)
        found = self._found.get(asked)
        if found is None or not found[0] <= at < found[1]:
            if len(self._found) >= REMEMBERED:
                self._found.clear()
            found = self._found[asked] = self._look_up(provider, kind, model, at)
        return found[2]

    def models(self, kind: str) -> list[str]:
        """Return the exact names of models that this kind of provider has a price for, sorted."""
        return sorted({model for _, k, model in self._versions if k == kind and model[-1:] != "*"})

    def charge(self, provider: str, kind: str, model: str, usage: Usage, *, at: float, free: bool = False) -> Charge:
        """Price one attempt. A `free` provider costs nothing; a model without a price is `unpriced`, never free."""
        if free:
            return Charge(None, "free", 0)
        price = self.find(provider, kind, model, at)
        if price is None or (price.missing and lacks(price, usage)):
            return Charge(None, "unpriced", 0)
        return Charge(price.id, "priced", cost_nano(usage, price))

    def _look_up(self, provider: str, kind: str, model: str, at: float) -> tuple[float, float, Price | None]:
        """Return the price and the span of time in which this answer holds."""
        since, until = -FOREVER, FOREVER
        for key in self._candidates(provider, kind, model):
            versions = self._versions[key]
            place = bisect_right(versions, at, key=attrgetter("effective_from"))
            if place < len(versions):
                until = min(until, versions[place].effective_from)
            if place:
                return max(since, versions[place - 1].effective_from), until, versions[place - 1]
        return since, until, None

    def _candidates(self, provider: str, kind: str, model: str) -> Iterable[tuple[str, str, str]]:
        for scope in dict.fromkeys([(provider, kind), (provider, ""), ("", kind), ("", "")]):
            if (*scope, model) in self._versions:
                yield (*scope, model)
            for pattern in self._patterns.get(scope, ()):
                if model.startswith(pattern[:-1]):
                    yield (*scope, pattern)
