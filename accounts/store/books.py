"""Keeping the books, beside the calls: days are sealed, looked through again, and pruned, a piece at a time.

One process does it, whichever holds the lease; when it dies another goes on.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, Max, Q, Sum
from django.utils import timezone

from accounts.models import LedgerDay, LedgerLease
from accounts.store import audit, prune, seal

LEASE = timedelta(minutes=2)
AGAIN = timedelta(days=7)  # a sealed day is looked through again
FAULTY = timedelta(days=1)  # one with faults
LOOK = timedelta(minutes=10)  # for something to do
NAMED = 20


class Books:
    """What one process does of it. `turn` goes on for some pieces of a few milliseconds, with a rest after each."""

    def __init__(self, holder: str, *, keep_days: int, rest: Callable[[], None], pieces: int = 4) -> None:
        self._holder, self._keep_days, self._rest, self._pieces = holder, keep_days, rest, pieces
        self._work: Iterator[Any] | None = None
        self._next_look = datetime.min.replace(tzinfo=timezone.get_default_timezone())

    def turn(self) -> bool:
        """Returns whether there is more to do at once."""
        now = timezone.now()
        if self._work is None:
            if now < self._next_look:
                return False
            self._next_look = now + LOOK
            self._work = plan(now, self._keep_days)
        if not hold("books", self._holder, now):
            self._work, self._next_look = None, now + LEASE
            return False
        try:
            self._on(self._work)
        except BaseException:
            self._work = None  # begun anew next time
            raise
        return self._work is not None

    def _on(self, work: Iterator[Any]) -> None:
        for _ in range(self._pieces):
            try:
                next(work)
            except StopIteration:
                self._work = None
                return
            self._rest()


def plan(now: datetime, keep_days: int = 0) -> Iterator[None]:
    """Do all there is to do, a piece at each step."""
    for day in seal.open_days(now):
        yield from seal.seal(day)
    for day in seal.late_days():
        yield from seal.seal_late(day)
    for day in due(now):
        yield from note(day, audit.confirmed(day))
    for day in prune.due(now, keep_days):
        yield from note(day, prune.look(day))
    yield from prune.take_months(now, keep_days)
    for day in prune.looked():
        yield from prune.take(day)


def due(now: datetime) -> list[date]:
    """Return the sealed days that are to be looked through: new ones, faulty ones, and those not seen for a week."""
    stale = Q(verified_at__isnull=True) | Q(verified_at__lt=now - AGAIN)
    faulty = Q(problem_count__gt=0, verified_at__lt=now - FAULTY)
    days = LedgerDay.objects.filter(stale | faulty, sealed_at__isnull=False)
    return list(days.order_by("-day").values_list("day", flat=True))


def note(day: date, findings: audit.Findings) -> Iterator[None]:
    """Write down what was found, once all of it was looked at."""
    problems, count = list[str](), 0
    for finding in findings:
        if finding is not None:
            count += 1
            problems += [finding] if len(problems) < NAMED else []
        else:
            yield
    LedgerDay.objects.filter(day=day).update(verified_at=timezone.now(), problem_count=count, problems=problems)


@dataclass(frozen=True, slots=True)
class State:
    """How the books stand. Times are epoch seconds, 0 for never."""

    days: int
    problems: int
    verified_at: float


def state() -> State:
    days = LedgerDay.objects.filter(sealed_at__isnull=False)
    found = days.aggregate(days=Count("pk"), problems=Sum("problem_count", default=0), at=Max("verified_at"))
    return State(found["days"], found["problems"], found["at"].timestamp() if found["at"] else 0.0)


def hold(name: str, holder: str, now: datetime) -> bool:
    """Take or keep a lease. Returns whether we hold it."""
    free = LedgerLease.objects.filter(Q(holder=holder) | Q(until__lt=now), name=name)
    if free.update(holder=holder, until=now + LEASE):
        return True
    if LedgerLease.objects.filter(name=name).exists():
        return False
    try:
        with transaction.atomic():
            LedgerLease.objects.create(name=name, holder=holder, until=now + LEASE)
    except IntegrityError:
        return False
    return True
