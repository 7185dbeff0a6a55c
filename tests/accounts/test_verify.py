from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import DailyTotal, LedgerQuarantine, RequestRecord, Team
from accounts.store import seal
from accounts.store.adjust import adjust
from accounts.store.ledger import save_entries
from accounts.store.verify import counts, verify
from tests.accounts.making import NOON, attempt, cached, entry, journal, opened, raw, settled
from tests.accounts.tampering import lift_triggers, tamper

pytestmark = pytest.mark.django_db
on_sqlite = pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL refuses it")


@pytest.fixture
def first(tmp_path: Path) -> str:
    """A ledger with some of everything; the id of its first request."""
    Team.objects.create(name="blue")
    rows = [
        settled(),
        settled(team="blue", at=NOON + 86_400),
        cached(),
        entry(status="failed"),
        entry(attempt(usage_source="estimated"), attempt(number=2), status="settled"),
    ]
    save_entries(raw(*rows))
    record = RequestRecord.objects.get(pk=rows[0].id)
    adjust(record, author="fin", reason="x", cost_nano=5)
    adjust(record, author="fin", reason="x", team="blue")
    assert verify(tmp_path) == []
    return rows[0].id


def only(problems: list[str], *words: str) -> None:
    assert problems
    assert all(any(word in problem for word in words) for problem in problems), problems


def test_it_finds_nothing_wrong_with_nothing(tmp_path: Path) -> None:
    assert verify(tmp_path / "none") == []


def test_corrections_in_turn_of_two_records_of_one_moment_are_sound(tmp_path: Path) -> None:
    rows = [settled(), settled()]
    save_entries(raw(*rows))
    for centre in ("c0", "c1"):
        for row in rows:
            record = RequestRecord.objects.get(pk=row.id)
            adjust(record, author="fay", reason="x", cost_centre=centre)
    assert verify(tmp_path) == []


def test_it_names_a_row_whose_amount_was_edited(first: str, tmp_path: Path) -> None:
    tamper("UPDATE accounts_requestrecord SET cost_nano = cost_nano + 1 WHERE id = %s", first)
    problems = verify(tmp_path)
    only(
        problems, f"request {first}: its cost is not", "cost_nano is 13500000, its rows make 13500001", "adjusted_nano"
    )
    assert len(problems) == 4  # the adjusted totals of both teams too


def test_it_notices_that_a_row_changed_hands(first: str, tmp_path: Path) -> None:
    tamper("UPDATE accounts_requestrecord SET team = 'blue' WHERE id = %s", first)
    only(verify(tmp_path), "daily total day 2025-11-20, team red", "daily total day 2025-11-20, team blue")


def test_it_notices_that_a_request_was_deleted(first: str, tmp_path: Path) -> None:
    tamper("DELETE FROM accounts_adjustment")
    DailyTotal.objects.update(adjusted_nano=0)
    tamper("DELETE FROM accounts_attemptrecord WHERE request_id = %s", first)
    tamper("DELETE FROM accounts_requestrecord WHERE id = %s", first)
    problems = verify(tmp_path)
    only(problems, "daily total day 2025-11-20, team red")
    assert any("requests is 3, its rows make 2" in problem for problem in problems)


def test_it_notices_that_an_attempt_was_deleted(first: str, tmp_path: Path) -> None:
    tamper("DELETE FROM accounts_attemptrecord WHERE number = 1 AND request_id <> %s", first)
    only(verify(tmp_path), "an attempt is missing", "its cost is not the sum", "settled without an attempt")


@on_sqlite
def test_it_notices_an_attempt_without_request(first: str, tmp_path: Path) -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA defer_foreign_keys = ON")
    tamper("UPDATE accounts_attemptrecord SET request_id = 'lost' WHERE request_id = %s", first)
    problems = verify(tmp_path)
    only(problems, "attempt of request lost: there is no such request", first)
    assert len(problems) == 3
    tamper("UPDATE accounts_attemptrecord SET request_id = %s WHERE request_id = 'lost'", first)


def test_it_notices_a_total_that_is_off_by_one_nano(first: str, tmp_path: Path) -> None:
    DailyTotal.objects.filter(team="blue", day="2025-11-21").update(estimated_nano=1)
    (problem,) = verify(tmp_path)
    assert "team blue" in problem
    assert problem.endswith("estimated_nano is 1, its rows make 0")


def test_it_notices_a_total_that_is_gone(first: str, tmp_path: Path) -> None:
    DailyTotal.objects.filter(day="2025-11-21").delete()
    only(verify(tmp_path), "daily total day 2025-11-21")


def test_it_notices_adjustments_that_the_totals_do_not_show(first: str, tmp_path: Path) -> None:
    DailyTotal.objects.filter(adjusted_nano__gt=0).update(adjusted_nano=4)
    (problem,) = verify(tmp_path)
    assert problem.endswith("adjusted_nano is 4, its adjustments make 5")
    tamper("DELETE FROM accounts_adjustment")
    assert len(verify(tmp_path)) == 2


def test_it_notices_an_attempt_whose_amounts_are_not_its_cost(tmp_path: Path) -> None:
    row = entry(attempt(amounts={"input": 2_500_000, "output": 2_000_000}), attempt(number=2))
    save_entries(raw(row))
    assert verify(tmp_path) == []
    tamper("UPDATE accounts_attemptrecord SET amounts = %s WHERE number = 1", '{"input": 2500000, "output": 1999999}')
    assert verify(tmp_path) == [f"request {row.id}: an attempt's amounts are not its cost"]


@pytest.mark.parametrize(
    "amounts", ['{"input": "four"}', '{"input": 4500000.5}', '{"input": [4500000]}', "[4500000, 1]", "4500001", '"x"']
)
def test_it_names_an_attempt_whose_amounts_are_nonsense(first: str, tmp_path: Path, amounts: str) -> None:
    tamper("UPDATE accounts_attemptrecord SET amounts = %s WHERE request_id = %s", amounts, first)
    assert f"request {first}: an attempt's amounts are not its cost" in verify(tmp_path)


NONSENSE = [("tags", "[1]"), ("tags", "null"), ("tags", '"x"')]
ODD = [("day", "x"), ("input", "x"), ("cost_nano", "x"), ("cost_nano", 4_500_000.5)]


@pytest.mark.parametrize("column_value", [*NONSENSE, *(pytest.param(each, marks=on_sqlite) for each in ODD)])
@pytest.mark.parametrize("sealed", [False, True])
def test_it_names_a_record_that_holds_nonsense(
    first: str, tmp_path: Path, column_value: tuple[str, Any], sealed: bool
) -> None:
    column, value = column_value
    for day in seal.open_days(timezone.now()) if sealed else ():
        list(seal.seal(day))
    tamper(f"UPDATE accounts_requestrecord SET {column} = %s WHERE id = %s", value, first)
    problems = verify(tmp_path)
    assert any(problem.startswith(f"request {first}:") for problem in problems), problems
    assert any("after day 2025-11-20 was sealed" in each or "is gone" in each for each in problems) == sealed


@on_sqlite
def test_an_amount_beyond_all_measure_does_not_end_the_checks(first: str, tmp_path: Path) -> None:
    tamper("UPDATE accounts_requestrecord SET cost_nano = %s WHERE id = %s", 2**63 - 1, first)
    problems = verify(tmp_path)
    assert any(problem.startswith(f"request {first}:") for problem in problems), problems


@on_sqlite
def test_it_names_an_attempt_whose_amounts_are_no_json(first: str, tmp_path: Path) -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA ignore_check_constraints = ON")
    tamper("UPDATE accounts_attemptrecord SET amounts = %s WHERE request_id = %s", "{", first)
    assert f"request {first}: an attempt's amounts are not its cost" in verify(tmp_path)


@on_sqlite
def test_it_notices_amounts_that_are_no_integers(first: str, tmp_path: Path) -> None:
    tamper("UPDATE accounts_attemptrecord SET cost_nano = cost_nano + 0.25 WHERE request_id = %s", first)
    tamper("UPDATE accounts_requestrecord SET cost_nano = cost_nano + 0.25 WHERE id = %s", first)
    only(verify(tmp_path), "cost_nano is not an integer", "daily total")


def test_it_notices_duplicates_where_the_constraint_is_gone(first: str, tmp_path: Path) -> None:
    lift_triggers()
    with connection.cursor() as cursor:
        for table in ("accounts_attemptrecord", "accounts_requestrecord"):
            cursor.execute(f"ALTER TABLE {table} RENAME TO {table}_whole")
            cursor.execute(f"CREATE TABLE {table} AS SELECT * FROM {table}_whole")
            cursor.execute(f"INSERT INTO {table} SELECT * FROM {table}_whole")
    problems = verify(tmp_path)
    assert f"request {first}: is there more than once" in problems
    assert f"request {first}: an attempt is there more than once" in problems


def test_it_notices_a_cached_answer_that_was_charged(first: str, tmp_path: Path) -> None:
    tamper("UPDATE accounts_requestrecord SET status = 'cached' WHERE id = %s", first)
    only(verify(tmp_path), f"request {first}: came from the cache", "daily total")
    tamper("UPDATE accounts_requestrecord SET status = 'open' WHERE id = %s", first)
    only(verify(tmp_path), f"request {first}: its status", "daily total")


def test_it_notices_that_the_triggers_are_gone(first: str, tmp_path: Path) -> None:
    lift_triggers()
    only(verify(tmp_path), "the trigger")


def test_it_speaks_of_rows_in_quarantine(first: str, tmp_path: Path) -> None:
    for number in range(25):
        LedgerQuarantine.objects.create(raw="{}", error="why", request_id=str(number))
    problems = verify(tmp_path)
    only(problems, "could not be stored: why", "5 more")
    assert len(problems) == 21


def test_it_counts_what_journals_still_hold(first: str, tmp_path: Path) -> None:
    with journal(tmp_path) as kept:
        kept.open(opened())
        kept.settle(settled())
        kept.settle(settled())
        save_entries([row for _, row in kept.ready(1)])
        assert verify(tmp_path) == []
        found = counts(tmp_path)
    assert (found["requests"], found["undrained"], found["open"], found["adjustments"]) == (6, 1, 1, 2)


def test_it_speaks_of_journals_that_are_damaged(first: str, tmp_path: Path) -> None:
    with journal(tmp_path) as kept:
        kept.settle(settled())
        (path,) = tmp_path.glob("*.journal")
        path.write_bytes(path.read_bytes().replace(b'"red"', b'"rad"', 1))
    only(verify(tmp_path), "1 lines cannot be read")
