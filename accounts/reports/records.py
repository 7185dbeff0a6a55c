"""Single request records of a report, page by page without counting, and what was booked to whom for each."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from operator import attrgetter
from typing import Any

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet, TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from accounts.models import Adjustment, RequestRecord
from accounts.prices import UNITS, Usage
from accounts.reports.question import Question
from accounts.store import months
from accounts.store.adjust import original

PAGE = 50
BATCH = 500
PRICED_LATER = Adjustment.objects.filter(Q(reprice=True) | Q(cost_nano_delta__gt=0), request=OuterRef("pk"))
IN_ORDER = Prefetch("adjustments", queryset=Adjustment.objects.order_by("id"))
Arms = list[QuerySet[RequestRecord]]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Posting:
    """Money booked to a team and cost centre on account of one record: the record itself, or an adjustment."""

    team: str
    cost_centre: str
    cost_nano: int
    adjusted_nano: int
    adjustment: Adjustment | None


@dataclass(frozen=True, slots=True)
class Line:
    """A record as one reader sees it: with those of its postings that are part of the question."""

    record: RequestRecord
    postings: tuple[Posting, ...]
    paid_by: str

    @property
    def usage(self) -> Usage:
        return Usage(**{unit: getattr(self.record, unit) for unit in UNITS})

    @property
    def cost_nano(self) -> int:
        return sum(posting.cost_nano for posting in self.postings)

    @property
    def adjusted_nano(self) -> int:
        return sum(posting.adjusted_nano for posting in self.postings)

    @property
    def total_nano(self) -> int:
        return self.cost_nano + self.adjusted_nano


def postings(record: RequestRecord) -> Iterator[Posting]:
    """What was booked, oldest first. A correction of who pays takes from one and gives to the other.

    Takes a record whose adjustments are loaded, in their order.
    """
    stood = original(record)
    yield Posting(stood.team, stood.cost_centre, record.cost_nano, 0, None)
    for each in record.adjustments.all():
        stands = stood.after(each)
        if (stands.team, stands.cost_centre) == (stood.team, stood.cost_centre):
            yield Posting(stands.team, stands.cost_centre, 0, each.cost_nano_delta, each)
        else:
            yield Posting(stood.team, stood.cost_centre, 0, -stood.cost_nano, each)
            yield Posting(stands.team, stands.cost_centre, 0, stands.cost_nano, each)
        stood = stands


def lines(question: Question, found: list[RequestRecord]) -> list[Line]:
    """What the records, with their adjustments loaded, have to say to the question."""
    every = (_line(record, question) for record in found)
    return [each for each in every if each.postings]


def of(question: Question, *, status: str = "", sure: str = "") -> Arms:
    """The records that the question is about: those recorded so, and those that a correction has made so since.

    May let in too many of the latter; their lines have no postings.
    """
    rows = RequestRecord.objects.filter(
        day__range=(question.first, question.last),
        # Narrower for the index only: a day is at most 14 hours away from the same day in UTC.
        at__range=(_midnight(question.first, -1), _midnight(question.last, 2)),
        **months.around(question.first, question.last),
        **question.of_record(without=("team", "cost_centre")),
    )
    if question.tag is not None:
        name, value = question.tag
        rows = rows.alias(said=Cast(KeyTextTransform(name, "tags"), TextField())).filter(said=value)
    if status:
        rows = rows.filter(status=status)
    if sure == "estimated":
        rows = rows.filter(usage_source="estimated")
    elif sure == "unpriced":
        rows = rows.filter(cost_status="unpriced").exclude(Exists(PRICED_LATER))
    elif sure == "adjusted":
        rows = rows.filter(pk__in=Adjustment.objects.values("request"))
    return [arm.prefetch_related(IN_ORDER) for arm in _by_payer(rows, question)]


def newest(arms: Arms, after: str, size: int = PAGE) -> tuple[list[RequestRecord], str]:
    """One page, newest first, and the mark at which the next one goes on ('' where nothing is left).

    Raises ValueError where `after` is no mark.
    """
    if after:
        at, pk = _unmark(after)
        arms = [rows.filter(Q(at__lt=at) | Q(pk__lt=pk), at__lte=at) for rows in arms]
    found = {record.pk: record for rows in arms for record in rows.order_by("-at", "-pk")[: size + 1]}
    ordered = sorted(found.values(), key=attrgetter("at", "pk"), reverse=True)
    return ordered[:size], mark(ordered[size - 1]) if len(ordered) > size else ""


def batches(question: Question, **filters: str) -> Iterator[list[Line]]:
    """All lines, newest first, with at most BATCH of them in memory and no cursor held open between."""
    arms, after = of(question, **filters), ""
    while True:
        found, after = newest(arms, after, BATCH)
        yield lines(question, found)
        if not after:
            return


def whole(record: RequestRecord) -> Line:
    """The record with everything booked for it, whoever paid."""
    booked = tuple(postings(record))
    return Line(record, booked, booked[-1].team)


def _line(record: RequestRecord, question: Question) -> Line:
    every = whole(record)
    counted = (each for each in every.postings if question.counts(each.team, each.cost_centre))
    return replace(every, postings=tuple(counted))


def mark(record: RequestRecord) -> str:
    return f"{(record.at - EPOCH) // timedelta(microseconds=1)}-{record.pk}"


def _unmark(text: str) -> tuple[datetime, str]:
    micros, _, pk = text.partition("-")
    if not (micros.isascii() and micros.isdecimal() and len(micros) < 18 and pk):
        raise ValueError(f"{text!r} is not a place in a list")
    return EPOCH + timedelta(microseconds=int(micros)), pk


def _by_payer(rows: QuerySet[RequestRecord], question: Question) -> Arms:
    """Team and cost centre, as recorded and as corrected. Apart, since an OR would have no index to read in order."""
    recorded: dict[str, Any] = question.of_record(without=("model", "provider", "key", "route"))
    if question.scope is not None:
        recorded["team__in"] = question.scope
    if not recorded:
        return [rows]
    moved_in = Q(pk=None)  # nothing
    for condition in recorded.items():
        moved_in |= Q(condition)
    moved = Adjustment.objects.filter(moved_in, day__range=(question.first, question.last))
    return [rows.filter(**recorded), rows.filter(pk__in=moved.values("request"))]


def _midnight(day: date, plus: int) -> datetime:
    return datetime.combine(day + timedelta(days=plus), time(), tzinfo=UTC)
