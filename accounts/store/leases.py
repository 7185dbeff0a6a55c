"""Slices of budgets, leased from the database by conditional writes, on the housekeeper's thread.

What a budget has left is its amount, less what the daily totals say, less what all leases have out beyond these.
Taking more is done under a lock on the budget's row, so no two processes can take the same money.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models.functions import Now

from accounts.budgets.purse import Account, Ask, Purse, Slice, share
from accounts.ledger.journal import Journal, host
from accounts.ledger.scan import names
from accounts.models import Budget, BudgetLease
from accounts.store import holds, spend

log = logging.getLogger("qlite.budgets")

LEASES, BUDGETS = BudgetLease._meta.db_table, Budget._meta.db_table
SILENT_SECONDS = 5.0  # a process that is gone from this machine, its journal adopted, has been silent for so long
LEASE_SECONDS = 600.0  # and one on another machine is given up after so long
SEEN_SECONDS = 1.0

OUT = "CASE WHEN granted_nano > drained_nano THEN granted_nano - drained_nano ELSE 0 END"
OTHERS = (
    f"SELECT COALESCE(SUM({OUT}), 0), COALESCE(SUM(idle_nano), 0) FROM {LEASES} "  # noqa: S608  our own names
    "WHERE budget_id = %s AND first = %s AND id <> %s"
)
OURS = f"SELECT {OUT.replace('granted_nano', '%s')} FROM {LEASES} WHERE id = %s"  # noqa: S608
WRITE = (
    f"INSERT INTO {LEASES} "  # noqa: S608
    "(id, budget_id, first, holder, granted_nano, drained_nano, idle_nano, reserved_nano, seen_at) "
    f"SELECT %s, id, %s, %s, %s, 0, %s, %s, CURRENT_TIMESTAMP FROM {BUDGETS} WHERE id = %s "
    "ON CONFLICT (id) DO UPDATE SET granted_nano = excluded.granted_nano, idle_nano = excluded.idle_nano, "
    "reserved_nano = excluded.reserved_nano, seen_at = CURRENT_TIMESTAMP"
)
DRAINED = f"UPDATE {LEASES} SET drained_nano = drained_nano + %s WHERE id = %s"  # noqa: S608
OVER = f"DELETE FROM {LEASES} WHERE id = %s AND drained_nano >= granted_nano"  # noqa: S608
LOCK = f"SELECT amount_nano, active, hard FROM {BUDGETS} WHERE id = %s"  # noqa: S608


def drained(cursor: CursorWrapper, bodies: Iterable[dict[str, Any]]) -> None:
    """Note, in the transaction that brings these rows into the ledger, that their cost is no longer out on lease."""
    moved: dict[str, int] = {}
    for body in bodies:
        for lease in body.get("leases") or ():
            moved[lease] = moved.get(lease, 0) + body["cost_nano"] + holds.of(body)
    if moved:
        cursor.executemany(DRAINED, [(moved[lease], lease) for lease in sorted(moved) if moved[lease]])


@dataclass(slots=True)
class Held:
    """What the database's row of an account says, as far as this process wrote it."""

    account: Account
    granted: int = 0
    said: tuple[int, int, int] = (0, 0, 0)
    written_at: float = float("-inf")
    posted: int = 0  # grants sent to the loop


class Leases:
    """The leases of this process."""

    def __init__(self, purse: Purse, journal: Journal) -> None:
        self._purse, self._journal = purse, journal
        self._held: dict[str, Held] = {}

    def answer(self) -> None:
        """Answer what the loop has asked since. Raises django.db.Error, after telling those who wait."""
        while self._purse.asks:
            asks = [self._purse.asks.popleft() for _ in range(len(self._purse.asks))]
            by_account: dict[Account, list[int]] = {}
            for ask in asks:
                by_account.setdefault(ask.account, []).append(ask.amount_nano)
            grants: dict[Account, Slice] = {}
            try:
                for account, wanted in by_account.items():
                    grants[account] = self._grant(account, wanted)
            finally:
                told = [grants.get(account) or Slice(account, away=True) for account in by_account]
                for account in by_account:
                    self._row(account).posted += 1
                self._post(_told, self._purse, asks, told)

    def keep(self) -> None:
        """Write down what the loop has given back or overdrawn, and that we live."""
        now = self._purse.elapsed()
        self._post(_given_back, self._purse)
        for lease, held in list(self._held.items()):
            if held.posted == held.account.applied:
                self._write(held, now)
                if self._done(held):
                    del self._held[lease]

    def leave(self) -> None:
        """Give everything back, once the ledger has every row of ours; else whoever adopts the journal will."""
        if not self._journal.backlog() and not self._journal.in_flight():
            BudgetLease.objects.filter(holder=self._journal.name).delete()

    def _post(self, work: Callable[..., None], *args: Any) -> None:
        """Have the event loop do something soon."""
        loop = self._purse.loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(work, *args)

    def _row(self, account: Account) -> Held:
        return self._held.setdefault(account.lease, Held(account))

    def _grant(self, account: Account, wanted: list[int]) -> Slice:
        held = self._row(account)
        base = account.granted if held.posted == account.applied else held.granted
        free = base - account.held  # below zero where answers were dearer than reserved
        with transaction.atomic(), connection.cursor() as cursor:
            found = _left(cursor, account, base)
            if found is None:
                return Slice(account, sum(wanted))  # lifted a moment ago: the limits here are about to follow
            left, elsewhere = found
            added, keeps = share(left, free, wanted)
            self._put(cursor, held, base + added)
        return Slice(account, added, left - added, keeps, elsewhere)

    def _write(self, held: Held, now: float) -> None:
        account = held.account
        said = (account.granted, max(0, account.free), account.reserved)
        if said == held.said and now - held.written_at < SEEN_SECONDS:
            return
        with connection.cursor() as cursor:
            self._put(cursor, held, said[0])

    def _put(self, cursor: CursorWrapper, held: Held, granted: int) -> None:
        account = held.account
        said = (granted, max(0, granted - account.held), account.reserved)
        if not granted and not held.granted:
            return
        # Nothing is written for a budget that was deleted.
        place = (account.lease, account.window.first, self._journal.name)
        cursor.execute(WRITE, (*place, *said, account.limit.id))
        held.granted, held.said, held.written_at = granted, said, self._purse.elapsed()

    def _done(self, held: Held) -> bool:
        """Delete the row of an account that is closed, as soon as the ledger has all of it."""
        account = held.account
        if account.open or account not in self._purse.past:
            return False
        if not self._journal.backlog() and not self._journal.in_flight():
            BudgetLease.objects.filter(pk=account.lease).delete()
        else:
            with connection.cursor() as cursor:
                cursor.execute(OVER, [account.lease])
                if not cursor.rowcount and held.granted:
                    return False
        self._post(_forgotten, self._purse, account)
        return True


def reap(folder: Path) -> int:
    """Take back the leases of processes that are gone. Returns how many.

    On this machine that is certain once their journal has been adopted: the ledger has all that they spent. Of
    another machine's process it is assumed after a long silence.
    """
    here, alive = f"{host()}-", set(names(folder))
    silent = BudgetLease.objects.filter(seen_at__lt=Now() - timedelta(seconds=SILENT_SECONDS))
    gone = [pk for pk, holder in silent.values_list("pk", "holder") if holder.startswith(here) and holder not in alive]
    lost = list(
        BudgetLease.objects.filter(seen_at__lt=Now() - timedelta(seconds=LEASE_SECONDS)).values_list("pk", flat=True)
    )
    if gone or lost:
        BudgetLease.objects.filter(
            pk__in=[*gone, *lost], seen_at__lt=Now() - timedelta(seconds=SILENT_SECONDS)
        ).delete()
    return len({*gone, *lost})


def _left(cursor: CursorWrapper, account: Account, base: int) -> tuple[int, int] | None:
    """Lock the budget and return what nobody has, beside the `base` that is ours, and what others keep idle.

    Returns None where there is no such hard budget any more.
    """
    limit, first = account.limit, account.window.first
    cursor.execute(LOCK + (" FOR NO KEY UPDATE" if connection.vendor == "postgresql" else ""), [limit.id])
    budget = cursor.fetchone()
    if budget is None or not (budget[1] and budget[2]):
        return None
    cursor.execute(OTHERS, [limit.id, first, account.lease])
    others, idle = map(int, cursor.fetchone())
    cursor.execute(OURS, [base, base, account.lease])
    ours = cursor.fetchone()
    # In the order in which money moves on: what does so in between counts twice for a moment, and never not at all.
    held = holds.out(cursor, limit)
    spent = spend.spent(cursor, limit, account.window)
    return int(budget[0]) - spent - held - others - (int(ours[0]) if ours else base), idle


def _told(purse: Purse, asks: list[Ask], grants: list[Slice]) -> None:
    purse.take(grants, purse.elapsed())
    by_account = {grant.account: grant for grant in grants}
    for ask in asks:
        waiter: asyncio.Future[Slice] | None = ask.waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(by_account[ask.account])


def _given_back(purse: Purse) -> None:
    now = purse.elapsed()
    purse.give_back(now)
    if expired := purse.expire(now):
        log.error("%s reservations were never settled; their money is free again", expired)


def _forgotten(purse: Purse, account: Account) -> None:
    if account in purse.past:
        purse.past.remove(account)
