"""The rows of a day in their order, a few at a time, as the database keeps them: no models, flat memory."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db import connection

from accounts.models import Adjustment, AttemptRecord, RequestRecord
from accounts.store import canon, months
from accounts.store.rows import ATTEMPT, REQUEST, Row, stamp_for

PIECE = 40  # rows: what is read and reckoned between two rests, and what a link holds
REQUESTS, ATTEMPTS, ADJUSTMENTS = (each._meta.db_table for each in (RequestRecord, AttemptRecord, Adjustment))
ADJUSTMENT = (
    *("id", "request_id", "at", "day", "author", "reason", "external_ref", "cost_nano_delta", "reprice"),
    *("team", "cost_centre", "owner"),
)
AT, ID = REQUEST.index("at"), REQUEST.index("id")
Place = tuple[str, str]  # after which row the next ones begin: `at` as a text, and the id
START: Place = ("", "")


@dataclass(frozen=True, slots=True)
class Record:
    """A request's row, and those of its attempts in their order."""

    row: Row
    attempts: tuple[Row, ...]

    @property
    def id(self) -> str:
        return str(self.row[ID])

    @property
    def digest(self) -> bytes:
        return canon.digest([(REQUEST, self.row), *((ATTEMPT, each) for each in self.attempts)])

    @property
    def place(self) -> Place:
        at = self.row[AT]
        return (at if isinstance(at, str) else canon.moment(at)), self.id


def pages(day: date, after: Place = START, until: Place | None = None, *, size: int = PIECE) -> Iterator[list[Record]]:
    """Yield the records of `day` behind `after`, up to and with `until`, `size` at a time."""
    while page := page_of(day, after, until, size):
        yield page
        if len(page) < size:
            return
        after = page[-1].place


def page_of(day: date, after: Place, until: Place | None = None, size: int = PIECE) -> list[Record]:
    at, id = after
    low = _stamped(at) if at else _midnight(day, -1)
    # The day is spelled so that no index on it is taken: along the one on time the rows come in their order.
    same_day = "+day = %s" if connection.vendor == "sqlite" else "day + 0 = %s"
    wanted = f"{same_day} AND at >= %s AND (at > %s OR id > %s) AND at < %s"
    values: list[Any] = [day, low, low, id, _midnight(day, 2)]
    if ids := months.around(day, day):
        wanted, values = f"{wanted} AND id >= %s AND id < %s", [*values, *ids.values()]
    if until is not None:
        end = _stamped(until[0])
        wanted, values = f"{wanted} AND at <= %s AND (at < %s OR id <= %s)", [*values, end, end, until[1]]
    return _records(f"WHERE {wanted} ORDER BY at, id LIMIT {size}", values)


def records(ids: Sequence[str]) -> list[Record]:
    """Return those of these records that are there, in the order of their ids."""
    marks = ", ".join(["%s"] * len(ids))
    return _records(f"WHERE id IN ({marks}) ORDER BY id", list(ids)) if ids else []


def adjustments(after: int, before: datetime | None = None, until: int | None = None) -> list[Row]:
    """Return the next adjustments by id, booked before a moment or up to an id, in the order of ADJUSTMENT."""
    condition, value = ("id <= %s", until) if before is None else ("at < %s", _stamp(before))
    return _select(ADJUSTMENTS, ADJUSTMENT, f"WHERE id > %s AND {condition} ORDER BY id LIMIT {PIECE}", [after, value])


def _records(rest: str, values: list[Any]) -> list[Record]:
    rows = _select(REQUESTS, REQUEST, rest, values)
    attempts: defaultdict[str, list[Row]] = defaultdict(list)
    if rows:
        marks = ", ".join(["%s"] * len(rows))
        ids = [row[ID] for row in rows]
        for each in _select(ATTEMPTS, ATTEMPT, f"WHERE request_id IN ({marks}) ORDER BY request_id, number", ids):
            attempts[each[0]].append(each)
    return [Record(row, tuple(attempts[row[ID]])) for row in rows]


def _select(table: str, columns: tuple[str, ...], rest: str, values: Sequence[Any]) -> list[Row]:
    names = ", ".join(f'"{column}"' for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {names} FROM {table} {rest}", values)  # noqa: S608  our own names
        return list(cursor.fetchall())


def _midnight(day: date, plus: int) -> Any:
    # A day is at most 14 hours away from the same day in UTC.
    return _stamp(datetime.combine(day + timedelta(days=plus), time(), tzinfo=UTC))


def _stamped(at: str) -> Any:
    return _stamp(datetime.fromisoformat(at).replace(tzinfo=UTC))


def _stamp(moment: datetime) -> Any:
    return stamp_for(connection.vendor)(moment.astimezone(UTC))
