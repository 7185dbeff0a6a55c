"""Price lists brought into the price book: compared first, applied when somebody says so, never over finance's own."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts import pricelists, scales
from accounts.models import Price
from accounts.pricelists.compare import CHANGED, NEW, Change, Version, compare
from accounts.pricelists.offers import List
from accounts.prices import UNITS
from accounts.store.prices import OWN

SHIPPED = Path(__file__).parent.parent / "prices.json"
NAMES = ("kind", "model", "effective_from", "origin", "tiers", "services", *UNITS)
SEEDER = "qlite"


def shipped() -> List:
    """Return the list that comes with qlite."""
    return pricelists.read(SHIPPED.read_text())


def compared(prices: List, now: datetime | None = None) -> list[Change]:
    """Compare a list with the prices for any provider of a kind. Nothing is changed."""
    rows = Price.objects.filter(provider="").order_by("effective_from", "id").values_list(*NAMES)
    moment = (now or timezone.now()).replace(microsecond=0)
    return compare(prices.offers, [_version(*row) for row in rows], now=moment)


def count(changes: Iterable[Change]) -> Counter[str]:
    """How many there are of each status."""
    return Counter(change.status for change in changes)


def apply(changes: Iterable[Change], prices: List, *, by: str, approved: bool = False) -> int:
    """Add what is new or has changed, as versions. Returns how many; what is there already is left alone.

    Where prices have to be approved, these wait too, unless they are `approved`.
    """
    at = timezone.now() if approved or not settings.PRICE_APPROVAL else None
    rows = [_row(change, prices, by, at) for change in changes if change.status in (NEW, CHANGED)]
    with transaction.atomic():
        before = Price.objects.count()
        Price.objects.bulk_create(rows, batch_size=200, ignore_conflicts=True)
        return Price.objects.count() - before


def seed(path: Path = SHIPPED) -> int:
    """Add the shipped prices of models that have none yet. Returns how many versions. Raises NotAList."""
    prices = pricelists.read(path.read_text())
    new = [change for change in compared(prices) if change.status == NEW]
    return apply(new, prices, by=SEEDER, approved=True)


def _row(change: Change, prices: List, by: str, approved_at: datetime | None) -> Price:
    offer = change.offer
    return Price(
        kind=offer.kind,
        model=offer.model,
        effective_from=change.effective_from,
        **offer.amounts,
        tiers=scales.as_tiers(offer.tiers),
        services=scales.as_services(offer.services),
        origin=prices.name,
        source=prices.source,
        note=offer.note,
        created_by=by,
        approved_at=approved_at,
    )


def _version(
    kind: str, model: str, since: datetime, origin: str, tiers: object, services: object, *amounts: int | None
) -> Version:
    given = {unit: amount for unit, amount in zip(UNITS, amounts, strict=True) if amount is not None}
    return Version(kind, model, since, origin == OWN, given, scales.tiers_of(tiers), scales.services_of(services))
