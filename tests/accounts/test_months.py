"""The ledger on PostgreSQL is cut by month: nothing is lost at the edges, nothing waits, nothing fails."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.ledger.ids import uuid7
from accounts.models import AttemptRecord, LedgerDay, LedgerQuarantine, RequestRecord
from accounts.reports import records
from accounts.reports.question import Question
from accounts.store import months, walk
from accounts.store.adjust import adjust
from accounts.store.ledger import save_entries
from accounts.store.rows import ID_OFF
from accounts.store.triggers import missing
from accounts.store.verify import verify
from tests.accounts.making import attempt, entry, raw, settled
from tests.accounts.tampering import tamper
from tests.accounts.test_books import keep

on_postgres = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one table")
pytestmark = pytest.mark.django_db
MARCH, APRIL, MAY = (date(2024, month, 1) for month in (3, 4, 5))
MIDNIGHT = datetime(2024, 4, 1, tzinfo=UTC).timestamp()
OFFS = (-ID_OFF, -1, -0.001, 0, 0.001, 1, ID_OFF - 0.001)


def save(at: float, off: float = 0.0, **facts: Any) -> str:
    """Save a record whose id is `off` seconds later than it; return its id."""
    made = settled(**{"at": at, "id": uuid7(at + off), **facts})
    save_entries(raw(made))
    return made.id


def homes(*tables: str) -> dict[str, str]:
    """Return in which partition each record, or attempt, stands."""
    found: dict[str, str] = {}
    with connection.cursor() as cursor:
        for table in tables or (months.REQUESTS,):
            cursor.execute(f"SELECT {months.KEYS[table]}, tableoid::regclass::text FROM {table}")
            found |= {id: home.removeprefix(table).removeprefix("_") for id, home in cursor.fetchall()}
    return found


def found_on(day: date) -> set[str]:
    """Return the records of a day as lists and as the books find them; both have to agree."""
    (arm,) = records.of(Question(day, day, None))
    listed = {record.pk for record in records.newest([arm], "")[0]}
    assert {record.id for page in walk.pages(day) for record in page} == listed
    return listed


@contextmanager
def somebody_else(*statements: str) -> Iterator[None]:
    """Run statements in a transaction of another connection, that stays open meanwhile."""
    place = connection.get_connection_params()
    names = {name: place[name] for name in ("host", "port", "user", "password", "dbname") if place.get(name)}
    with psycopg.connect(**names) as other:
        for statement in statements:
            other.execute(statement)
        yield
        other.rollback()


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Etc/GMT+12", "America/New_York"])
def test_no_record_is_lost_at_the_edges_of_months(zone: str, settings: Any) -> None:
    settings.TIME_ZONE = zone
    for month in (MARCH, APRIL):
        months.make(month)
    saved = [save(MIDNIGHT + at, off) for at in (-90_000, -1, -0.0000001, 0, 1, 90_000) for off in OFFS]
    assert list(LedgerQuarantine.objects.values_list("error", flat=True)) == []
    days = [date(2024, 3, 28) + timedelta(days=number) for number in range(8)]
    by_day = [found_on(day) for day in days]
    assert sum(map(len, by_day)) == len(saved)
    assert set().union(*by_day) == set(saved)


def test_a_record_whose_id_is_of_another_day_is_set_apart() -> None:
    save(MIDNIGHT, 2 * ID_OFF)
    save(MIDNIGHT, id="no-uuid")
    assert not RequestRecord.objects.exists()
    assert [row.error for row in LedgerQuarantine.objects.order_by("id")] == [
        f"Unfit: it was admitted at {MIDNIGHT}, and its id is of another day",
        "ValueError: badly formed hexadecimal UUID string",
    ]


@on_postgres
def test_months_around_today_have_partitions() -> None:
    now = datetime(2027, 11, 30, 23, 59, tzinfo=UTC)
    assert months.ensure(now) == [date(2027, 10, 1), date(2027, 11, 1), date(2027, 12, 1), date(2028, 1, 1)]
    assert months.ensure(now) == []
    assert months.ensure(now + timedelta(minutes=2)) == [date(2028, 2, 1)]
    assert set(months.known()) >= {months.month_of(timezone.now().date()), date(2028, 2, 1)}


@on_postgres
def test_what_has_no_month_is_kept_beside_them() -> None:
    months.make(APRIL)
    inside, before, later = save(MIDNIGHT), save(MIDNIGHT - 1), save(MIDNIGHT + 31 * 86_400)
    assert homes() == homes(months.ATTEMPTS) == {inside: "202404", before: "others", later: "others"}
    assert RequestRecord.objects.count() == AttemptRecord.objects.count() == 3


@on_postgres
def test_a_month_that_others_hold_some_of_begins_behind_it() -> None:
    early = [save(MIDNIGHT), save(MIDNIGHT + 3600)]
    adjust(RequestRecord.objects.get(pk=early[1]), author="fay", reason="refund", delta=-5)
    assert months.make(APRIL)
    assert not months.make(APRIL)
    between, late = save(MIDNIGHT + 60), save(MIDNIGHT + 3601)
    assert homes() == homes(months.ATTEMPTS) == {**dict.fromkeys((*early, between), "others"), late: "202404"}
    assert found_on(APRIL) == {*early, between, late}


@on_postgres
def test_a_month_whose_end_others_hold_has_none() -> None:
    save(MIDNIGHT - 0.0005)
    assert not months.make(MARCH)
    assert MARCH not in months.known()


@on_postgres
@pytest.mark.parametrize("table", [months.REQUESTS, months.ATTEMPTS])
def test_settled_rows_never_change_wherever_they_stand(table: str) -> None:
    months.make(APRIL)
    for id in (save(MIDNIGHT), save(MIDNIGHT - 1)):
        for name in (table, f"{table}_{homes()[id]}"):
            with (
                pytest.raises(IntegrityError, match="never change"),
                transaction.atomic(),
                connection.cursor() as cursor,
            ):
                cursor.execute(f"UPDATE {name} SET error = 'x' WHERE {months.KEYS[table]} = %s", [id])


@on_postgres
def test_it_notices_a_trigger_that_is_switched_off_for_one_month() -> None:
    months.make(APRIL)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_attemptrecord_202404 DISABLE TRIGGER ALL")
    assert missing(connection) == [months.ATTEMPTS]


@on_postgres
@pytest.mark.django_db(transaction=True)
def test_making_a_month_keeps_nobody_waiting() -> None:
    with somebody_else(f"SELECT pg_advisory_xact_lock({months.LOCK})"):
        assert not months.make(APRIL)
    with somebody_else(f"LOCK TABLE {months.ATTEMPTS} IN ROW EXCLUSIVE MODE"):
        assert not months.make(APRIL)
    assert months.make(APRIL)
    assert months.drop(APRIL, may=lambda cursor: True)
    assert APRIL not in months.known()


@on_postgres
def test_lists_and_books_open_the_months_that_they_ask_for_alone() -> None:
    for month in (date(2024, 1, 1), date(2024, 2, 1), MARCH, APRIL, MAY, date(2024, 6, 1), date(2024, 7, 1)):
        months.make(month)
    whole = Question(APRIL, date(2024, 4, 30), None, {"team": "red"})
    plans = [arm.order_by("-at", "-pk")[:51].explain() for arm in records.of(whole)]
    assert [opened(plan) for plan in plans] == [["202403", "202404", "202405"]] * 2
    (day,) = records.of(Question(date(2024, 4, 15), date(2024, 4, 15), None))
    assert opened(day.explain()) == ["202404"]
    # Whoever asks by time alone is served too: what has no month has to be looked at.
    since = RequestRecord.objects.filter(
        at__gte=datetime(2024, 6, 10, tzinfo=UTC), at__lt=datetime(2024, 6, 20, tzinfo=UTC)
    )
    assert opened(since.explain()) == ["202406", "others"]
    assert opened(RequestRecord.objects.filter(day=date(2024, 6, 10)).explain()) == ["202406", "others"]
    assert opened(RequestRecord.objects.filter(pk=uuid7(MIDNIGHT)).explain()) == ["202404"]
    assert opened(AttemptRecord.objects.filter(request__in=[uuid7(MIDNIGHT)]).explain()) == ["202404"]


def opened(plan: str) -> list[str]:
    return sorted(set(re.findall(r" on accounts_(?:request|attempt)record_(\w+) ", plan)))


@on_postgres
def test_a_month_of_which_nothing_stays_goes_as_one(tmp_path: Path) -> None:
    for month in (MARCH, APRIL, MAY):
        months.make(month)
    for at in (MIDNIGHT - 86_400, MIDNIGHT + 86_400, MIDNIGHT + 2 * 86_400, MIDNIGHT + 40 * 86_400):
        save(at)
    kept = save(MIDNIGHT - 3 * 86_400)
    adjust(RequestRecord.objects.get(pk=kept), author="fay", reason="refund", delta=-5)
    keep()
    keep(keep_days=30)
    assert not {APRIL, MAY} & set(months.known())
    assert homes() == homes(months.ATTEMPTS) == {kept: "202403"}
    assert [closed.pruned for closed in LedgerDay.objects.order_by("day")] == [0, 1, 1, 1, 1]
    assert LedgerDay.objects.filter(prune_done=True).count() == 5
    assert verify(tmp_path) == []


@on_postgres
def test_a_month_in_which_something_waits_for_a_price_stays(tmp_path: Path) -> None:
    months.make(APRIL)
    save(MIDNIGHT + 86_400)
    at = MIDNIGHT + 2 * 86_400
    tried = attempt(cost_status="unpriced", cost_nano=0, price_id=None, started_at=at)
    waits = entry(tried, at=at, id=uuid7(at))
    save_entries(raw(waits))
    keep()
    keep(keep_days=30)
    assert homes() == homes(months.ATTEMPTS) == {waits.id: "202404"}
    assert verify(tmp_path) == []


@on_postgres
def test_a_month_with_a_fault_stays(tmp_path: Path) -> None:
    months.make(APRIL)
    save(MIDNIGHT + 86_400)
    bad = save(MIDNIGHT + 2 * 86_400)
    keep()
    tamper("DELETE FROM accounts_attemptrecord WHERE request_id = %s", bad)
    keep(keep_days=30)
    assert homes() == {bad: "202404"}


@on_postgres
def test_it_notices_a_record_that_lists_by_time_would_miss(tmp_path: Path) -> None:
    bad = [save(MIDNIGHT), save(MIDNIGHT)]
    tamper("UPDATE accounts_requestrecord SET at = at + interval '25 hours' WHERE id = %s", bad[0])
    tamper("UPDATE accounts_attemptrecord SET request_id = 'other' WHERE request_id = %s", bad[1])
    tamper("UPDATE accounts_requestrecord SET id = 'other' WHERE id = %s", bad[1])
    assert set(verify(tmp_path)) == {f"request {id}: its id is of another day than it is" for id in (bad[0], "other")}
