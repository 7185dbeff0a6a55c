"""Days are sealed, looked through and pruned; a row that is changed behind the ledger's back is named."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.models import (
    Adjustment,
    AttemptRecord,
    DailyTotal,
    LedgerDay,
    LedgerLease,
    LedgerLink,
    Price,
    RequestRecord,
    TagTotal,
    Team,
)
from accounts.store import books, prune, rebuild, seal, walk
from accounts.store.adjust import adjust
from accounts.store.books import Books
from accounts.store.ledger import save_entries
from accounts.store.rebuild import RebuildRefused
from accounts.store.verify import verify
from tests.accounts.making import NOON, attempt, cached, entry, raw, settled
from tests.accounts.tampering import tamper
from tests.pages.making import amount_of, person, signed_in

pytestmark = pytest.mark.django_db
DAY_BEGINS = datetime(2025, 11, 20, tzinfo=UTC)
DAY = DAY_BEGINS.date()
NEXT = DAY + timedelta(days=1)


def done(work: Iterator[Any]) -> int:
    return sum(1 for _ in work)


def keep(**facts: Any) -> None:
    """Do all there is to do now."""
    done(books.plan(timezone.now(), **facts))


@pytest.fixture
def ids() -> list[str]:
    """Two days with some of everything, more than a link holds; ids of the first day."""
    Team.objects.create(name="blue")
    first = [settled(at=NOON + number, tags={"project": str(number % 3)}) for number in range(walk.PIECE + 20)]
    first += [entry(attempt(usage_source="estimated"), attempt(number=2)), cached(), entry(status="failed")]
    save_entries(raw(*first, settled(at=NOON + 86_400)))
    adjust(RequestRecord.objects.get(pk=first[0].id), author="fay", reason="refund", delta=-5)
    return [each.id for each in first]


def age_adjustments() -> None:
    """Adjustments of the last hour are not sealed yet."""
    tamper("UPDATE accounts_adjustment SET at = %s", timezone.now() - timedelta(hours=2))


def test_a_sound_ledger_is_sealed_day_after_day(ids: list[str], tmp_path: Path) -> None:
    age_adjustments()
    keep()
    first, second = LedgerDay.objects.order_by("day")
    assert (first.requests, first.links, first.problem_count) == (len(ids), 3, 0)
    assert first.adjustments == 1
    assert second.requests == 1
    assert LedgerLink.objects.get(day=NEXT, number=1).previous == first.head
    assert first.verified_at is not None
    assert verify(tmp_path) == []
    heads = [first.head, second.head]
    keep()
    assert [day.head for day in LedgerDay.objects.order_by("day")] == heads


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kathmandu"])
def test_the_chain_is_the_same_in_every_time_zone(ids: list[str], tmp_path: Path, settings: Any, zone: str) -> None:
    settings.TIME_ZONE = zone
    keep()
    first = LedgerDay.objects.get(day=DAY)
    assert (first.requests, first.links, first.problem_count) == (len(ids), 2, 0)
    assert verify(tmp_path) == []
    settings.TIME_ZONE = "UTC"
    assert verify(tmp_path) == []


def test_today_is_not_sealed(tmp_path: Path) -> None:
    now = timezone.now()
    save_entries(raw(settled(at=now.timestamp())))
    keep()
    assert not LedgerDay.objects.exists()
    assert seal.open_days(now + timedelta(days=1, hours=2)) == [timezone.localdate(now)]


CHANGES = {
    "an amount": "UPDATE accounts_requestrecord SET cost_nano = cost_nano + 1, saved_nano = 1 WHERE id = %s",
    "who pays": "UPDATE accounts_requestrecord SET owner = 'somebody else' WHERE id = %s",
    "the time": "UPDATE accounts_requestrecord SET latency_us = 77 WHERE id = %s",
    "tags": 'UPDATE accounts_requestrecord SET tags = \'{"project": "9"}\' WHERE id = %s',
    "an attempt": "UPDATE accounts_attemptrecord SET model = 'other' WHERE request_id = %s",
}


@pytest.mark.parametrize("change", CHANGES)
def test_it_names_a_row_that_was_changed(change: str, ids: list[str], tmp_path: Path) -> None:
    keep()
    tamper(CHANGES[change], ids[30])
    assert f"request {ids[30]}: was changed after day {DAY} was sealed" in verify(tmp_path)


def test_it_names_a_row_that_is_gone_whole(ids: list[str], tmp_path: Path) -> None:
    """Its totals were put right too: nothing but the chain knows."""
    keep()
    tamper("DELETE FROM accounts_attemptrecord WHERE request_id = %s", ids[30])
    tamper("DELETE FROM accounts_requestrecord WHERE id = %s", ids[30])
    rebuild.rebuild(DAY)
    assert f"request {ids[30]}: is gone, and was there when day {DAY} was sealed" in verify(tmp_path)


def test_it_names_an_adjustment_that_was_changed(ids: list[str], tmp_path: Path) -> None:
    age_adjustments()
    keep()
    booked = Adjustment.objects.get()
    tamper("UPDATE accounts_adjustment SET author = 'nobody'")
    assert f"adjustment {booked.pk}: was changed after day {DAY} was sealed" in verify(tmp_path)


def test_it_finds_a_link_that_was_made_to_fit(ids: list[str], tmp_path: Path) -> None:
    keep()
    link = LedgerLink.objects.get(day=DAY, number=1)
    LedgerLink.objects.filter(pk=link.pk).update(digest="0" * 64)
    assert f"day {DAY}, link 1: it was changed" in verify(tmp_path)
    forged = seal.canon.chained(link.previous, DAY, 1, link.kind, link.rows, "0" * 64)
    LedgerLink.objects.filter(pk=link.pk).update(head=forged)
    assert f"day {DAY}, link 2: it does not follow the link before it" in verify(tmp_path)
    assert f"day {DAY}, link 1: its digest is not that of its rows" in verify(tmp_path)


def test_it_notices_that_a_whole_day_is_gone(ids: list[str], tmp_path: Path) -> None:
    keep()
    LedgerLink.objects.filter(day=DAY).delete()
    LedgerDay.objects.filter(day=DAY).delete()
    assert f"day {NEXT}, link 1: the day that it follows is not the one that was there" in verify(tmp_path)


def test_late_rows_get_a_link_of_their_own(ids: list[str], tmp_path: Path) -> None:
    keep()
    head = LedgerDay.objects.get(day=DAY).head
    late = [settled(at=NOON + 0.5), settled(at=NOON + 7_000)]
    save_entries(raw(*late))
    assert verify(tmp_path) == []  # not sealed yet, and not a fault
    keep()
    closed = LedgerDay.objects.get(day=DAY)
    assert (closed.late, closed.requests) == (2, len(ids) + 2)
    assert closed.head != head
    assert verify(tmp_path) == []
    tamper("UPDATE accounts_requestrecord SET owner = 'x' WHERE id = %s", late[0].id)
    assert f"request {late[0].id}: was changed after day {DAY} was sealed" in verify(tmp_path)


def test_it_goes_on_where_it_was_cut_short(ids: list[str], tmp_path: Path) -> None:
    work = seal.seal(DAY)
    next(work)
    assert LedgerDay.objects.get(day=DAY).requests == walk.PIECE
    work.close()
    keep()
    assert LedgerDay.objects.get(day=DAY).requests == len(ids)
    assert verify(tmp_path) == []


def test_faults_are_kept_and_looked_at_again_a_day_later(ids: list[str]) -> None:
    keep()
    tamper("UPDATE accounts_requestrecord SET owner = 'x' WHERE id = %s", ids[3])
    assert books.due(timezone.now()) == []
    week = timezone.now() + timedelta(days=8)
    assert books.due(week) == [NEXT, DAY]
    done(books.plan(week))
    closed = LedgerDay.objects.get(day=DAY)
    assert closed.problems == [f"request {ids[3]}: was changed after day {DAY} was sealed"]
    assert books.state().problems == 1
    LedgerDay.objects.update(verified_at=timezone.now() - timedelta(days=2))
    assert books.due(timezone.now()) == [DAY]


def test_details_go_once_they_are_old_and_totals_stand_for_them(ids: list[str], tmp_path: Path) -> None:
    keep()
    before = list(DailyTotal.objects.order_by("id").values()), list(TagTotal.objects.order_by("id").values())
    keep(keep_days=100_000)
    assert RequestRecord.objects.count() == len(ids) + 1
    keep(keep_days=1)
    kept = RequestRecord.objects.get()  # the one with an adjustment
    assert (kept.pk, AttemptRecord.objects.get().request_id) == (ids[0], ids[0])
    assert (list(DailyTotal.objects.order_by("id").values()), list(TagTotal.objects.order_by("id").values())) == before
    closed = LedgerDay.objects.get(day=DAY)
    assert (closed.pruned, closed.prune_done) == (len(ids) - 1, True)
    assert verify(tmp_path) == []
    adjust(kept, author="fay", reason="more", delta=-1)
    assert verify(tmp_path) == []
    DailyTotal.objects.filter(day=NEXT).update(cost_nano=1)
    assert verify(tmp_path) == [f"day {NEXT}: the totals that stand for its pruned rows were changed"]
    with pytest.raises(RebuildRefused):
        rebuild.rebuild(DAY)


def test_what_waits_for_a_price_keeps_its_details(tmp_path: Path) -> None:
    waits = entry(attempt(cost_status="unpriced", cost_nano=0, price_id=None))
    save_entries(raw(waits, settled()))
    keep()
    keep(keep_days=1)
    assert RequestRecord.objects.get().pk == waits.id
    assert (LedgerDay.objects.get().pruned, LedgerDay.objects.get().prune_done) == (1, True)
    Price.objects.create(model="gpt-4o", effective_from=DAY_BEGINS, input=10**9, output=2 * 10**9)
    call_command("prices", "settle-waiting", "--apply", stdout=StringIO())
    assert sum(each.adjusted_nano for each in DailyTotal.objects.all()) == 1_400_000
    keep(keep_days=1)
    assert RequestRecord.objects.count() == 1
    assert verify(tmp_path) == []


def test_a_day_with_a_fault_keeps_its_details(ids: list[str]) -> None:
    keep()
    tamper("UPDATE accounts_requestrecord SET owner = 'x' WHERE id = %s", ids[3])
    keep(keep_days=1)
    assert RequestRecord.objects.filter(day=DAY).count() == len(ids)
    assert not RequestRecord.objects.filter(day=NEXT).exists()
    assert prune.due(timezone.now(), 1) == []


def test_pruning_goes_on_where_it_was_cut_short(ids: list[str], tmp_path: Path) -> None:
    keep()
    done(prune.look(DAY))
    work = prune.take(DAY)
    while LedgerDay.objects.get(day=DAY).pruned == 0:
        next(work)
    work.close()
    assert 1 < RequestRecord.objects.filter(day=DAY).count() < len(ids)
    assert verify(tmp_path) == []
    keep(keep_days=1)
    assert RequestRecord.objects.count() == 1


def test_one_process_at_a_time_keeps_the_books(ids: list[str]) -> None:
    rests: list[None] = []
    one = Books("one", keep_days=0, rest=lambda: rests.append(None), pieces=2)
    two = Books("two", keep_days=0, rest=lambda: rests.append(None), pieces=2)
    assert one.turn()
    assert len(rests) == 2
    two.turn()
    assert len(rests) == 2
    assert LedgerLease.objects.get().holder == "one"
    LedgerLease.objects.update(until=timezone.now() - timedelta(seconds=1))
    two = Books("two", keep_days=0, rest=lambda: rests.append(None), pieces=2)
    two.turn()
    assert LedgerLease.objects.get().holder == "two"
    one.turn()
    while two.turn():
        pass
    assert LedgerDay.objects.filter(verified_at__isnull=False).count() == 2


def test_rebuilding_puts_totals_right(ids: list[str], tmp_path: Path) -> None:
    stored = list(DailyTotal.objects.order_by("key_id", "day", "provider").values(*DailyTotal.SUMS, "adjusted_nano"))
    assert rebuild.rebuild(DAY) == []
    DailyTotal.objects.filter(day=DAY).update(cost_nano=1)
    TagTotal.objects.filter(day=DAY, value="1").delete()
    DailyTotal.objects.create(day=DAY, team="nobody", requests=3)
    found = rebuild.rebuild(DAY)
    assert any("team nobody: requests was 3, its rows make 0" in each for each in found)
    assert any("value 1" in each for each in found)
    assert stored == list(
        DailyTotal.objects.order_by("key_id", "day", "provider").values(*DailyTotal.SUMS, "adjusted_nano")
    )
    assert verify(tmp_path) == []
    assert rebuild.rebuild(DAY) == []
    assert rebuild.days() == [DAY, NEXT]


def test_a_row_reads_the_same_from_both_databases() -> None:
    """What SQLite gives as text PostgreSQL gives as values; the digest is of one form."""
    from accounts.store import canon

    at = datetime(2025, 11, 20, 12, 0, 0, 500, tzinfo=UTC)
    names = ("id", "at", "day", "stream", "cached", "error", "tags", "http_status")
    values = ("a", at, DAY, True, False, "", '{"b": "1", "a": "2"}', None)
    texts = ("a", "2025-11-20 12:00:00.000500", "2025-11-20", 1, 0, "", '{"a":"2","b":"1"}', None)
    assert canon.digest([(names, values)]) == canon.digest([(names, texts)])


def test_reports_go_on_from_totals_and_say_that_details_are_gone(ids: list[str]) -> None:
    client = signed_in(person("fay", group="finance"))
    address = f"/reports/?month={DAY:%Y-%m}"
    before = client.get(address).content.decode()
    assert "have been removed" not in before
    keep()
    keep(keep_days=1)
    after = client.get(address).content.decode()
    assert amount_of(after) == amount_of(before)
    assert "Records up to 21 November 2025 have been removed" in after
    assert "have been removed" in client.get(f"/reports/records/?month={DAY:%Y-%m}").content.decode()


def test_the_admin_shows_closed_days_and_their_faults(ids: list[str]) -> None:
    keep()
    client = signed_in(person("root", is_staff=True, is_superuser=True))
    assert "2 closed days" in client.get("/admin/").content.decode()
    tamper("UPDATE accounts_requestrecord SET owner = 'x' WHERE id = %s", ids[3])
    done(books.plan(timezone.now() + timedelta(days=8)))
    assert "1 faults" in client.get("/admin/").content.decode()
    page = client.get(f"/admin/accounts/ledgerday/{DAY}/change/").content.decode()
    assert f"request {ids[3]}: was changed" in page
    assert "faulty" in client.get("/admin/accounts/ledgerday/").content.decode()
