"""Two processes live, die and are recovered in any order: journal, ledger, totals and budgets agree (B-16)."""

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from accounts.budgets.purse import EXPIRES_SECONDS, Purse, Reservation, Shortage
from accounts.ledger.entry import Attempt, Entry, totals
from accounts.ledger.ids import uuid7
from accounts.ledger.journal import Journal
from accounts.models import Adjustment, Budget, BudgetLease, DailyTotal, Price, RequestRecord, Team
from accounts.store import budgets, leases, ledger
from accounts.store.adjust import adjust, standing
from accounts.store.leases import Leases
from accounts.store.pending import Pending
from accounts.store.verify import verify
from tests.accounts.making import MIB, NOON, attempt, entry, under_way

LIVES = int(os.environ.get("LIVES", "20"))  # how many are tried
ACTORS = st.sampled_from([0, 1])
NANO = 1_000  # what an interrupted call is estimated at: one token of its prompt
LARGEST = 50_000


class Soon:
    """An event loop on which everything has happened already."""

    def is_closed(self) -> bool:
        return False

    def call_soon_threadsafe(self, work: Any, *args: Any) -> None:
        work(*args)


@dataclass
class Process:
    """What one process holds; `die` leaves its files behind, and nobody at their lock."""

    folder: Path
    clock: Any

    def __post_init__(self) -> None:
        self.journal = Journal(self.folder, cap_bytes=4 * MIB)
        self.purse = Purse(lambda: uuid7(NOON), loop=Soon(), elapsed=self.clock)
        self.purse.table = budgets.load_table()
        self.leases = Leases(self.purse, self.journal)

    def die(self) -> None:
        for segment in self.journal._segments.all:
            os.close(segment.fd)
        if self.journal._segments._spare:
            os.close(self.journal._segments._spare.fd)
        os.close(self.journal._lock)


@dataclass
class Under:
    """A request under way, as the test reckons it."""

    actor: int
    entry: Entry
    reservation: Reservation | None
    most: int


@dataclass
class Truth:
    """What must be in the ledger in the end: cost and status by id."""

    under_way: dict[str, Under] = field(default_factory=dict)
    ended: dict[str, tuple[str, int]] = field(default_factory=dict)
    expired: int = 0  # money of reservations that were given up, and may be spent after all
    adjusted: dict[str, int] = field(default_factory=dict)

    @property
    def spent(self) -> int:
        """What calls have cost and may cost yet."""
        return sum(cost for _, cost in self.ended.values()) + sum(each.most for each in self.under_way.values())


class Life(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="qlite-life-"))
        self.now, self.truth, self.number = NOON, Truth(), 0
        self.everything = transaction.atomic()
        self.everything.__enter__()
        self.team = Team.objects.create(name="red")
        Team.objects.create(name="blue")
        since = datetime(2020, 1, 1, tzinfo=UTC)
        Price.objects.create(model="*", effective_from=since, input=NANO * 1_000_000, output=0)

    @initialize(amount=st.integers(0, 4 * LARGEST))
    def begin(self, amount: int) -> None:
        self.budget = Budget.objects.create(team=self.team, window="total", amount_nano=amount)
        self.actors = [Process(self.folder, lambda: self.now) for _ in range(2)]

    # --- what happens to a request

    @rule(actor=ACTORS, most=st.integers(NANO, LARGEST))
    def opens(self, actor: int, most: int) -> None:
        process = self.actors[actor]
        limits = process.purse.table.of("red", "abcd1234", "gpt-4o") if process.purse.table else ()
        held = process.purse.reserve(limits, most, self.now)
        if isinstance(held, Shortage):
            for account in held.accounts:
                process.purse.ask(account, most)
            process.leases.answer()
            held = process.purse.reserve(limits, most, self.now)
        if isinstance(held, Shortage):
            return
        self.number += 1
        made = entry(under_way(started_at=self.now), status="open", prompt_bytes=4, at=self.now)
        made.leases = held.leases
        process.journal.open(made)
        self.truth.under_way[made.id] = Under(actor, made, held, most)
        # Admitted within the budget, whatever else is under way anywhere (INV-5).
        assert self.truth.spent <= Budget.objects.get().amount_nano + self.truth.expired

    @precondition(lambda self: self.truth.under_way)
    @rule(data=st.data(), share=st.integers(0, 100))
    def settles(self, data: st.DataObject, share: int) -> None:
        under = self._one(data)
        cost = under.most * share // 100
        under.entry.attempts = [attempt(cost_nano=cost, started_at=under.entry.at)]
        self._end(under, "settled", cost)

    @precondition(lambda self: self.truth.under_way)
    @rule(data=st.data())
    def is_refused(self, data: st.DataObject) -> None:
        under = self._one(data)
        refused: dict[str, Any] = {"usage": None, "usage_source": "none", "cost_status": "none", "cost_nano": 0}
        under.entry.attempts = [attempt(status="failed", price_id=None, started_at=under.entry.at, **refused)]
        self._end(under, "failed", 0)

    @precondition(lambda self: self.truth.under_way)
    @rule(data=st.data())
    def tries_again(self, data: st.DataObject) -> None:
        under = self._one(data)
        under.entry.attempts[-1].status = "failed"
        again: Attempt = under_way(number=len(under.entry.attempts) + 1, started_at=self.now)
        under.entry.attempts.append(again)
        self.actors[under.actor].journal.update(under.entry)

    @rule()
    def reservations_expire(self) -> None:
        self.now += EXPIRES_SECONDS + 1
        for number, actor in enumerate(self.actors):
            actor.purse.expire(self.now)
            mine = [each for each in self.truth.under_way.values() if each.actor == number]
            self.truth.expired += sum(each.most for each in mine if each.reservation)
            for each in mine:
                each.reservation = None

    # --- what happens to a process

    @rule(actor=ACTORS, count=st.integers(1, 5))
    def drains(self, actor: int, count: int) -> None:
        ledger.drain(self.actors[actor].journal, count)

    @rule(actor=ACTORS)
    def keeps_its_leases(self, actor: int) -> None:
        self.actors[actor].leases.keep()

    @rule(actor=ACTORS)
    def dies(self, actor: int) -> None:
        self.actors[actor].die()
        for id, under in list(self.truth.under_way.items()):
            if under.actor == actor:
                del self.truth.under_way[id]
                self.truth.ended[id] = ("interrupted", NANO)
        self.actors[actor] = Process(self.folder, lambda: self.now)

    @rule(actor=ACTORS, count=st.integers(1, 5))
    def dies_between_saving_and_forgetting(self, actor: int, count: int) -> None:
        ledger.save_entries([raw for _, raw in self.actors[actor].journal.ready(count)])
        self.dies(actor)

    @rule(actor=ACTORS)
    def recovers(self, actor: int) -> None:
        ledger.adopt(self.folder, self.actors[actor].journal)
        alive = [each.journal.name for each in self.actors]
        long_ago = timezone.now() - timedelta(seconds=leases.SILENT_SECONDS + 1)
        BudgetLease.objects.exclude(holder__in=alive).update(seen_at=long_ago)
        leases.reap(self.folder)

    # --- what people do

    @rule(data=st.data(), delta=st.integers(-LARGEST, LARGEST))
    def somebody_adjusts(self, data: st.DataObject, delta: int) -> None:
        """To another cost centre always, so that each books something; money only of rows that no budget counts."""
        ids = list(RequestRecord.objects.order_by("pk").values_list("pk", flat=True))
        if ids:
            record = RequestRecord.objects.get(pk=data.draw(st.sampled_from(ids)))
            count = record.adjustments.count()
            adjust(record, author="fay", reason="x", cost_centre=f"c{count}", external_ref=f"{record.pk}-{count}")

    @rule(amount=st.integers(0, 4 * LARGEST))
    def somebody_changes_the_budget(self, amount: int) -> None:
        self.budget.amount_nano = amount
        self.budget.save()
        for actor in self.actors:
            actor.purse.table = budgets.load_table()

    # --- what must be so at every step

    @invariant()
    def every_request_is_somewhere_once(self) -> None:
        pending = Pending(self.folder)
        pending.close()
        stored = dict(RequestRecord.objects.values_list("pk", "cost_nano"))
        assert pending.damaged == 0
        assert not pending.ids & stored.keys()
        assert pending.ids | stored.keys() == self.truth.ended.keys() | self.truth.under_way.keys()
        assert all(self.truth.ended[id][1] == cost for id, cost in stored.items())
        total = DailyTotal.objects.aggregate(total=Sum("cost_nano", default=0), moved=Sum("adjusted_nano", default=0))
        assert (total["total"], total["moved"]) == (sum(stored.values()), 0)

    @invariant()
    def no_reservation_is_forgotten(self) -> None:
        for number, actor in enumerate(self.actors):
            mine = [each for each in self.truth.under_way.values() if each.actor == number and each.reservation]
            assert sum(each.reserved for each in self._accounts(actor)) == sum(each.most for each in mine)

    def teardown(self) -> None:
        try:
            self._come_to_rest()
        finally:
            for actor in self.actors if hasattr(self, "actors") else ():
                actor.die()
            transaction.set_rollback(True)
            self.everything.__exit__(None, None, None)
            shutil.rmtree(self.folder)

    def _come_to_rest(self) -> None:
        if not hasattr(self, "actors"):
            return
        for actor in (0, 1):
            self.dies(actor)
        self.recovers(0)
        rows = RequestRecord.objects.values_list("pk", "status", "cost_nano")
        assert {id: (status, cost) for id, status, cost in rows} == self.truth.ended
        assert all(standing(record).cost_nano == record.cost_nano for record in RequestRecord.objects.all())
        assert not BudgetLease.objects.exists()  # INV-6
        assert verify(self.folder) == []
        assert Adjustment.objects.count() == len(set(Adjustment.objects.values_list("external_ref", flat=True)))

    # --- steps of the above

    def _one(self, data: st.DataObject) -> Under:
        return self.truth.under_way[data.draw(st.sampled_from(sorted(self.truth.under_way)))]

    def _end(self, under: Under, status: str, cost: int) -> None:
        under.entry.status = status
        totals(under.entry)
        process = self.actors[under.actor]
        process.journal.settle(under.entry)
        if under.reservation is not None:
            process.purse.settle(under.reservation, cost)
        del self.truth.under_way[under.entry.id]
        self.truth.ended[under.entry.id] = (status, cost)

    def _accounts(self, process: Process) -> list[Any]:
        return [*process.purse.accounts.values(), *process.purse.past]


@pytest.mark.django_db
def test_nothing_is_lost_in_any_life() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Life, settings=settings(max_examples=LIVES, stateful_step_count=40, deadline=None)
    )
