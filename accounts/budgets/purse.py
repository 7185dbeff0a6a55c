"""What this process may spend of each budget: slices leased from the database, and what is reserved of them.

Every counter belongs to the event loop. The housekeeper takes questions out of a queue and hands answers back over the
loop; what it reads of a counter meanwhile may be a moment old, never torn. Amounts are nano-USD. How long something
took is measured by a clock that nobody sets (`now`, monotonic seconds); only the window of a call goes by the wall
clock (`at`, epoch seconds).
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from accounts.budgets.limits import Limit, Table
from accounts.budgets.windows import NEVER, Window

LONG_AGO = float("-inf")
EXPIRES_SECONDS = 7200.0  # an answer takes half an hour at most; what is older was never settled, its row is in doubt
PARTS, CALLS = 32, 4  # a slice is this part of what is left, if that is enough for so many calls
FRESH_SECONDS = 0.1  # an answer of the database is believed for so long
IDLE_SECONDS = 2.0  # after this long without a call nothing is kept in reserve
FORGOTTEN_SECONDS = 10.0  # and after this long the account is closed


@dataclass(slots=True, eq=False)
class Account:
    """One budget in one window, as this process stands with it.

    `granted` and `settled` only grow while it is used: all that was ever leased, all that calls have cost. What the
    ledger has meanwhile is counted on the lease's row, so draining changes nothing here.
    """

    lease: str  # id of the row in the database
    limit: Limit
    window: Window
    granted: int = 0
    settled: int = 0
    reserved: int = 0
    open: int = 0  # reservations
    keeps: int = 0  # held in reserve while it is in use; 0 near the limit
    left: int = (
        0  # of the whole budget beside what we hold, when the database was asked last; below zero: too much is out
    )
    excess: float = 0.0  # that much of what comes free is gone: more is out than the budget allows
    elsewhere: int = 0  # and what other processes then kept in reserve
    looked_at: float = LONG_AGO  # when that was
    used_at: float = 0.0
    asked: bool = False  # for more than it needs now, without anybody waiting
    applied: int = 0  # grants that have arrived, counted

    @property
    def held(self) -> int:
        """What calls have cost and may cost yet."""
        return self.settled + self.reserved

    @property
    def free(self) -> int:
        return self.granted - self.settled - self.reserved

    def lacks(self, amount_nano: int, now: float) -> bool:
        """Say whether the database has just said that there is not so much anywhere."""
        room = self.free + max(0, self.left) + self.elsewhere
        return now - self.looked_at < FRESH_SECONDS and room < amount_nano

    def follow(self, limit: Limit) -> None:
        """Go by `limit`, a newer version; what was leased under a higher one is not for new calls."""
        if limit.amount_nano < self.limit.amount_nano:
            self.granted, self.excess = min(self.granted, self.held), NEVER
        self.limit, self.looked_at = limit, LONG_AGO

    def forgo(self, freed: int) -> None:
        """Let go of what has come free, as far as more is out than the budget allows."""
        gone = int(min(self.excess, freed))
        self.granted -= gone
        self.excess -= gone


@dataclass(slots=True, eq=False)
class Reservation:
    """An upper estimate of one call, held on all its budgets until it is settled, once."""

    accounts: tuple[Account, ...]
    amount_nano: int
    since: float
    over: bool = False
    expired: bool = False

    @property
    def leases(self) -> list[str]:
        return [each.lease for each in self.accounts]


@dataclass(frozen=True, slots=True)
class Shortage:
    """The budgets whose slices do not hold the amount now."""

    accounts: tuple[Account, ...]
    amount_nano: int


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to the database: can this budget's slice grow by so much? `waiter` is told when it is answered."""

    account: Account
    amount_nano: int
    waiter: Any = None


@dataclass(frozen=True, slots=True)
class Slice:
    """The answer: how much the slice grows, what is left beside it, and what to keep.

    `elsewhere` is kept in reserve by other processes, which give it back soon. `away`: there is no answer.
    """

    account: Account
    added: int = 0
    left: int = 0
    keeps: int = 0
    elsewhere: int = 0
    away: bool = False


@dataclass(slots=True)
class Purse:
    """All accounts of a process. `table` is None while no hard budget is active: then nothing here is used."""

    new_lease: Callable[[], str]
    table: Table | None = None
    wake: Callable[[], None] = lambda: None  # tells the housekeeper that there are questions
    loop: Any = None  # the event loop, once something was asked on it
    elapsed: Callable[[], float] = time.monotonic
    asks: deque[Ask] = field(default_factory=deque)
    accounts: dict[int, Account] = field(default_factory=dict)  # by limit: of the window of the latest call
    past: list[Account] = field(default_factory=list)  # of windows gone by, or closed: until the ledger has their rows
    open: dict[int, Reservation] = field(default_factory=dict)

    def reserve(self, limits: Sequence[Limit], amount_nano: int, at: float) -> Reservation | Shortage:
        """Hold `amount_nano` on all of `limits`, or on none. `at` chooses the windows."""
        accounts = [self._account(limit, at) for limit in limits]
        for account in accounts:
            if account.free < amount_nano:
                return Shortage(tuple(each for each in accounts if each.free < amount_nano), amount_nano)
        now = self.elapsed()
        for account in accounts:
            account.reserved += amount_nano
            account.open += 1
            account.used_at = now
            if account.keeps and not account.asked and account.free * 2 < account.keeps:
                account.asked = True
                self.ask(account, amount_nano)
        made = Reservation(tuple(accounts), amount_nano, now)
        self.open[id(made)] = made
        return made

    def grow(self, reservation: Reservation, amount_nano: int) -> Account | None:
        """Hold `amount_nano` for a call that goes on. Returns an account that lacks the difference, after asking."""
        more = amount_nano - reservation.amount_nano
        if more <= 0 or reservation.over:
            return None
        for account in reservation.accounts:
            if account.free < more:
                self.ask(account, more)
                return account
        for account in reservation.accounts:
            account.reserved += more
            account.used_at = self.elapsed()
        reservation.amount_nano = amount_nano
        return None

    def settle(self, reservation: Reservation, cost_nano: int) -> None:
        """Put the real cost in the place of the estimate. The second time nothing happens."""
        if reservation.over:
            if reservation.expired:  # given up, and here it is after all
                reservation.expired = False
                for account in reservation.accounts:
                    account.settled += cost_nano
            return
        reservation.over = True
        self.open.pop(id(reservation), None)
        for account in reservation.accounts:
            account.reserved -= reservation.amount_nano
            account.settled += cost_nano
            account.open -= 1
            if account.excess:
                account.forgo(max(0, reservation.amount_nano - cost_nano))

    def void(self, reservation: Reservation) -> None:
        """Give back what was reserved for a call that was not made."""
        self.settle(reservation, 0)

    def expire(self, now: float) -> int:
        """Give back what nobody has settled in all that time. Returns how many there were."""
        old = [each for each in self.open.values() if now - each.since > EXPIRES_SECONDS]
        for reservation in old:
            self.void(reservation)
            reservation.expired = True
        return len(old)

    def ask(self, account: Account, amount_nano: int, waiter: Any = None) -> None:
        """Put a question to the database; the answer comes as a Slice."""
        self.asks.append(Ask(account, amount_nano, waiter))
        self.wake()

    def take(self, grants: Sequence[Slice], now: float) -> None:
        """Take the database's answers in."""
        for grant in grants:
            account = grant.account
            account.granted += grant.added
            account.applied += 1
            account.asked = False
            if grant.away:
                account.looked_at = LONG_AGO
            else:
                account.left, account.keeps, account.elsewhere = grant.left, grant.keeps, grant.elsewhere
                account.excess, account.looked_at = max(0, -grant.left), now

    def give_back(self, now: float) -> None:
        """Let go of what is held beyond what is in use, and close what is not used any more."""
        for key, account in list(self.accounts.items()):
            idle = now - account.used_at
            keep = account.keeps if idle < IDLE_SECONDS else 0
            account.granted = account.held + max(0, min(account.free, keep))
            if idle > FORGOTTEN_SECONDS and not account.open and not account.asked:
                self.past.append(self.accounts.pop(key))
        for account in self.past:
            account.granted = account.held

    def _account(self, limit: Limit, at: float) -> Account:
        account = self.accounts.get(limit.id)
        if account is None or not account.window.holds(at):
            if account is not None:
                self.past.append(account)
            account = Account(self.new_lease(), limit, limit.window_at(at))
            self.accounts[limit.id] = account
        elif account.limit is not limit:
            account.follow(limit)
        return account


def share(left_nano: int, free_nano: int, wanted: Sequence[int]) -> tuple[int, int]:
    """Return by how much a slice grows that has `free_nano`, and how much of it to keep for more calls.

    It shrinks where more is out than the budget allows. `free_nano` is below zero where answers were dearer than
    reserved: then that is owed first.
    """
    if left_nano < 0:
        return max(left_nano, -max(0, free_nano)), 0
    need = max(0, fitting(wanted, left_nano + free_nano) - free_nano)
    keeps = slice_of(left_nano - need, max(wanted))
    return min(left_nano, need + keeps), keeps


def slice_of(left_nano: int, wanted_nano: int) -> int:
    """How much to lease beyond what is wanted: a part of what is left, nothing where that would be a few calls.

    So near the limit each call is reserved for exactly.
    """
    part = left_nano // PARTS
    return part if part >= CALLS * wanted_nano else 0


def fitting(wanted: Sequence[int], room_nano: int) -> int:
    """Return the sum of those that fit into the room, first come, first served: what is too much takes nothing."""
    taken = 0
    for amount in wanted:
        if taken + amount <= room_nano:
            taken += amount
    return taken
