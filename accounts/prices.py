"""What an answer costs: units times price, in integers, rounded once. Plain; the rows stand in `models/prices.py`.

Unit classes do not overlap: cached input is not part of input, reasoning and audio are not part of output. Prices are
nano-USD per million units, so an amount in USD per million tokens times 1e9.
"""

import logging
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter, mul
from typing import Any

from accounts.rates import STANDARD, Service, Step, Steps, Tier, compiled, cost, shared_out

log = logging.getLogger("qlite.prices")

REMEMBERED = 4096
FOREVER = float("inf")


@dataclass(frozen=True, slots=True)
class Usage:
    """Units of one answer, by class, and the service tier that the answer says it was served in."""

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
    cached_audio: int = 0
    cached_image: int = 0
    characters: int = 0
    service_tier: str = field(default="", compare=False)

    def as_dict(self) -> dict[str, int]:
        """The classes that are not zero."""
        return {unit: count for unit in UNITS if (count := getattr(self, unit))}

    @property
    def tokens_in(self) -> int:
        return sum(_tokens_in(self))

    @property
    def tokens_cached(self) -> int:
        """What the provider's cache gave, of whichever kind."""
        return self.cached_input + self.cached_audio + self.cached_image

    @property
    def tokens_out(self) -> int:
        return sum(_tokens_out(self))


def tier_said(word: Any) -> str:
    """Return the service tier that a request or an answer names, "" where it names none."""
    return word[:32].lower() if isinstance(word, str) else ""


UNITS = tuple(each.name for each in fields(Usage) if each.name != "service_tier")
REQUESTS = UNITS.index("requests")
# Ways to count a call as a whole: what one has no price for is paid by the other, or by what was used.
WHOLE = frozenset({REQUESTS, UNITS.index("characters")})
TOKENS_IN = (
    *("input", "cached_input", "cache_write", "cache_write_1h"),
    *("audio_input", "cached_audio", "image_input", "cached_image"),
)
TOKENS_OUT = ("output", "reasoning", "audio_output", "image_output")
_counts, _tokens_in, _tokens_out = attrgetter(*UNITS), attrgetter(*TOKENS_IN), attrgetter(*TOKENS_OUT)
# What a class without a price of its own costs: as the first of these that has one. Any other is missing; `requests`
# and `characters` only where nothing else that was counted has a price.
FALLS_BACK = {
    "cached_input": ("input",),
    "cached_audio": ("cached_input", "audio_input", "input"),
    "cached_image": ("cached_input", "image_input", "input"),
    "cache_write": ("input",),
    "cache_write_1h": ("cache_write", "input"),
    "reasoning": ("output",),
    "audio_input": ("input",),
    "audio_output": ("output",),
    "image_input": ("input",),
    "image_output": ("output",),
}


def rate_of(unit: str, given: Mapping[str, int]) -> int | None:
    """Return what a million of `unit` cost, by its own amount or by that of the class it falls back to."""
    return next((given[each] for each in (unit, *FALLS_BACK.get(unit, ())) if each in given), None)


@dataclass(frozen=True, slots=True)
class Price:
    """One version of a price. `provider` and `kind` may be '' for any; `model` may end in a *.

    A service tier that `services` does not name costs what the standard one does.
    """

    id: int
    provider: str
    kind: str
    model: str
    effective_from: float
    nano_per_million: Mapping[str, int]
    tiers: tuple[Tier, ...] = ()
    services: Mapping[str, Service] = field(default_factory=dict)
    own: bool = True  # set by finance, not taken from a list
    # Compiled when it is first used: of a whole price list most are never asked for.
    _steps: Steps | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def timed(self) -> bool:
        """Whether it prices the time of the call too: a provider's own price for tokens and for seconds."""
        return bool(self.provider) and {"input", "seconds"} <= self.nano_per_million.keys()

    @property
    def by_request(self) -> bool:
        """Whether it asks something for each request, beside what that used."""
        return bool(self.nano_per_million.get("requests"))

    def whole(self, usage: Usage, took_us: int) -> Usage:
        """Return the usage with the request, and the seconds that it took, begun ones too, where those have a price."""
        if self.by_request and not usage.requests:
            usage = replace(usage, requests=1)
        if self.timed and not usage.seconds:
            usage = replace(usage, seconds=max(1, -(-took_us // 1_000_000)))
        return usage

    @property
    def steps(self) -> Steps:
        if self._steps is None:
            steps = compiled(UNITS, rate_of, self.nano_per_million, self.tiers, self.services)
            object.__setattr__(self, "_steps", steps)
            return steps
        return self._steps

    def step(self, usage: Usage, service_tier: str = STANDARD) -> Step:
        """Return the rates for an answer of this size in this service tier."""
        steps = self.steps.get(service_tier) or self.steps[STANDARD]
        if len(steps) == 1:
            return steps[0]
        size = usage.tokens_in
        return next(step for step in steps if size > step.above)


@dataclass(frozen=True, slots=True)
class Charge:
    """What was asked of the price book: the version, `priced`, `free` or `unpriced`, and the amount in nano-USD.

    `amounts` is the same by class, adding up to it.
    """

    price_id: int | None
    status: str
    cost_nano: int
    amounts: Mapping[str, int] = field(default_factory=dict, compare=False)


UNPRICED = Charge(None, "unpriced", 0)


def cost_nano(usage: Usage, price: Price, service_tier: str = STANDARD) -> int:
    """Return the cost in nano-USD: one sum, one rounding, half-even.

    Raises ValueError for counts below zero and TypeError for anything but integers.
    """
    step = price.step(usage, service_tier)
    return cost(_products(_counts(usage), step), step.per)


def _products(counts: Sequence[int], step: Step) -> list[int]:
    products = list(map(mul, counts, step.rates))
    if type(sum(products)) is not int:
        raise TypeError(f"money is counted in integers: {counts} at {step}")
    if min(counts) < 0 or min(products) < 0:
        raise ValueError(f"units and prices are never below zero: {counts} at {step}")
    return products


def _lacks(counts: Sequence[int], step: Step) -> bool:
    """Say whether something was used that there is no amount for. A call as a whole is free beside what it used."""
    lacking = [place for place in step.missing if counts[place]]
    return bool(lacking) and (not WHOLE.issuperset(lacking) or len(lacking) == sum(map(bool, counts)))


def charged(price: Price, usage: Usage, service_tier: str = STANDARD) -> Charge:
    """Price one attempt at one version: `unpriced` where it used what the version has no amount for."""
    counts, step = _counts(usage), price.step(usage, service_tier)
    if _lacks(counts, step) or (price.timed and not usage.seconds):
        return UNPRICED
    products = _products(counts, step)
    total = cost(products, step.per)
    return Charge(price.id, "priced", total, shared_out(UNITS, products, step.per, total))


def _first_of(found: Sequence[Price]) -> Price | None:
    """Of prices in force, the most specific first, return finance's own; a lone * for any provider steps back."""
    own = next((each for each in found if each.own), None)
    listed = next((each for each in found if not each.own), None)
    if own is None or (own.model == "*" and not own.provider):
        return listed or own
    return own


class Book:
    """All price versions, looked up by provider, kind, model and time. Replaced whole when a price is added."""

    def __init__(self, prices: Iterable[Price] = ()) -> None:
        self._versions: dict[tuple[str, str, str], list[Price]] = {}
        self.beside = False  # whether the time of a call, or the call itself, may have a price
        for price in sorted(prices, key=attrgetter("effective_from", "id")):
            self.beside = self.beside or price.timed or price.by_request
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

        What finance has set wins over what a list says, except a lone * for any provider, which means all that has no
        price otherwise. Then the most specific wins: this provider over this kind over any, an exact name over a
        pattern, a long pattern over a short one; of its versions the newest that has taken effect.
        """
        asked = (provider, kind, model)
        found = self._found.get(asked)
        if found is None or not found[0] <= at < found[1]:
            if len(self._found) >= REMEMBERED:
                self._found.clear()
            found = self._found[asked] = self._look_up(provider, kind, model, at)
        return found[2]

    def next(self, provider: str, kind: str, model: str, at: float) -> Price | None:
        """Return the price that is the first to take effect after `at`, None where none is planned."""
        planned = (price for key in self._candidates(provider, kind, model) for price in self._versions[key])
        later = [price for price in planned if price.effective_from > at]
        return min(later, key=attrgetter("effective_from"), default=None)

    def has(self, provider: str, kind: str, model: str, *, at: float, free: bool = False) -> bool:
        """Say whether a call could be priced at all: it is free, or there is a price in force."""
        return free or self.find(provider, kind, model, at) is not None

    def models(self, kind: str) -> list[str]:
        """Return the exact names of models that this kind of provider has a price for, sorted."""
        return sorted({model for _, k, model in self._versions if k == kind and model[-1:] != "*"})

    def charge(
        self,
        provider: str,
        kind: str,
        model: str,
        usage: Usage,
        *,
        at: float,
        free: bool = False,
        service_tier: str = STANDARD,
    ) -> Charge:
        """Price one attempt. A `free` provider costs nothing; a model without a price is `unpriced`, never free.

        Never fails, for then the record would not be written: what cannot be reckoned is `unpriced` too.
        """
        if free:
            return Charge(None, "free", 0)
        try:
            price = self.find(provider, kind, model, at)
            return UNPRICED if price is None else charged(price, usage, service_tier)
        except Exception:
            log.exception("%s of %s cannot be priced", model, provider)
            return UNPRICED

    def _look_up(self, provider: str, kind: str, model: str, at: float) -> tuple[float, float, Price | None]:
        """Return the price and the span of time in which this answer holds."""
        since, until = -FOREVER, FOREVER
        found: list[Price] = []
        for key in self._candidates(provider, kind, model):
            versions = self._versions[key]
            place = bisect_right(versions, at, key=attrgetter("effective_from"))
            if place < len(versions):
                until = min(until, versions[place].effective_from)
            if place:
                since = max(since, versions[place - 1].effective_from)
                found.append(versions[place - 1])
        return since, until, _first_of(found)

    def _candidates(self, provider: str, kind: str, model: str) -> Iterable[tuple[str, str, str]]:
        for scope in dict.fromkeys([(provider, kind), (provider, ""), ("", kind), ("", "")]):
            if (*scope, model) in self._versions:
                yield (*scope, model)
            for pattern in self._patterns.get(scope, ()):
                if model.startswith(pattern[:-1]):
                    yield (*scope, pattern)
