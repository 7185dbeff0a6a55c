"""Days that are over, sealed: their rows go into a chain of links, in pieces, so that nobody is kept waiting.

A row that comes later (its journal was adopted late) gets a link of its own, with its time; so do adjustments.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from hashlib import sha256

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from accounts.models import Adjustment, DailyTotal, LedgerDay, LedgerLink
from accounts.store import canon, walk
from accounts.store.rows import Row
from accounts.store.walk import START, Place, Record

GRACE = timedelta(hours=1)  # after midnight: a stream may have begun before it, a journal be adopted
Kind = LedgerLink.Kind


def open_days(now: datetime) -> list[date]:
    """Return the days that are over and not sealed yet, oldest first."""
    last = timezone.localdate(now - GRACE)
    days = DailyTotal.objects.filter(day__lt=last, requests__gt=0).order_by("day").values_list("day", flat=True)
    sealed = set(LedgerDay.objects.filter(sealed_at__isnull=False).values_list("day", flat=True))
    return [day for day in days.distinct() if day not in sealed]


def seal(day: date) -> Iterator[None]:
    """Seal a day, a link at each step. One that was cut short goes on where it stopped."""
    LedgerDay.objects.get_or_create(day=day)
    after = _place(LedgerLink.objects.filter(day=day, kind=Kind.ROWS).order_by("number").last())
    for page in walk.pages(day, after):
        _link(day, Kind.ROWS, [canon.member(each.id, each.digest) for each in page], _digests(page), page[-1].place)
        yield
    yield from _seal_adjustments(day)
    LedgerDay.objects.filter(day=day).update(sealed_at=timezone.now())


def late_days() -> list[date]:
    """Return the sealed days that have got rows since."""
    sealed = dict(LedgerDay.objects.filter(sealed_at__isnull=False).values_list("day", "requests"))
    rows = DailyTotal.objects.order_by("day").values_list("day").annotate(count=Sum("requests"))
    return [day for day, count in rows if count > sealed.get(day, count)]


def seal_late(day: date) -> Iterator[None]:
    """Seal what came after the day was sealed."""
    for page in walk.pages(day):
        known = members(day, page)
        new = [each for each in page if canon.short(each.id) not in known]
        if new:
            _link(day, Kind.LATE, [canon.member(each.id, each.digest) for each in new], _digests(new))
        yield


def members(day: date, page: Sequence[Record]) -> dict[bytes, bytes]:
    """Return what the links of a day that may hold these records keep, by short id."""
    first, last = page[0].place, page[-1].place
    links = LedgerLink.objects.filter(day=day)
    around = links.filter(kind=Kind.ROWS, last_at__gte=first[0]).order_by("number")
    found: dict[bytes, bytes] = {}
    for link in around.iterator(chunk_size=8):
        found |= split(link.members)
        if (link.last_at, link.last_id) > last:
            break
    for link in links.filter(kind=Kind.LATE):
        found |= split(link.members)
    return found


def split(members: bytes | memoryview) -> dict[bytes, bytes]:
    """Return the members of a link: the beginning of the digest by short id."""
    raw = bytes(members)
    parts = (raw[start : start + canon.MEMBER] for start in range(0, len(raw), canon.MEMBER))
    return {part[: canon.ID]: part[canon.ID :] for part in parts}


def _seal_adjustments(day: date) -> Iterator[None]:
    """Seal the adjustments that were booked since the last time, whichever day they are booked to."""
    before = timezone.now() - GRACE
    last = LedgerLink.objects.filter(kind=Kind.ADJUSTMENTS).order_by("-at", "-day", "-number").first()
    after = int(last.last_id) if last else 0
    while page := walk.adjustments(after, before):
        digests = [adjustment_digest(row) for row in page]
        parts = [canon.numbered(row[0]) + each[: canon.DIGEST] for row, each in zip(page, digests, strict=True)]
        after = page[-1][0]
        _link(day, Kind.ADJUSTMENTS, parts, digests, ("", str(after)))
        yield


def adjustment_digest(row: Row) -> bytes:
    return canon.digest([(walk.ADJUSTMENT, row)])


def waiting_adjustments() -> int:
    """Return how many adjustments are not sealed yet."""
    last = LedgerLink.objects.filter(kind=Kind.ADJUSTMENTS).order_by("-at", "-day", "-number").first()
    return Adjustment.objects.filter(id__gt=int(last.last_id) if last else 0).count()


def _digests(page: Sequence[Record]) -> list[bytes]:
    return [each.digest for each in page]


@transaction.atomic
def _link(day: date, kind: Kind, parts: Sequence[bytes], digests: Sequence[bytes], end: Place = START) -> None:
    closed = LedgerDay.objects.select_for_update().get(day=day)
    number, digest = closed.links + 1, sha256(b"".join(digests)).hexdigest()
    previous = closed.head or _head_before(day)
    head = canon.chained(previous, day, number, kind, len(parts), digest)
    LedgerLink.objects.create(
        day=closed,
        number=number,
        kind=kind,
        rows=len(parts),
        last_at=end[0],
        last_id=end[1],
        members=b"".join(parts),
        digest=digest,
        previous=previous,
        head=head,
        at=timezone.now(),
    )
    counted = "adjustments" if kind == Kind.ADJUSTMENTS else "requests"
    setattr(closed, counted, getattr(closed, counted) + len(parts))
    closed.late += len(parts) if kind == Kind.LATE else 0
    closed.links, closed.head = number, head
    closed.save(update_fields=["links", "head", "requests", "adjustments", "late"])


def _head_before(day: date) -> str:
    """Return the head of the day before, as it is now; "" for the first of all."""
    before = LedgerDay.objects.filter(day__lt=day).exclude(head="").order_by("-day").first()
    return before.head if before else ""


def _place(link: LedgerLink | None) -> Place:
    return (link.last_at, link.last_id) if link else START
