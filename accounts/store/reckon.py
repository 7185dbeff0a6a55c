"""What records would cost with another price book, and the booking of the differences.

A record is reckoned as a whole: each attempt that was priced, or had no price, gets the price that the book has for its
start. An attempt that the book still knows no price for keeps what it was recorded with. What people corrected by hand
stands beside it untouched.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import Prefetch

from accounts.ledger.entry import Attempt
from accounts.ledger.pricing import Pricing
from accounts.models import Adjustment, AttemptRecord, RequestRecord
from accounts.prices import UNITS, Usage
from accounts.store import totals
from accounts.store.adjust import REPRICED, Standing, moved, original
from accounts.store.rows import LARGEST

MONEY = ("priced", "unpriced")  # what an attempt's cost_status must be for its price to matter
UNKNOWN = "; how much was used is not known, and stands here for nothing"
IN_ORDER = Prefetch("adjustments", queryset=Adjustment.objects.order_by("id"))


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be booked for one record, in nano-USD. `settles`: it had no price until now.

    `unknown`: nobody said how much an attempt of it used, so its part of the amount is nothing.
    """

    record: RequestRecord
    before: Standing
    delta: int
    number: int
    prices: tuple[int, ...]
    settles: bool
    unknown: bool


@dataclass(frozen=True, slots=True)
class Reckoned:
    """The changes, and how many records wait for a price."""

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
    """Return the change, "waiting" where a price is missing, "" where nothing changes."""
    attempts = record.attempts.all()
    charges = [_charge(attempt, price) for attempt in attempts]
    if any(cost is None for cost, _ in charges):
        return "waiting"
    before, reprices = original(record), list[Adjustment]()
    for adjustment in record.adjustments.all():
        before = before.after(adjustment)
        reprices += [adjustment] if adjustment.reprice else []
    reckoned = record.cost_nano + sum(each.cost_nano_delta for each in reprices)
    delta = max(sum(cost or 0 for cost, _ in charges) - reckoned, -before.cost_nano)
    settles = record.cost_status == "unpriced" and not reprices
    if not (delta or settles) or before.cost_nano + delta > LARGEST:
        return ""
    prices = dict.fromkeys(id for _, id in charges if id is not None)
    unknown = any(each.cost_status == "unpriced" and each.usage_source == "none" for each in attempts)
    return Change(record, before, delta, len(reprices) + 1, tuple(prices), settles, unknown)


def _charge(row: AttemptRecord, price: Pricing) -> tuple[int | None, int | None]:
    """Return cost and price version; None for both where there is no price, and none was there before."""
    if row.cost_status not in MONEY:
        return row.cost_nano, row.price_id
    usage = Usage(**{unit: getattr(row, unit) for unit in UNITS}, service_tier=row.service_tier)
    charge = price(_plain(row), usage)
    if charge.status != "unpriced":
        return charge.cost_nano, charge.price_id
    return (row.cost_nano, row.price_id) if row.cost_status == "priced" else (None, None)


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
        reason=f"{reason}{versions}{UNKNOWN if change.unknown else ''}",
        external_ref=f"{REPRICED}{record.pk}:{change.number}",
        cost_nano_delta=change.delta,
        reprice=True,
    )
