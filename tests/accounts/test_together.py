"""Several processes at one database: PostgreSQL only, since SQLite lets one write at a time."""

import threading
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection

from accounts.models import Adjustment, ApiKey, DailyTotal, LedgerQuarantine, Membership, RequestRecord, Team
from accounts.store import requests
from accounts.store.adjust import AdjustmentRefused, adjust, standing
from accounts.store.ledger import batches, save_entries
from accounts.store.recount import adjusted, totals
from tests.accounts.making import raw, settled

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="needs PostgreSQL"),
    pytest.mark.django_db(transaction=True),
]


def together(*tasks: Callable[[], object]) -> list[Exception]:
    """Run the tasks at once, each with its own connection; return what they raised."""
    raised: list[Exception] = []
    start = threading.Barrier(len(tasks))

    def run(task: Callable[[], object]) -> None:
        start.wait()
        try:
            task()
        except Exception as error:
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_it_adds_up_what_many_write_at_once() -> None:
    rows = [raw(*(settled(team=f"t{number % 7}") for number in range(400))) for _ in range(4)]

    def writer(mine: list[bytes]) -> Callable[[], None]:
        return lambda: [save_entries(batch) for batch in batches(mine, 50)] and None

    assert together(*(writer(mine) for mine in rows)) == []
    assert RequestRecord.objects.count() == 1600
    assert sum(DailyTotal.objects.values_list("requests", flat=True)) == 1600
    assert list(totals()) == []


def test_it_stores_a_row_once_when_two_bring_it_at_once() -> None:
    rows = raw(*(settled() for _ in range(100)))
    assert together(*[lambda: save_entries(rows)] * 3) == []
    assert RequestRecord.objects.count() == DailyTotal.objects.get().requests == 100
    assert LedgerQuarantine.objects.count() == 0


def test_of_many_who_bill_the_same_at_once_one_is_kept() -> None:
    mine = [raw(*(settled(once=f"batch {number}") for number in range(20))) for _ in range(4)]
    assert together(*[lambda rows=rows: save_entries(rows) for rows in mine]) == []
    assert RequestRecord.objects.count() == DailyTotal.objects.get().requests == 20


def test_it_books_each_of_two_adjustments_on_top_of_the_other() -> None:
    save_entries(raw(settled()))
    record = RequestRecord.objects.get()
    assert together(*[lambda: adjust(record, author="fin", reason="x", delta=-1000)] * 4) == []
    assert Adjustment.objects.count() == 4
    assert standing(record).cost_nano == 4_496_000
    assert list(adjusted()) == []


def test_a_reference_is_booked_on_one_of_two_records_at_once() -> None:
    save_entries(raw(settled(), settled()))
    one, two = RequestRecord.objects.all()
    tasks = [
        lambda each=each: adjust(each, author="fin", reason="x", delta=-1, external_ref="CN-1") for each in (one, two)
    ]
    refused = together(*tasks)
    assert [type(error) for error in refused] == [AdjustmentRefused]
    assert Adjustment.objects.count() == 1
    assert list(adjusted()) == []


def test_it_reveals_a_key_to_one_of_two_clicks() -> None:
    ann, ops = User.objects.create_user("ann"), User.objects.create_user("ops")
    Membership.objects.create(team=Team.objects.create(name="red"), user=ann)
    request = requests.submit(Team.objects.get(), ann, name="bot")
    requests.approve(request, ops, models=[], monthly_budget_nano=None, expires_at=None)
    refused = together(*[lambda: requests.reveal(request, ann)] * 4)
    assert len(refused) == 3
    assert all(isinstance(error, requests.Refused) for error in refused)
    assert ApiKey.objects.count() == 1


def test_a_page_after_a_restart_of_the_database_gets_a_connection_that_lives() -> None:
    def back_end() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return int(cursor.fetchone()[0])

    before: list[int] = []
    after: list[int] = []
    assert together(lambda: before.append(back_end())) == []  # its connection goes back into the pool
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", before)
    assert together(lambda: after.append(back_end())) == []
    assert after != before
