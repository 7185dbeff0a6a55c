"""An offer: what a list says a model costs from a day on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from accounts.rates import Amounts, Service, Tier

BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)  # of a price that has no date
FIRST = frozenset(
    {"input", "image_output", "requests", "seconds", "characters"}
)  # without any of these it prices nothing
NANO = 10**9
LARGEST = 10**15  # nano-USD a million: a million USD
LONGEST_NAME = 200
# Lists that were made with floats say 1.0000000000000001e-07. So much is noise, more is a part of a nano.
NOISE = Decimal("1e-6")


class NotAList(ValueError):
    """The document is no price list; the sentence is for the person who brought it."""


class NoAmount(ValueError):
    """An amount that whole nano-USD cannot hold."""


class NoName(ValueError):
    """A name that no model in the price book can have."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One version of a price as a list has it. `effective_from` is None where the list gives no date.

    Raises NoName.
    """

    kind: str
    model: str
    effective_from: datetime | None
    amounts: Amounts
    tiers: tuple[Tier, ...] = ()
    services: Mapping[str, Service] = field(default_factory=dict)
    note: str = ""

    def __post_init__(self) -> None:
        name = self.model
        if not (isinstance(name, str) and 0 < len(name) <= LONGEST_NAME and name.isprintable()):
            raise NoName(f"{str(name)[:40]!r} is no name of a model")
        if "*" in name[:-1]:
            raise NoName(f"{name[:40]!r}: a * may stand only at the end")

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.model


@dataclass(frozen=True, slots=True)
class List:
    """A whole list: its name and source, its offers, and what in it cannot be used, a sentence each."""

    name: str
    source: str
    offers: tuple[Offer, ...]
    unusable: tuple[str, ...] = ()


def per_million(value: Any, times: int) -> int:
    """Return nano-USD a million units from decimal USD for one in `times` of a million. Raises NoAmount."""
    if isinstance(value, bool | float):
        raise NoAmount(f"{value!r} is no decimal amount")
    try:
        amount = Decimal(value) * times * NANO
    except (ArithmeticError, TypeError, ValueError):
        raise NoAmount(f"{str(value)[:40]!r} is no amount in USD") from None
    if not (amount.is_finite() and 0 <= amount <= LARGEST):
        raise NoAmount(f"{str(value)[:40]} is below zero or beyond all measure")
    whole = amount.to_integral_value(ROUND_HALF_EVEN)
    if abs(amount - whole) > NOISE:
        raise NoAmount(f"{str(value)[:40]} has parts of a nano-USD a million units")
    return int(whole)


def usable(offer: Offer) -> bool:
    """Say whether it prices anything."""
    return not FIRST.isdisjoint(offer.amounts)
