"""Our own form of a price list, the one that ships: amounts as text in USD a million."""

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

from accounts import scales
from accounts.money import NotMoney, nano, usd
from accounts.pricelists.offers import BEGINNING, List, NotAList, Offer, usable
from accounts.prices import UNITS
from accounts.scales import NotAScale

UNIT = "USD per million units"


def is_own(document: Any) -> bool:
    return isinstance(document, dict) and isinstance(document.get("prices"), list)


def read(document: dict[str, Any]) -> List:
    """Raises NotAList: what we wrote ourselves must be right to the letter."""
    if document.get("unit", UNIT) != UNIT:
        raise NotAList(f"The price list is in {str(document['unit'])[:40]!r}, and this book in {UNIT}.")
    try:
        offers = tuple(_offer(row) for row in document["prices"])
        return List(str(document["name"])[:32], str(document["source"]), offers)
    except (KeyError, TypeError, AttributeError, NotMoney, NotAScale, ValueError) as error:
        raise NotAList(f"The price list is wrong: {type(error).__name__}: {error}") from error


def write(prices: List) -> str:
    """Return the list as a document, one price a line."""
    lines = ",\n".join("    " + json.dumps(_row(offer), ensure_ascii=False) for offer in prices.offers)
    head = {"name": prices.name, "source": prices.source, "unit": UNIT}
    before = "".join(f"  {json.dumps(name)}: {json.dumps(value)},\n" for name, value in head.items())
    return f'{{\n{before}  "prices": [\n{lines}\n  ]\n}}\n'


def dated(offer: Offer) -> Offer:
    """Return it with a date, which our own form needs: the beginning, where the list has none."""
    return offer if offer.effective_from is not None else replace(offer, effective_from=BEGINNING)


def _offer(row: dict[str, Any]) -> Offer:
    unknown = row.keys() - {*UNITS, "kind", "model", "effective_from", "tiers", "services", "note"}
    if unknown:
        raise NotAList(f"{min(unknown)} is not known")
    offer = Offer(
        kind=row["kind"],
        model=row["model"],
        effective_from=datetime.fromisoformat(row["effective_from"]),
        amounts={unit: nano(_text(row[unit])) for unit in UNITS if unit in row},
        tiers=scales.read_tiers("\n".join(row.get("tiers", ()))),
        services=scales.read_services("\n".join(row.get("services", ()))),
        note=row.get("note", ""),
    )
    if not usable(offer) or offer.effective_from is None or offer.effective_from.tzinfo is None:
        raise NotAList(f"{offer.model} has no amount, or its date no time zone")
    return offer


def _text(amount: Any) -> str:
    if not isinstance(amount, str):
        raise NotAList(f'amounts are texts: "{amount}", not {amount}')
    return amount


def _row(offer: Offer) -> dict[str, Any]:
    row: dict[str, Any] = {"kind": offer.kind, "model": offer.model}
    if offer.effective_from is not None:
        row["effective_from"] = offer.effective_from.isoformat()
    row |= {unit: _short(offer.amounts[unit]) for unit in UNITS if unit in offer.amounts}
    if offer.tiers:
        row["tiers"] = scales.write_tiers(offer.tiers).splitlines()
    if offer.services:
        row["services"] = scales.write_services(offer.services).splitlines()
    return row | ({"note": offer.note} if offer.note else {})


def _short(amount: int) -> str:
    return usd(amount).rstrip("0").rstrip(".")
