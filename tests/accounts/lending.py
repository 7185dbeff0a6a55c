"""What a worker holds of its budgets, without the worker, for the tests of budgets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from accounts.budgets.limits import Table
from accounts.budgets.purse import Purse, Reservation, Shortage, Slice
from accounts.ledger.ids import uuid7
from accounts.ledger.journal import Journal
from accounts.store import budgets
from accounts.store.leases import Leases
from accounts.store.ledger import drain
from tests.accounts.making import MIB, NOON, attempt, entry, under_way

CENT = 10_000_000


class Loop:
    """An event loop that does everything at once."""

    def is_closed(self) -> bool:
        return False

    def call_soon_threadsafe(self, work: Callable[..., None], *args: Any) -> None:
        work(*args)


class Waiter:
    def __init__(self) -> None:
        self.grant: Slice | None = None

    def done(self) -> bool:
        return self.grant is not None

    def set_result(self, grant: Slice) -> None:
        self.grant = grant


class Process:
    """What a worker holds of its budgets, without the worker."""

    def __init__(self, folder: Path) -> None:
        self.now = NOON
        self.purse = Purse(lambda: uuid7(NOON), elapsed=lambda: self.now)
        self.purse.loop = Loop()
        self.journal = Journal(folder, cap_bytes=8 * MIB)
        self.leases = Leases(self.purse, self.journal)
        self.purse.table = budgets.load_table()
        self.open: list[tuple[Reservation, Any]] = []
        self.gone = False

    @property
    def limits(self) -> Any:
        assert isinstance(self.purse.table, Table)
        return self.purse.table.of("red", "k1", "gpt-4o")

    def reserve(self, amount: int, at: float = NOON) -> Reservation | Shortage:
        found = self.purse.reserve(self.limits, amount, at)
        if isinstance(found, Shortage):
            for account in found.accounts:
                self.purse.ask(account, amount, Waiter())
            self.leases.answer()
            found = self.purse.reserve(self.limits, amount, at)
        return found

    def call(self, amount: int, cost: int | None = None, at: float = NOON) -> bool:
        """Make a call that is opened and, with a `cost`, settled in the journal."""
        found = self.reserve(amount, at)
        if isinstance(found, Shortage):
            return False
        made = entry(under_way(), at=at, status="open", prompt_bytes=4, key_id="k1", leases=found.leases)
        made.reserved_nano = amount
        self.journal.open(made)
        self.open.append((found, made))
        if cost is not None:
            self.settle(cost)
        return True

    def settle(self, cost: int, **holds: int) -> None:
        found, made = self.open.pop()
        made.attempts, made.status, made.cost_nano, made.holds = [attempt(cost_nano=cost)], "settled", cost, holds
        self.journal.settle(made)
        self.purse.settle(found, cost + sum(holds.values()))

    def see_over(self, batch: str, cost: int) -> None:
        """Look at a batch that is over: bill it, and free what it holds with the record of the call that looked."""
        for holds, nano in (({}, cost), ({batch: 0}, 0)):
            self.journal.settle(entry(attempt(cost_nano=nano), key_id="k1", holds=holds))

    def leave(self) -> None:
        if not self.gone:
            self.gone = True
            self.journal.close()

    def drain(self) -> None:
        while drain(self.journal):
            pass
