"""Details of old days taken away: only of a day that is sealed and was found sound, and never what was corrected.

What stays is the day's chain, its totals, and the digest of both. Records with adjustments stay whole.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import Adjustment, LedgerDay, RequestRecord
from accounts.store import audit
from accounts.store.walk import ATTEMPTS, PIECE, REQUESTS


def due(now: datetime, keep_days: int) -> list[date]:
    """Return the days whose details are older than `keep_days`, oldest first; none where it is 0."""
    if not keep_days:
        return []
    last = timezone.localdate(now) - timedelta(days=keep_days)
    days = LedgerDay.objects.filter(day__lt=last, sealed_at__isnull=False, prune_done=False, problem_count=0)
    return list(days.order_by("day").values_list("day", flat=True))


def prune(day: date) -> Iterator[str | None]:
    """Look through the day once more, then take its details away in pieces. A day with a fault stays as it is."""
    closed = LedgerDay.objects.get(day=day)
    if closed.pruned_at is None:
        faults = 0
        for finding in audit.examine(day):
            faults += finding is not None
            yield finding
        if faults:
            return
        digest = audit.totals_digest(day)
        LedgerDay.objects.filter(day=day).update(pruned_at=timezone.now(), totals_digest=digest)
    while count := _take(day):
        LedgerDay.objects.filter(day=day).update(pruned=F("pruned") + count)
        yield None
    LedgerDay.objects.filter(day=day).update(prune_done=True)


@transaction.atomic
def _take(day: date) -> int:
    corrected = Adjustment.objects.filter(day=day).values("request")
    rows = RequestRecord.objects.filter(day=day).exclude(pk__in=corrected).order_by("pk")
    ids = list(rows.values_list("pk", flat=True)[:PIECE])
    if ids:
        marks = ", ".join(["%s"] * len(ids))
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {ATTEMPTS} WHERE request_id IN ({marks})", ids)  # noqa: S608  our own names
            cursor.execute(f"DELETE FROM {REQUESTS} WHERE id IN ({marks})", ids)  # noqa: S608
    return len(ids)
