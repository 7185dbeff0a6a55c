"""The price book, from and to its rows."""

from collections.abc import Callable
from typing import Any

from django.utils import timezone

from accounts import prices, scales
from accounts.models import Price
from accounts.prices import UNITS, Book

OWN = "own"  # the origin of what finance has set itself
_asked: dict[str, Callable[[str, str], list[str]]] = {}


def ask_providers(doubts: Callable[[str, str], list[str]]) -> None:
    """Let `doubts` say why nobody is priced by what is for a provider, a kind, or both."""
    _asked["doubts"] = doubts


def doubts(price: Price) -> list[str]:
    """Return a sentence for each reason why this prices nothing as things are."""
    ask = _asked.get("doubts")
    return ask(price.provider, price.kind) if ask else []


def load_book() -> Book:
    """Return all approved versions of all prices, ready for lookups."""
    names = ("id", "provider", "kind", "model", "effective_from", "tiers", "services", "origin", *UNITS)
    return Book(
        _plain(row)
        for row in Price.objects.filter(approved_at__isnull=False).order_by("effective_from", "id").values_list(*names)
    )


class NotApproved(Exception):
    """The version cannot be approved by this person; the sentence is for them."""


def approve(price: Price, by: str) -> None:
    """Let a version take effect. Raises NotApproved: nobody approves what is their own."""
    if price.approved_at is not None:
        raise NotApproved(f"{price} is approved already.")
    if not by or price.created_by == by:
        raise NotApproved(f"{price} is your own: somebody else has to approve it.")
    waiting = Price.objects.filter(pk=price.pk, approved_at__isnull=True)
    waiting.update(approved_at=timezone.now(), approved_by=by)


def _plain(row: tuple[Any, ...]) -> prices.Price:
    id, provider, kind, model, since, tiers, services, origin, *amounts = row
    given = {unit: amount for unit, amount in zip(UNITS, amounts, strict=True) if amount is not None}
    return prices.Price(
        id,
        provider,
        kind,
        model,
        since.timestamp(),
        given,
        scales.tiers_of(tiers),
        scales.services_of(services),
        own=origin == OWN,
    )
