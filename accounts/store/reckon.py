"""What records would cost with another price book, and the booking of the differences.

A record is reckoned as a whole: each attempt that was priced, or had no price, gets the price that the book has for its
start. An attempt that the book still knows no price for keeps what it was recorded with, and so does one of which
nobody said how much it used. What people corrected by hand stands beside it untouched; a record without a price that
somebody has given its cost is done with.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Prefetch

from accounts.ledger.entry import Attempt
from accounts.ledger.pricing import Pricing
from accounts.models import Adjustment, AttemptRecord, RequestRecord
from accounts.prices import UNITS, Usage
from accounts.rates import MILLION
from accounts.store import totals
from accounts.store.adjust import REPRICED, Standing, gives_cost, moved, original
from accounts.store.rows import LARGEST

MONEY = ("priced", "unpriced")  # what an attempt's cost_status must be for its price to matter
IN_ORDER = Prefetch("adjustments", queryset=Adjustment.objects.order_by("id"))


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be booked for one record, in nano-USD. `settles`: it had no price until now."""

    record: RequestRecord
    before: Standing
    delta: int
    number: int
    prices: tuple[int, ...]
    settles: bool


@dataclass(frozen=True, slots=True)
class Reckoned:
    """The changes, and how many records wait: for a price, or for somebody who knows how much was used."""

    changes: tuple[Change, ...]
    waiting: int


def reckon(ids: Sequence[str], price: Pricing) -> Reckoned:
    """Look at these records. Within a transaction they stay locked, so nobody corrects them meanwhile."""
    rows = RequestRecord.objects.select_for_update().filter(pk__in=ids).order_by("pk")
    found = [_changed(record, price) for record in rows.prefetch_related("attempts", IN_ORDER)]
    return Reckoned(tuple(each for each in found if isinstance(each, Change)), found.count("waiting"))


def book(changes: Iterable[Change], *, author: str, reason: str) -> None:
    """Book the changes and carry them into the totals, within the transaction in which they were reckoned."""
    rows, deltas, settled = [], defaultdict[totals.Key, int](int), defaultdict[totals.Key, int](int)
    for change in changes:
        adjustment = _adjustment(change, author, reason)
        rows.append(adjustment)
        for key, amount in moved(change.record, change.before, change.before.after(adjustment)).items():
            deltas[key] += amount
        if change.settles:
            for key in totals.keys_of(change.record):
                settled[key] += 1
    Adjustment.objects.bulk_create(rows)
    with connection.cursor() as cursor:
        totals.add_adjusted(cursor, deltas)
        totals.add_repriced(cursor, settled)


def _changed(record: RequestRecord, price: Pricing) -> "Change | str":
    """Return the change, "waiting" where a price or the usage is missing, "" where nothing changes."""
    adjustments = record.adjustments.all()
    first = next(filter(gives_cost, adjustments), None) if record.cost_status == "unpriced" else None
    if first is not None and not first.reprice:
        return ""
    charges = [_charge(attempt, price) for attempt in record.attempts.all()]
    if any(cost is None for cost, _ in charges):
        return "waiting"
    before, reprices = original(record), list[Adjustment]()
    for adjustment in adjustments:
        before = before.after(adjustment)
        reprices += [adjustment] if adjustment.reprice else []
    reckoned = record.cost_nano + sum(each.cost_nano_delta for each in reprices)
    delta = max(sum(cost or 0 for cost, _ in charges) - reckoned, -before.cost_nano)
    settles = record.cost_status == "unpriced" and not reprices
    if not (delta or settles) or before.cost_nano + delta > LARGEST:
        return ""
    versions = dict.fromkeys(id for _, id in charges if id is not None)
    return Change(record, before, delta, len(reprices) + 1, tuple(versions), settles)


def _charge(row: AttemptRecord, price: Pricing) -> tuple[int | None, int | None]:
    """Return cost and price version; None for both where there is no price or no usage, and there was none before."""
    if row.cost_status not in MONEY:
        return row.cost_nano, row.price_id
    usage = Usage(**{unit: getattr(row, unit) for unit in UNITS}, service_tier=row.service_tier)
    charge = price(_plain(row), usage)
    if charge.status != "unpriced" and (charge.cost_nano or not _unknown(row, price)):
        return charge.cost_nano, charge.price_id
    return (row.cost_nano, row.price_id) if row.cost_status == "priced" else (None, None)


def _unknown(row: AttemptRecord, price: Pricing) -> bool:
    """Say whether nobody said how much was used, of what costs something."""
    if row.cost_status != "unpriced" or row.usage_source != "none":
        return False
    known: list[dict[str, Any]] = [{unit: MILLION} for unit in UNITS]
    return any(price(_plain(row), Usage(**each)).cost_nano for each in known)


def _plain(row: AttemptRecord) -> Attempt:
    started_at = row.started_at.timestamp()
    plain = Attempt(row.number, row.target, row.provider, row.kind, row.model, started_at)
    plain.service_tier, plain.latency_us = row.service_tier, row.latency_us
    return plain


def _adjustment(change: Change, author: str, reason: str) -> Adjustment:
    record = change.record
    versions = f" (price {', '.join(map(str, change.prices))})" if change.prices else ""
    return Adjustment(
        request=record,
        day=record.day,
        author=author,
        reason=f"{reason}{versions}",
        external_ref=f"{REPRICED}{record.pk}:{change.number}",
        cost_nano_delta=change.delta,
        reprice=True,
    )
