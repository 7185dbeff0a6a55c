"""What batches hold of budgets: while they run, in every process, and not longer."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from accounts.budgets.purse import FORGOTTEN_SECONDS
from accounts.models import Budget, BudgetHold, BudgetLease, DailyTotal, Team
from accounts.store import holds
from accounts.store.keys import make_key
from accounts.store.ledger import adopt
from accounts.store.standing import standings
from tests.accounts.lending import CENT, Process
from tests.accounts.making import NOON

pytestmark = pytest.mark.django_db
Start = Callable[[], Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    team = Team.objects.create(name="red")
    Budget.objects.create(team=team, amount_nano=100 * CENT, window="month")
    with ExitStack() as stack:

        def begin() -> Process:
            made = Process(tmp_path / "journal")
            stack.callback(made.leave)
            return made

        yield begin


def make_batch(process: Process, amount: int, name: str = "b1") -> bool:
    made = process.call(amount)
    if made:
        process.settle(0, **{name: amount})
    return made


def last() -> None:
    """Let what is held last on: these calls are of 2025."""
    BudgetHold.objects.update(until=2**40)


def rest(process: Process) -> None:
    process.drain()
    last()
    process.leases.keep()
    process.now += FORGOTTEN_SECONDS + 1
    process.leases.keep()
    process.leases.keep()


def test_several_batches_go_no_further_than_the_budget(start: Start) -> None:
    one, other = start(), start()
    assert make_batch(one, 60 * CENT)
    assert not make_batch(one, 60 * CENT, "b2")  # not in the ledger yet
    assert not make_batch(other, 60 * CENT, "b2")
    for process in (one, other):
        rest(process)
    assert not BudgetLease.objects.exists()
    assert BudgetHold.objects.get().amount_nano == 60 * CENT
    assert not make_batch(other, 60 * CENT, "b2")
    assert make_batch(other, 40 * CENT, "b2")
    assert not one.call(CENT)


def test_what_a_batch_holds_goes_when_it_is_seen_to_be_over(start: Start) -> None:
    one, other = start(), start()
    assert make_batch(one, 60 * CENT)
    rest(one)
    other.see_over("b1", cost=10 * CENT)
    rest(other)
    assert not BudgetHold.objects.exists()
    assert sum(total.cost_nano for total in DailyTotal.objects.all()) == 10 * CENT
    assert not one.call(91 * CENT)
    assert one.call(90 * CENT)


def test_it_is_held_in_the_next_window_too_and_shown(start: Start) -> None:
    process = start()
    assert make_batch(process, 60 * CENT)
    rest(process)
    next_month = NOON + 30 * 86_400
    (standing,) = standings(Budget.objects.all(), next_month)
    assert (standing.spent_nano, standing.held_nano, standing.left_nano) == (0, 60 * CENT, 40 * CENT)
    assert not process.call(50 * CENT, at=next_month)


def test_it_counts_on_the_budgets_that_cover_it_alone(start: Start) -> None:
    process = start()
    assert make_batch(process, 60 * CENT)
    rest(process)
    other = Budget.objects.create(team=Team.objects.create(name="blue"), amount_nano=CENT, window="total")
    key = Budget.objects.create(key=make_key(other.team, "k")[0], amount_nano=CENT, window="total")
    route = Budget.objects.create(route="gpt-4o", amount_nano=100 * CENT, window="total")
    held = {each.budget.pk: each.held_nano for each in standings([other, key, route])}
    assert held == {other.pk: 0, key.pk: 0, route.pk: 60 * CENT}


def test_it_outlives_the_process_that_made_the_batch(start: Start, tmp_path: Path) -> None:
    one, other = start(), start()
    assert make_batch(one, 60 * CENT)
    one.leave()
    adopt(tmp_path / "journal", other.journal)
    last()
    BudgetLease.objects.all().delete()
    assert not other.call(50 * CENT)


def test_nothing_is_held_for_ever(start: Start) -> None:
    process = start()
    assert make_batch(process, 60 * CENT)
    rest(process)
    BudgetHold.objects.update(until=NOON + holds.LASTS)
    assert process.call(100 * CENT)
    process.settle(0)
    process.see_over("another", cost=0)
    rest(process)
    assert not BudgetHold.objects.exists()
