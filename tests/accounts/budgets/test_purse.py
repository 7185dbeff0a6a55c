"""Reserve, settle, void, expire: in memory, with the database played by the test."""

from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from accounts.budgets.limits import Limit
from accounts.budgets.purse import (
    EXPIRES_SECONDS,
    FORGOTTEN_SECONDS,
    IDLE_SECONDS,
    Account,
    Purse,
    Reservation,
    Shortage,
    Slice,
    fitting,
    share,
    slice_of,
)

TEAM, KEY = Limit(1, 1000, "day", team="red"), Limit(2, 500, "day", key_id="k1")
NOON = 43_200.0


def purse() -> Purse:
    numbers = count(1)
    return Purse(lambda: f"lease-{next(numbers)}", elapsed=lambda: NOON)


def granted(purse: Purse, amount: int, limit: Limit = TEAM, **fields: int) -> Account:
    short = purse.reserve([limit], amount, NOON)
    assert isinstance(short, Shortage)
    purse.take([Slice(short.accounts[0], amount, **fields)], NOON)
    return short.accounts[0]


def reserved(found: Reservation | Shortage) -> Reservation:
    assert isinstance(found, Reservation), found
    return found


def test_nothing_is_reserved_without_a_lease() -> None:
    short = purse().reserve([TEAM], 1, NOON)
    assert isinstance(short, Shortage)
    assert short.accounts[0].open == 0


def test_the_real_cost_takes_the_place_of_the_estimate() -> None:
    held = purse()
    account = granted(held, 300)
    reservation = reserved(held.reserve([TEAM], 300, NOON))
    assert isinstance(held.reserve([TEAM], 1, NOON), Shortage)
    held.settle(reservation, 100)
    held.settle(reservation, 100)
    assert (account.settled, account.reserved, account.free, account.open, held.open) == (100, 0, 200, 0, {})


def test_all_budgets_or_none() -> None:
    held = purse()
    team = granted(held, 1000)
    key = granted(held, 100, KEY)
    short = held.reserve([TEAM, KEY], 200, NOON)
    assert isinstance(short, Shortage)
    assert short.accounts == (key,)
    assert (team.reserved, key.reserved) == (0, 0)
    reservation = reserved(held.reserve([TEAM, KEY], 100, NOON))
    held.void(reservation)
    assert (team.free, key.free) == (1000, 100)
    assert reservation.leases == [team.lease, key.lease]


def test_what_nobody_settles_is_free_again_in_the_end() -> None:
    held = purse()
    account = granted(held, 300)
    reserved(held.reserve([TEAM], 300, NOON))
    assert held.expire(NOON + EXPIRES_SECONDS) == 0
    assert held.expire(NOON + EXPIRES_SECONDS + 1) == 1
    assert (account.free, held.open) == (300, {})


def test_a_wall_clock_that_is_set_neither_gives_up_calls_nor_keeps_an_old_answer() -> None:
    held, years = purse(), 10 * 365 * 86_400
    held.elapsed = lambda: 1.0
    always = Limit(1, 1000, "total", team="red")
    account = granted(held, 300, always)
    for at in (NOON + years, NOON - years):
        reserved(held.reserve([always], 100, at))
    assert (account.open, held.expire(2.0), account.reserved) == (2, 0, 200)
    held.give_back(1.0 + FORGOTTEN_SECONDS + 1)
    assert account.granted == 200


def test_what_is_settled_after_it_was_given_up_counts_all_the_same() -> None:
    held = purse()
    account = granted(held, 300)
    reservation = reserved(held.reserve([TEAM], 300, NOON))
    held.expire(NOON + EXPIRES_SECONDS + 1)
    held.settle(reservation, 200)
    held.settle(reservation, 200)
    assert (account.settled, account.reserved, account.open) == (200, 0, 0)


def test_a_call_that_goes_on_holds_more_as_long_as_there_is_more() -> None:
    held = purse()
    account = granted(held, 300)
    reservation = reserved(held.reserve([TEAM], 100, NOON))
    assert held.grow(reservation, 80) is None
    assert held.grow(reservation, 300) is None
    assert (account.reserved, held.asks) == (300, type(held.asks)())
    assert held.grow(reservation, 301) is account
    assert [ask.amount_nano for ask in held.asks] == [1]
    held.settle(reservation, 250)
    assert (account.reserved, account.settled) == (0, 250)


def test_a_lowered_limit_leaves_no_room_for_new_calls_and_a_raised_one_is_asked_for_anew() -> None:
    held = purse()
    account = granted(held, 300)
    reservation = reserved(held.reserve([TEAM], 100, NOON))
    lower = Limit(1, 50, "day", team="red")
    assert isinstance(held.reserve([lower], 1, NOON), Shortage)
    held.take([Slice(account, left=0)], NOON)
    assert account.lacks(1, NOON)
    assert isinstance(held.reserve([Limit(1, 900, "day", team="red")], 1, NOON), Shortage)
    assert not account.lacks(1, NOON)
    held.settle(reservation, 100)
    assert (account.granted, account.settled) == (100, 100)


def test_the_next_window_begins_with_nothing_and_the_last_one_keeps_what_is_under_way() -> None:
    held = purse()
    account = granted(held, 300)
    reservation = reserved(held.reserve([TEAM], 100, NOON))
    tomorrow = NOON + 86_400
    short = held.reserve([TEAM], 1, tomorrow)
    assert isinstance(short, Shortage)
    assert short.accounts[0] is not account
    assert held.past == [account]
    held.settle(reservation, 70)
    assert (account.settled, short.accounts[0].settled) == (70, 0)


def test_it_asks_for_more_before_it_runs_dry() -> None:
    held = purse()
    account = granted(held, 100, keeps=100)
    reserved(held.reserve([TEAM], 40, NOON))
    assert not held.asks
    reserved(held.reserve([TEAM], 20, NOON))
    reserved(held.reserve([TEAM], 20, NOON))
    assert [(ask.account, ask.waiter) for ask in held.asks] == [(account, None)]


def test_it_gives_back_what_it_does_not_use_and_what_was_overdrawn_is_owed() -> None:
    held = purse()
    account = granted(held, 300, keeps=50)
    reservation = reserved(held.reserve([TEAM], 100, NOON))
    held.give_back(NOON + 1)
    assert account.granted == 150
    held.give_back(NOON + IDLE_SECONDS + 1)
    assert account.granted == 100
    held.settle(reservation, 170)
    held.give_back(NOON + 3)
    assert account.granted == 170
    held.give_back(NOON + FORGOTTEN_SECONDS + 1)
    assert (held.accounts, held.past) == ({}, [account])


def test_no_answer_is_not_taken_for_nothing_left() -> None:
    held = purse()
    account = granted(held, 10)
    held.take([Slice(account, away=True)], NOON)
    assert not account.lacks(10**12, NOON)


@pytest.mark.parametrize(("left", "wanted", "expected"), [(3200, 10, 100), (3200, 30, 0), (0, 1, 0), (-5, 1, 0)])
def test_slices_are_a_part_of_what_is_left_and_nothing_near_the_limit(left: int, wanted: int, expected: int) -> None:
    assert slice_of(left, wanted) == expected


def test_what_does_not_fit_takes_nothing_from_what_does() -> None:
    assert fitting([30, 80, 40, 30], 100) == 100
    assert fitting([200], 100) == fitting([], 100) == fitting([1], -5) == 0


class Spending(RuleBasedStateMachine):
    """Two processes on one budget, the rules of the database written down again as plainly as can be."""

    @initialize(amount=st.integers(0, 200))
    def begin(self, amount: int) -> None:
        self.amount, self.ledger = amount, 0
        self.purses = [purse(), purse()]
        self.leased: dict[Account, int] = {}
        self.drained: dict[Account, int] = {}
        self.waiting: list[tuple[Account, int]] = []  # settled, not in the ledger
        self.open: list[tuple[int, Reservation]] = []
        self.most = amount
        self.overrun = 0

    def limit(self) -> Limit:
        return Limit(1, self.amount, "total", team="red")

    def out(self, account: Account) -> int:
        return max(0, self.leased.get(account, 0) - self.drained.get(account, 0))

    @rule(who=st.integers(0, 1), wanted=st.integers(1, 80), more=st.sampled_from([0, 0, 0, 40]))
    def ask(self, who: int, wanted: int, more: int) -> None:
        found = self.purses[who].reserve([self.limit()], wanted, NOON)
        if isinstance(found, Shortage):
            account = found.accounts[0]
            base = account.granted
            others = sum(self.out(each) for each in self.leased if each is not account)
            own = max(0, base - self.drained.get(account, 0))
            left = self.amount - self.ledger - others - own
            added, _ = share(left, base - account.held, [wanted + more])
            self.leased[account] = base + added
            self.purses[who].take([Slice(account, added, left - added, more)], NOON)
            found = self.purses[who].reserve([self.limit()], wanted, NOON)
        if isinstance(found, Reservation):
            self.open.append((who, found))
            assert self.spent_and_held() <= self.amount + self.overrun  # INV-5

    def spent_and_held(self) -> int:
        held = sum(reservation.amount_nano for _, reservation in self.open)
        return held + self.ledger + sum(cost for _, cost in self.waiting)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), cost=st.integers(0, 100))
    def settle(self, data: st.DataObject, cost: int) -> None:
        who, reservation = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        self.overrun += max(0, cost - reservation.amount_nano)
        self.purses[who].settle(reservation, cost)
        self.waiting.append((reservation.accounts[0], cost))

    @precondition(lambda self: self.open)
    @rule()
    def void(self) -> None:
        who, reservation = self.open.pop()
        self.purses[who].void(reservation)

    @rule(who=st.integers(0, 1))
    def expire(self, who: int) -> None:
        self.purses[who].expire(NOON + EXPIRES_SECONDS + 1)
        self.open = [each for each in self.open if each[0] != who]

    @rule(by=st.integers(-60, 60))
    def adjust(self, by: int) -> None:
        change = max(by, -self.ledger)
        self.ledger += change
        self.overrun += max(0, change)

    @precondition(lambda self: self.waiting)
    @rule()
    def drain(self) -> None:
        account, cost = self.waiting.pop(0)
        self.ledger += cost
        self.drained[account] = self.drained.get(account, 0) + cost

    @rule(who=st.integers(0, 1), late=st.booleans())
    def give_back(self, who: int, late: bool) -> None:
        self.purses[who].give_back(NOON + (IDLE_SECONDS + 1 if late else 0))
        for account in self.purses[who].accounts.values():
            self.leased[account] = account.granted

    @rule(amount=st.integers(0, 200))
    def change(self, amount: int) -> None:
        self.amount = amount
        self.most = max(self.most, amount)

    @rule(who=st.integers(0, 1))
    def crash(self, who: int) -> None:
        """The process is gone. Its journal is adopted: what was open counts with its estimate."""
        died = set(self.purses[who].accounts.values()) | set(self.purses[who].past)
        for owner, reservation in self.open:
            if owner == who:
                self.waiting.append((reservation.accounts[0], reservation.amount_nano))
        self.open = [each for each in self.open if each[0] != who]
        for account, cost in self.waiting:
            if account in died:
                self.ledger += cost
        self.waiting = [each for each in self.waiting if each[0] not in died]
        self.leased = {account: amount for account, amount in self.leased.items() if account not in died}
        self.purses[who] = purse()

    @invariant()
    def never_more_than_the_budget(self) -> None:
        if not hasattr(self, "amount"):
            return
        assert self.spent_and_held() <= self.most + self.overrun

    @invariant()
    def counters_are_those_of_what_is_open(self) -> None:
        if not hasattr(self, "amount"):
            return
        for who, each in enumerate(self.purses):
            accounts = [*each.accounts.values(), *each.past]
            open_here = [reservation for owner, reservation in self.open if owner == who]
            assert sum(account.reserved for account in accounts) == sum(one.amount_nano for one in open_here)
            assert sum(account.open for account in accounts) == len(open_here) == len(each.open)


TestSpending = Spending.TestCase
TestSpending.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
