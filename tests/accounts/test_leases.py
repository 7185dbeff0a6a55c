"""Slices of budgets across processes: taken, drained, given back, reaped, and adding up to the budget all the while."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone

from accounts.budgets.purse import FORGOTTEN_SECONDS, Shortage
from accounts.models import Budget, BudgetLease, DailyTotal, RequestRecord, Team
from accounts.store import budgets, spend
from accounts.store.adjust import adjust
from accounts.store.keys import make_key
from accounts.store.leases import LEASE_SECONDS, reap
from accounts.store.ledger import adopt
from tests.accounts.lending import CENT, Process, Waiter
from tests.accounts.making import NOON
from tests.accounts.test_together import together

Start = Callable[[], Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def begin() -> Process:
            made = Process(tmp_path / "journal")
            stack.callback(made.leave)
            return made

        yield begin


def team_budget(cents: int = 100, **fields: Any) -> Budget:
    team, _ = Team.objects.get_or_create(name="red")
    values = {"team": team, "amount_nano": cents * CENT, "window": "month"}
    return Budget.objects.create(**{**values, **fields})


def exposed() -> int:
    return sum(max(0, lease.granted_nano - lease.drained_nano) for lease in BudgetLease.objects.all())


def ledger() -> int:
    return sum(total.cost_nano + total.adjusted_nano for total in DailyTotal.objects.all())


@pytest.mark.django_db
def test_processes_together_spend_no_more_than_the_budget_and_all_of_it(start: Start) -> None:
    team_budget(100)
    processes = [start() for _ in range(4)]
    made = [each.call(30 * CENT, 30 * CENT) for _ in range(10) for each in processes]
    assert sum(made) == 3
    for each in processes:
        each.drain()
    assert ledger() == 90 * CENT
    assert not any(each.call(30 * CENT) for each in processes)
    assert processes[0].call(10 * CENT, 10 * CENT)


@pytest.mark.django_db
def test_money_that_is_drained_counts_once(start: Start) -> None:
    team_budget(100)
    one, other = start(), start()
    assert one.call(30 * CENT, 20 * CENT)
    one.leases.keep()
    for _ in range(2):
        assert ledger() + exposed() <= 30 * CENT
        one.drain()
    assert ledger() == 20 * CENT
    assert other.call(70 * CENT, 70 * CENT)


@pytest.mark.django_db
def test_what_was_reserved_too_much_is_free_for_others_as_soon_as_it_is_given_back(start: Start) -> None:
    team_budget(100)
    one, other = start(), start()
    assert one.call(90 * CENT, 10 * CENT)
    assert not other.call(50 * CENT)
    one.leases.keep()  # the loop gives back
    one.leases.keep()  # and the database hears of it
    assert other.call(50 * CENT)


@pytest.mark.django_db
def test_an_answer_dearer_than_reserved_is_owed(start: Start) -> None:
    team_budget(100)
    one, other = start(), start()
    assert one.call(10 * CENT, 95 * CENT)
    one.leases.keep()
    one.leases.keep()
    assert exposed() == 95 * CENT
    assert not other.call(10 * CENT)
    one.drain()
    assert not other.call(10 * CENT)
    assert other.call(5 * CENT)


@pytest.mark.django_db
def test_far_from_the_limit_a_process_takes_a_slice(start: Start) -> None:
    team_budget(100_000)
    one = start()
    assert one.call(CENT, CENT)
    lease = BudgetLease.objects.get()
    assert lease.granted_nano == (100_000 - 1) * CENT // 32 + CENT
    assert lease.holder == one.journal.name


@pytest.mark.django_db
def test_at_rest_nothing_is_reserved_and_no_lease_is_left(start: Start) -> None:
    team_budget(100_000)
    one = start()
    for _ in range(3):
        assert one.call(CENT, CENT)
    one.now += FORGOTTEN_SECONDS + 1
    one.drain()
    for _ in range(3):
        one.leases.keep()
    assert not BudgetLease.objects.exists()
    assert (one.purse.accounts, one.purse.past, one.leases._held) == ({}, [], {})


@pytest.mark.django_db
def test_a_process_that_leaves_in_good_order_gives_everything_back(start: Start) -> None:
    team_budget(100)
    one = start()
    assert one.call(30 * CENT, 30 * CENT)
    one.leases.leave()
    assert BudgetLease.objects.exists()  # the ledger does not have it yet
    one.drain()
    one.leases.leave()
    assert not BudgetLease.objects.exists()


@pytest.mark.django_db
def test_what_a_dead_process_spent_or_had_open_is_counted_once_and_the_rest_is_free(
    start: Start, tmp_path: Path
) -> None:
    team_budget(100)
    dead = start()
    assert dead.call(30 * CENT, 20 * CENT)
    assert dead.call(30 * CENT)  # under way when it dies
    dead.leases.keep()
    dead.leases.keep()
    other = start()
    assert not other.call(60 * CENT)
    name, folder = dead.journal.name, tmp_path / "journal"
    dead.leave()
    BudgetLease.objects.update(seen_at=timezone.now() - timedelta(seconds=60))
    assert reap(folder) == 0  # its journal is still there
    adopt(folder, other.journal)
    assert RequestRecord.objects.filter(status="interrupted").count() == 1
    assert ledger() == 20 * CENT  # no price was known for the one that was under way
    assert not other.call(60 * CENT)  # its lease still stands
    assert reap(folder) == 1
    assert not BudgetLease.objects.filter(holder=name).exists()
    assert other.call(60 * CENT)


@pytest.mark.django_db
def test_a_process_of_another_machine_is_given_up_after_a_long_silence(start: Start, tmp_path: Path) -> None:
    budget = team_budget(100)
    far = {"budget": budget, "first": datetime(2025, 11, 1, tzinfo=UTC).date(), "granted_nano": 5}
    for name, silent in (("elsewhere-1-a", LEASE_SECONDS - 30), ("elsewhere-2-b", LEASE_SECONDS + 30)):
        seen = timezone.now() - timedelta(seconds=silent)
        BudgetLease.objects.create(id=name, holder=name, seen_at=seen, **far)
    assert reap(tmp_path) == 1
    assert BudgetLease.objects.get().pk == "elsewhere-1-a"


@pytest.mark.django_db
def test_a_change_of_the_budget_is_in_force_with_the_next_question(start: Start) -> None:
    budget = team_budget(100)
    one = start()
    assert one.call(30 * CENT, 30 * CENT)
    budget.amount_nano = 40 * CENT
    budget.save()
    one.purse.table = budgets.load_table()
    assert not one.call(30 * CENT)
    budget.active = False
    budget.save()
    one.purse.table = budgets.load_table()
    assert one.purse.table is None
    budget.delete()
    one.leases.keep()  # nothing is owed to a budget that is gone
    one.leases.keep()


@pytest.mark.django_db
def test_a_budget_lifted_before_the_process_heard_of_it_lets_the_call_through(start: Start) -> None:
    budget = team_budget(100)
    one = start()
    budget.delete()
    assert one.call(3000 * CENT)


@pytest.mark.django_db
def test_adjustments_count(start: Start) -> None:
    team_budget(100)
    one = start()
    assert one.call(90 * CENT, 90 * CENT)
    one.drain()
    adjust(RequestRecord.objects.get(), author="fin", reason="refund", cost_nano=0)
    assert one.call(90 * CENT)


@pytest.mark.django_db
def test_each_window_has_its_own_money_and_a_call_counts_in_that_of_its_admission(start: Start) -> None:
    team_budget(100, window="day")
    one = start()
    tomorrow = NOON + 86_400
    assert one.call(80 * CENT, at=NOON)
    assert not one.call(30 * CENT, at=NOON)
    assert one.call(80 * CENT, 80 * CENT, at=tomorrow)
    one.settle(70 * CENT)
    one.drain()
    days = {total.day: total.cost_nano for total in DailyTotal.objects.all()}
    assert sorted(days.values()) == [70 * CENT, 80 * CENT]
    for _ in range(2):
        one.leases.keep()
    assert not one.call(40 * CENT, at=NOON)
    assert one.call(30 * CENT, at=NOON)


@pytest.mark.django_db
def test_a_call_counts_on_team_key_and_route_and_the_tightest_refuses(start: Start) -> None:
    team_budget(1000)
    team = Team.objects.get()
    Budget.objects.create(team=team, route="gpt-4o", amount_nano=50 * CENT, window="day")
    Budget.objects.create(route="other", amount_nano=0, window="day")
    one = start()
    assert len(one.limits) == 2
    assert one.call(50 * CENT, 50 * CENT)
    short = one.reserve(CENT)
    assert isinstance(short, Shortage)
    assert [account.limit.scope for account in short.accounts] == ["team+route"]


@pytest.mark.django_db
def test_spending_is_read_from_the_daily_totals_of_what_the_budget_covers(start: Start) -> None:
    budget = team_budget(1000)
    one = start()
    assert one.call(CENT, 7 * CENT)
    one.drain()
    limit = budgets.plain(budget)
    DailyTotal.objects.create(day="2025-11-02", team="blue", cost_nano=5)
    DailyTotal.objects.create(day="2025-10-31", team="red", cost_nano=5)
    DailyTotal.objects.create(day="2025-11-30", team="red", cost_nano=5, adjusted_nano=-2)
    with connection.cursor() as cursor:
        assert spend.spent(cursor, limit, limit.window_at(NOON)) == 7 * CENT + 3


@pytest.mark.django_db
def test_many_budgets_are_read_together_and_say_what_each_says_alone() -> None:
    rows = []
    for number in range(9):
        team = Team.objects.create(name=f"t{number}")
        key, _ = make_key(team, "bot", monthly_budget_nano=1)
        rows += [Budget.objects.create(team=team, amount_nano=1, window=window) for window in ("month", "total")]
        rows += [Budget.objects.create(team=team, route="r", amount_nano=1, window="week"), key.budgets.get()]
        for day in ("2025-11-19", "2025-11-10", "2025-10-01"):
            DailyTotal.objects.create(day=day, team=team.name, key_id=key.id8, route="r", cost_nano=number + 1)
    limits = [(limit, limit.window_at(NOON)) for limit in map(budgets.plain, rows)]
    with connection.cursor() as cursor:
        together_read = spend.spent_of(cursor, limits)
        assert together_read == [spend.spent(cursor, *each) for each in limits]
    assert together_read[:4] == [2, 3, 1, 2]


@pytest.mark.django_db
def test_a_database_that_fails_is_told_to_who_waits(start: Start) -> None:
    team_budget(100)
    one = start()
    found = one.purse.reserve(one.limits, CENT, NOON)
    assert isinstance(found, Shortage)
    waiter = Waiter()
    one.purse.ask(found.accounts[0], CENT, waiter)
    with connection.execute_wrapper(_away), pytest.raises(DatabaseError):
        one.leases.answer()
    assert waiter.grant is not None
    assert waiter.grant.away
    assert one.call(CENT)


def _away(*_: Any) -> Any:
    raise DatabaseError("away")


@pytest.mark.django_db
def test_a_key_s_monthly_budget_is_a_budget_like_any_other(start: Start) -> None:
    team = Team.objects.create(name="red")
    key, _ = make_key(team, "bot", monthly_budget_nano=5 * CENT, by="olga")
    budget = Budget.objects.get()
    assert (budget.key, budget.window, budget.hard, budget.created_by) == (key, "month", True, "olga")
    assert key.monthly_budget_nano == 5 * CENT
    budgets.set_monthly(key, 7 * CENT, by="otto")
    budget.refresh_from_db()
    assert (budget.amount_nano, budget.updated_by) == (7 * CENT, "otto")
    table = budgets.load_table()
    assert table is not None
    assert [limit.key_id for limit in table.limits] == [key.id8]
    budgets.set_monthly(key, None, by="otto")
    assert not Budget.objects.exists()
    assert key.monthly_budget_nano is None


@pytest.mark.postgres
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="needs PostgreSQL")
@pytest.mark.django_db(transaction=True)
def test_processes_that_ask_at_the_same_moment_share_and_do_not_overspend(start: Start) -> None:
    team_budget(1000)
    processes = [start() for _ in range(6)]
    made: list[int] = []

    def work(process: Process) -> Callable[[], None]:
        def spend_some() -> None:
            for number in range(120):
                if process.call(7 * CENT, 7 * CENT):
                    made.append(1)
                if number % 5 == 0:
                    process.drain()
                    process.leases.keep()
            process.drain()

        return spend_some

    assert together(*(work(each) for each in processes)) == []
    assert ledger() == 7 * CENT * len(made) <= 1000 * CENT
    for each in processes:
        each.now += FORGOTTEN_SECONDS
        each.leases.keep()
        each.leases.keep()
    rest = 0
    while any(each.call(7 * CENT, 7 * CENT) for each in processes):
        rest += 1
    assert 1000 - 7 * len(made) - 7 * rest < 7
