"""The spans over which budgets count: calendar days, weeks from Monday, months, or all time, on a clock of ours."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

BEGINNING = date(1970, 1, 1)
NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Window:
    """One span: its first day, the day after its last (None for all time), and both as epoch seconds."""

    first: date
    after: date | None
    starts_at: float
    ends_at: float

    def holds(self, at: float) -> bool:
        return self.starts_at <= at < self.ends_at


ALL_TIME = Window(BEGINNING, None, -NEVER, NEVER)


def window_at(kind: str, at: float, zone: ZoneInfo) -> Window:
    """Return the window of that kind (day, week, month, total) that holds `at`, in epoch seconds.

    A day is as long as the zone's clock makes it: 23 hours where it is put forward, 25 where it is put back.
    """
    if kind == "total":
        return ALL_TIME
    first, after = SPANS[kind](datetime.fromtimestamp(at, zone).date())
    return Window(first, after, _midnight(first, zone), _midnight(after, zone))


def _day(day: date) -> tuple[date, date]:
    return day, day + timedelta(days=1)


def _week(day: date) -> tuple[date, date]:
    monday = day - timedelta(days=day.weekday())
    return monday, monday + timedelta(days=7)


def _month(day: date) -> tuple[date, date]:
    first = day.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1)


SPANS: dict[str, Callable[[date], tuple[date, date]]] = {"day": _day, "week": _week, "month": _month}
KINDS = (*SPANS, "total")


def _midnight(day: date, zone: ZoneInfo) -> float:
    return datetime.combine(day, time(), zone).timestamp()
