"""The price book, from and to its rows."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts import prices, scales
from accounts.models import Price
from accounts.money import nano
from accounts.prices import UNITS, Book

LIST = "genai-prices"
SHIPPED = Path(__file__).parent.parent / "prices.json"


def load_book() -> Book:
    """Return all approved versions of all prices, ready for lookups."""
    names = ("id", "provider", "kind", "model", "effective_from", "tiers", "services", *UNITS)
    return Book(
        _plain(row)
        for row in Price.objects.filter(approved_at__isnull=False).order_by("effective_from", "id").values_list(*names)
    )


def seed(path: Path = SHIPPED) -> int:
    """Add the prices that come with qlite and are not there yet. Returns how many; existing rows stay as they are.

    Raises NotMoney where the file says what is no amount.
    """
    # Amounts stand in the file as text; a bare number would be refused, never read as a float.
    table = json.loads(path.read_text(), parse_float=_refuse)
    with transaction.atomic():
        made = [_seeded(each, table["source"]) for each in table["prices"]]
    return sum(made)


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


def _seeded(row: dict[str, str], source: str) -> bool:
    amounts: dict[str, Any] = {unit: nano(row[unit]) for unit in UNITS if unit in row}
    _, new = Price.objects.get_or_create(
        provider="",
        kind=row["kind"],
        model=row["model"],
        effective_from=datetime.fromisoformat(row["effective_from"]),
        defaults={
            **amounts,
            "source": source,
            "note": row.get("note", ""),
            "created_by": "qlite",
            "origin": LIST,
            "approved_at": timezone.now(),
        },
    )
    return new


def _plain(row: tuple[Any, ...]) -> prices.Price:
    id, provider, kind, model, since, tiers, services, *amounts = row
    given = {unit: amount for unit, amount in zip(UNITS, amounts, strict=True) if amount is not None}
    return prices.Price(
        id, provider, kind, model, since.timestamp(), given, scales.tiers_of(tiers), scales.services_of(services)
    )


def _refuse(text: str) -> float:
    raise ValueError(f"{text} must be written as text, in quotes")
