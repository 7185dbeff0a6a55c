"""The ledger on PostgreSQL, a partition for each month: ranges of request ids, which begin with their time (in UTC).

What no month's partition takes goes into one beside them, so that an insert never fails. Checks on `at` and `day` of
each month tell PostgreSQL which ones a query by time may leave out. SQLite has one table.
"""

from collections.abc import Callable, Collection
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from accounts.ledger.ids import lowest, made_at
from accounts.store.rows import ID_OFF

REQUESTS, ATTEMPTS, ADJUSTMENTS = "accounts_requestrecord", "accounts_attemptrecord", "accounts_adjustment"
KEYS = {REQUESTS: "id", ATTEMPTS: "request_id"}  # what each is cut by
OTHERS = "others"
AHEAD = 2  # months
DAY, OFF = timedelta(days=1), timedelta(seconds=ID_OFF)
LOCK = 7_110_010  # any number that nobody else takes
PATIENCE = "500ms"  # to wait for a lock, while calls wait behind; less than it takes PostgreSQL to see a deadlock
BUSY = "55P03"  # PostgreSQL's code for a lock that was not to be had

# A day is at most 14 hours away from the same day in UTC.
CHECKS = """(
    CONSTRAINT {name}_at CHECK (at >= '{low}'::timestamptz AND at < '{high}'::timestamptz),
    CONSTRAINT {name}_day CHECK (day >= '{low:%Y-%m-%d}'::date - 1 AND day <= '{high:%Y-%m-%d}'::date + 1))"""


def around(first: date, last: date) -> dict[str, str]:
    """Return what is true of the ids of all records of these days: from whole months, so that the others need not even
    be opened. Nothing on SQLite, which might take it for the better index."""
    if connection.vendor != "postgresql":
        return {}
    return {"pk__gte": _lowest(month_of(first - 2 * DAY)), "pk__lt": _lowest(after(month_of(last + 2 * DAY)))}


def ensure(now: datetime | None = None) -> list[date]:
    """Make the partitions of this month, the one before and the next two, where they are missing. Returns those made.

    Any process may do it at any time; what would keep calls waiting is left for the next time.
    """
    this = month_of((now or timezone.now()).astimezone(UTC).date())
    wanted = [month_of(this - DAY), this]
    for _ in range(AHEAD):
        wanted.append(after(wanted[-1]))
    there = known()
    return [month for month in wanted if month not in there and make(month)]


def after_migrate(using: str, **kwargs: Any) -> None:
    """Receiver of `post_migrate`."""
    if using == connection.alias and REQUESTS in connection.introspection.table_names():
        ensure()


def make(month: date) -> bool:
    """Make a month's partitions. Returns whether that was done: not where they are there, or calls would wait for it.

    What the others hold of the month stays there: it begins behind them.
    """

    def work(cursor: CursorWrapper) -> bool:
        if month in known():
            return False
        # In the order in which calls lock them. PostgreSQL takes these in any case, one after the other.
        _lock(cursor, [*KEYS, ADJUSTMENTS], "SHARE ROW EXCLUSIVE")
        low, high = _begins(cursor, month), _lowest(after(month))
        for table in KEYS if low < high else ():
            name = name_of(table, month)
            checks = CHECKS.format(name=name, low=_midnight(month) - OFF, high=_midnight(after(month)) + OFF)
            cursor.execute(
                f"CREATE TABLE {name} PARTITION OF {table} {checks if table == REQUESTS else ''} "
                f"FOR VALUES FROM ('{low}') TO ('{high}')"
            )
        return low < high

    return _alone(work)


def drop(month: date, *, may: Callable[[CursorWrapper], bool]) -> bool:
    """Take a month's partitions away, with what is in them. Returns whether that was done.

    `may` is asked once nothing can be written to them any more.
    """

    def work(cursor: CursorWrapper) -> bool:
        names = {table: name_of(table, month) for table in KEYS}
        if month not in known():
            return False
        _lock(cursor, names.values(), "SHARE")
        if not may(cursor):
            return False
        _lock(cursor, KEYS, "ACCESS EXCLUSIVE")
        for table, name in names.items():
            cursor.execute(f"ALTER TABLE {table} DETACH PARTITION {name}")
            cursor.execute(f"DROP TABLE {name}")
        return True

    return _alone(work)


def known() -> list[date]:
    """Return the months that have partitions, oldest first."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_date(right(relname, 6), 'YYYYMM') FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid "
            "WHERE inhparent = %s::regclass AND relname <> %s ORDER BY 1",
            [REQUESTS, f"{REQUESTS}_{OTHERS}"],
        )
        return [row[0] for row in cursor.fetchall()]


def month_of(day: date) -> date:
    return day.replace(day=1)


def after(month: date) -> date:
    return month_of(month + 31 * DAY)


def name_of(table: str, month: date) -> str:
    return f"{table}_{month:%Y%m}"


def _alone(work: Callable[[CursorWrapper], bool]) -> bool:
    """Do it in a transaction, unless some other process does so, or a lock is not to be had soon. Not on SQLite."""
    if connection.vendor != "postgresql":
        return False
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
            return cursor.fetchone()[0] and work(cursor)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) == BUSY:
            return False
        raise


def _lock(cursor: CursorWrapper, tables: Collection[str], mode: str) -> None:
    cursor.execute(f"LOCK TABLE {', '.join(f'ONLY {table}' for table in tables)} IN {mode} MODE")


def _begins(cursor: CursorWrapper, month: date) -> str:
    """Return the lowest id of a month behind those that the others hold."""
    low, high = _lowest(month), _lowest(after(month))
    for table, key in KEYS.items():
        cursor.execute(f"SELECT max({key}) FROM {table}_{OTHERS} WHERE {key} >= %s AND {key} < %s", [low, high])  # noqa: S608
        last = cursor.fetchone()[0]
        low = max(low, lowest(made_at(last) + 0.002)) if last else low
    return low


def _lowest(day: date) -> str:
    return lowest(_midnight(day).timestamp())


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
