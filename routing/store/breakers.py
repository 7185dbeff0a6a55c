"""Breakers between processes and pages: what moved is written down, what others wrote is taken over."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from routing.breaker import PROBE_SECONDS
from routing.health import Change, Health
from routing.models import Breaker
from routing.probes import Ask, Probes

# A plain statement: it is asked four times a second, in the interpreter that the calls need. Several rows, since
# transactions may commit in another order than their times say.
_TABLE = Breaker._meta.db_table
NEWEST = (
    f"SELECT (SELECT COUNT(*) FROM {_TABLE}), target, changed_at, origin FROM {_TABLE} "  # noqa: S608  our own names
    "ORDER BY changed_at DESC LIMIT 32"
)
KEEP = timedelta(days=7)  # closed breakers, for those who look what happened

log = logging.getLogger(__name__)


class Exchange:
    """Keeps one process's breakers and the table of them in step. Writes only when a breaker of this process moved."""

    def __init__(self, health: Health, origin: str) -> None:
        self._health, self._origin = health, origin
        self._seen: dict[str, tuple[datetime, str]] = {}
        self._mark: tuple[Any, ...] | None = None

    def __call__(self) -> None:
        if moved := self._moved():
            try:
                share(moved, self._origin)
            except Exception:
                self._health.changes.extendleft(reversed(moved))  # told once the database is back
                raise
        self._take_over()

    def answer(self, probes: Probes) -> None:
        """Tell the loop whether the half-open targets that it asks for are ours to try.

        Where the database gives no answer they are: each process then goes by what it sees itself.
        """
        asks = probes.taken()
        may: dict[str, bool] = {}
        try:
            if asks:
                self()  # what this process found out is the others' to know first
            may = {ask.target: self._claimed(ask) for ask in asks}
        finally:
            for ask in asks:
                ask.answer(may.get(ask.target, True))

    def _claimed(self, ask: Ask) -> bool:
        """Take it upon us to try a target, unless another process does or has by now."""
        now = timezone.now()
        free = Q(prober="") | Q(prober=self._origin) | Q(probed_at__lt=now - timedelta(seconds=PROBE_SECONDS))
        row = Breaker.objects.filter(target=ask.target)
        as_asked = row.filter(free, state="open", forced=False, opened=ask.opened)
        return bool(as_asked.update(prober=self._origin, probed_at=now)) or not row.exists()

    def _moved(self) -> list[Change]:
        """Take the last word on each breaker that moved."""
        moved: dict[str, Change] = {}
        while self._health.changes:
            change = self._health.changes.popleft()
            moved[change.target] = change
        return list(moved.values())

    def _take_over(self) -> None:
        mark = _mark()  # before reading: a change in between is seen next time
        if mark == self._mark:
            return
        self._read()
        self._mark = mark

    def _read(self) -> None:
        rows = {row.target: row for row in Breaker.objects.all()}
        for target, row in rows.items():
            mark = (row.changed_at, row.origin)
            if self._seen.get(target) != mark and row.origin != self._origin:
                self._health.orders.append(told(row))
            self._seen[target] = mark
        for target in self._seen.keys() - rows.keys():
            del self._seen[target]


def _mark() -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(NEWEST)
        return tuple(cursor.fetchall())


@transaction.atomic
def share(moved: Iterable[Change], origin: str) -> None:
    """Write down what moved. What people decided stays as they decided it."""
    for change in moved:
        log.log(
            logging.INFO if change.state == "closed" else logging.WARNING,
            "breaker of %s: %s%s",
            change.target,
            change.state,
            f", {change.reason}" if change.reason and change.state != "closed" else "",
        )
        values = _columns(change) | {"origin": origin, "changed_at": timezone.now()}
        row, made = Breaker.objects.get_or_create(target=change.target, defaults=values)
        if not made:
            Breaker.objects.filter(pk=row.pk, forced=False).update(**values)
    old = Breaker.objects.filter(changed_at__lt=timezone.now() - KEEP)
    old.exclude(pk__in=Breaker.objects.in_trouble()).delete()


def known() -> list[Change]:
    """Return every breaker that was written down, the one that moved last first."""
    return [told(row) for row in Breaker.objects.all()]


def told(row: Breaker) -> Change:
    state = "closed" if row.state == "closed" else "open"
    since, until = row.since.timestamp(), row.until.timestamp()
    reason = row.note if row.forced else row.reason
    return Change(row.target, state, reason or "opened by hand", since, until, row.opened, row.forced)  # type: ignore[arg-type]


def _columns(change: Change) -> dict[str, object]:
    return {
        "state": "closed" if change.state == "closed" else "open",
        "reason": change.reason[:300],
        "since": datetime.fromtimestamp(change.since, UTC),
        "until": datetime.fromtimestamp(change.until, UTC),
        "opened": change.opened,
        "note": "",
        "author": "",
        "prober": "",
    }
