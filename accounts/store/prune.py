"""Details of old days taken away: only of a day that is sealed and was found sound, and never what was corrected.

What stays is the day's chain, its totals, and the digest of both. Records with adjustments stay whole; so do those
without a price, since what they come to could not be reckoned any more. On PostgreSQL a month of which nothing has to
stay goes as one, all else in pieces.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import partial

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import F
from django.utils import timezone

from accounts.models import Adjustment, LedgerDay, RequestRecord
from accounts.models.ledger import CostStatus
from accounts.store import audit, months
from accounts.store.walk import ADJUSTMENTS, ATTEMPTS, PIECE, REQUESTS

UNPRICED = CostStatus.UNPRICED.value


def due(now: datetime, keep_days: int) -> list[date]:
    """Return the days whose details are older than `keep_days`, oldest first; none where it is 0."""
    if not keep_days:
        return []
    last = timezone.localdate(now) - timedelta(days=keep_days)
    days = LedgerDay.objects.filter(day__lt=last, sealed_at__isnull=False, prune_done=False, problem_count=0)
    return list(days.order_by("day").values_list("day", flat=True))


def look(day: date) -> Iterator[str | None]:
    """Look through the day once more. Without a fault its totals stand for its details from now on."""
    if LedgerDay.objects.filter(day=day, pruned_at__isnull=False).exists():
        return
    faults = 0
    for finding in audit.examine(day):
        faults += finding is not None
        yield finding
    if not faults:
        digest = audit.totals_digest(day)
        LedgerDay.objects.filter(day=day).update(pruned_at=timezone.now(), totals_digest=digest)


def looked() -> list[date]:
    """Return the days whose details may go, oldest first."""
    days = LedgerDay.objects.filter(pruned_at__isnull=False, prune_done=False)
    return list(days.order_by("day").values_list("day", flat=True))


def take_months(now: datetime, keep_days: int) -> Iterator[None]:
    """Take away the months of which nothing has to stay."""
    first = timezone.localdate(now) - timedelta(days=keep_days)
    for month in months.known() if keep_days else ():
        if months.after(month) + months.DAY < first:
            months.drop(month, may=partial(_forsaken, month))
            yield


def _forsaken(month: date, cursor: CursorWrapper) -> bool:
    """Note what of each day goes with a month. Returns False where something has to stay."""
    table = months.name_of(REQUESTS, month)
    cursor.execute(f"SELECT day, COUNT(*) FROM {table} GROUP BY day")  # noqa: S608  our own names
    rows = dict(cursor.fetchall())
    cursor.execute(f"SELECT 1 FROM {ADJUSTMENTS} JOIN {table} r ON r.id = request_id LIMIT 1")  # noqa: S608
    corrected = cursor.fetchone()
    cursor.execute(f"SELECT 1 FROM {table} WHERE cost_status = %s LIMIT 1", [UNPRICED])  # noqa: S608
    looked = LedgerDay.objects.filter(day__in=rows, pruned_at__isnull=False)
    if corrected or cursor.fetchone() or looked.count() < len(rows):
        return False
    for closed in looked:
        LedgerDay.objects.filter(day=closed.day).update(pruned=F("pruned") + rows[closed.day])
    return True


def take(day: date) -> Iterator[None]:
    """Take the details of a day away in pieces."""
    while count := _take(day):
        LedgerDay.objects.filter(day=day).update(pruned=F("pruned") + count)
        yield None
    LedgerDay.objects.filter(day=day).update(prune_done=True)


@transaction.atomic
def _take(day: date) -> int:
    corrected = Adjustment.objects.filter(day=day).values("request")
    rows = RequestRecord.objects.filter(day=day).exclude(cost_status=UNPRICED).exclude(pk__in=corrected).order_by("pk")
    ids = list(rows.values_list("pk", flat=True)[:PIECE])
    if ids:
        marks = ", ".join(["%s"] * len(ids))
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {ATTEMPTS} WHERE request_id IN ({marks})", ids)  # noqa: S608  our own names
            cursor.execute(f"DELETE FROM {REQUESTS} WHERE id IN ({marks})", ids)  # noqa: S608
    return len(ids)
