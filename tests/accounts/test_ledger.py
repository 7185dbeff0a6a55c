from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from accounts.models import AttemptRecord, DailyTotal, LedgerQuarantine, RequestRecord
from accounts.prices import UNITS
from accounts.store.ledger import adopt, drain, known, save_entries
from accounts.store.recount import totals
from accounts.store.rows import day_of
from tests.accounts.making import NOON, attempt, cached, entry, journal, opened, raw, settled

pytestmark = pytest.mark.django_db


def test_it_keeps_everything_an_entry_says() -> None:
    usage = {unit: number for number, unit in enumerate(UNITS, 1)}
    made = entry(
        attempt(number=1, status="failed", usage=None, usage_source="none", cost_status="none", cost_nano=0, error="e"),
        attempt(number=2, usage=usage, service_tier="flex", amounts={"input": 4_500_000}),
        client_request_id="c-1",
        stream=True,
        client_gone=True,
        first_token_us=9,
        tags={"app": "müsli"},
        at=NOON + 0.25,
    )
    save_entries(raw(made))
    row = RequestRecord.objects.get()
    copied = ("id", "client_request_id", "status", "team", "cost_centre", "owner", "key_id", "key_label", "route")
    more = ("model_asked", "provider", "model", "revision", "stream", "cached", "http_status", "error", "client_gone")
    money = ("usage_source", "cost_status", "cost_nano", "saved_nano", "latency_us", "first_token_us", "tags")
    for name in (*copied, *more, *money):
        assert getattr(row, name) == getattr(made, name), name
    assert {unit: getattr(row, unit) for unit in UNITS} == usage
    assert row.at == datetime(2025, 11, 20, 12, 0, 0, 250_000, tzinfo=UTC)
    assert row.day == date(2025, 11, 20)
    first, second = AttemptRecord.objects.order_by("number")
    assert (first.status, first.error, first.input, first.cost_nano) == ("failed", "e", 0, 0)
    assert {unit: getattr(second, unit) for unit in UNITS} == usage
    assert (second.target, second.price_id, second.cost_nano) == ("openai/gpt-4o", 1, 4_500_000)
    assert (second.service_tier, second.amounts, first.amounts) == ("flex", {"input": 4_500_000}, {})


def test_it_finds_rows_by_time_as_django_writes_time() -> None:
    save_entries(raw(settled(at=NOON), settled(at=NOON + 0.000001), settled(at=NOON + 1)))
    after = RequestRecord.objects.filter(at__gt=datetime.fromtimestamp(NOON, UTC))
    assert after.count() == 2
    assert RequestRecord.objects.filter(at=datetime.fromtimestamp(NOON, UTC)).count() == 1


def test_of_those_who_bill_the_same_it_keeps_the_first() -> None:
    first, second, third, other = (settled(once=name) for name in ("batch", "batch", "batch", "another"))
    save_entries(raw(first, second))
    save_entries(raw(first, third, other))
    assert {row.pk for row in RequestRecord.objects.all()} == {first.id, other.id}
    assert DailyTotal.objects.get().requests == 2
    assert LedgerQuarantine.objects.count() == 0
    assert list(totals()) == []


def test_it_stores_a_row_once_however_often_it_comes() -> None:
    one, two = settled(), settled()
    save_entries(raw(one, one))
    save_entries(raw(one, two))
    assert RequestRecord.objects.count() == AttemptRecord.objects.count() == 2
    total = DailyTotal.objects.get()
    assert (total.requests, total.cost_nano) == (2, 9_000_000)


def test_it_keeps_the_first_word_on_a_request() -> None:
    made = settled()
    save_entries(raw(made))
    made.cost_nano = 1
    save_entries(raw(made))
    assert RequestRecord.objects.get().cost_nano == 4_500_000


def test_it_adds_up_days() -> None:
    unpriced = attempt(cost_status="unpriced", cost_nano=0, usage={"input": 7, "cached_input": 1, "reasoning": 2})
    guessed = attempt(status="interrupted", usage_source="estimated", usage={"input": 3}, cost_nano=50)
    save_entries(
        raw(
            settled(),
            settled(),
            cached(),
            entry(unpriced),
            entry(guessed, status="interrupted"),
            entry(status="failed", provider="openai", model="gpt-4o"),
            settled(team="blue"),
            settled(at=NOON + 86_400),
        )
    )
    total = DailyTotal.objects.get(team="red", day=date(2025, 11, 20))
    assert (total.requests, total.cached, total.failed, total.interrupted, total.unpriced) == (6, 1, 1, 1, 1)
    assert (total.input_tokens, total.output_tokens) == (1000 * 2 + 8 + 3, 200 * 2 + 2)
    assert (total.cost_nano, total.estimated_nano) == (9_000_050, 50)
    assert (total.saved_nano, total.tokens_saved, total.adjusted_nano) == (4_500_000, 1200, 0)
    assert DailyTotal.objects.count() == 3


def test_it_puts_each_moment_in_one_day_of_our_own_clock(settings: object) -> None:
    at = datetime(2026, 3, 28, 23, 30, tzinfo=UTC).timestamp()  # the night in which Berlin's summer begins
    assert day_of(at) == date(2026, 3, 28)
    settings.TIME_ZONE = "Europe/Berlin"  # type: ignore[attr-defined]
    days = [day_of(at + hours * 3600) for hours in (-1, 0, 22, 23)]
    assert days == [date(2026, 3, 28), date(2026, 3, 29), date(2026, 3, 29), date(2026, 3, 30)]


@pytest.mark.parametrize(
    "poison",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"id": "x"}',
        *raw(
            opened(),
            settled(cost_nano=10**18),
            settled(cost_nano=-1),
            settled(cost_nano=1.5),
            settled(tokens_saved=10**30),
            settled(http_status="200"),
            entry(attempt(number=1), attempt(number=1)),
            entry(attempt(price_id=2**70)),
            settled(team=None),
            settled(at=1e300),
        ),
    ],
)
def test_it_sets_one_bad_row_apart_and_stores_the_others(poison: bytes) -> None:
    rows = raw(*(settled() for _ in range(20)))
    save_entries([*rows[:13], poison, *rows[13:]])
    assert RequestRecord.objects.count() == AttemptRecord.objects.count() == 20
    assert DailyTotal.objects.get().requests == 20
    kept = LedgerQuarantine.objects.get()
    assert kept.raw == poison.decode("utf-8", "replace")
    assert kept.error
    save_entries([poison])
    assert LedgerQuarantine.objects.count() == 1


def test_it_names_the_request_and_its_money_in_quarantine() -> None:
    made = entry(attempt(number=1), attempt(number=1))
    save_entries(raw(made))
    kept = LedgerQuarantine.objects.get()
    assert (kept.request_id, kept.cost_nano) == (made.id, 9_000_000)
    assert known([made.id, "other"]) == {made.id}


def test_it_takes_whatever_text_a_caller_sends() -> None:
    made = settled(model_asked="a\0b" + "x" * 500, error="\0" * 300, tags={"k\0": "v\0"}, client_request_id="é" * 128)
    made.attempts[0].error = "y" * 1000
    save_entries(raw(made))
    row = RequestRecord.objects.get()
    assert row.model_asked == ("a�b" + "x" * 500)[:200]
    assert row.tags == {"k�": "v�"}
    assert LedgerQuarantine.objects.count() == 0


def test_it_drains_what_is_settled_and_forgets_it(tmp_path: Path) -> None:
    with journal(tmp_path) as kept:
        kept.open(opened())
        for _ in range(5):
            kept.settle(settled())
        assert [drain(kept, 3), drain(kept, 3), drain(kept, 3)] == [3, 2, 0]
        assert (kept.backlog(), kept.in_flight()) == (0, 1)
    assert RequestRecord.objects.count() == 5


def test_it_keeps_rows_in_the_journal_while_the_database_is_in_trouble(tmp_path: Path) -> None:
    with journal(tmp_path) as kept:
        kept.settle(settled())
        with pytest.raises(DatabaseError), transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE accounts_dailytotal RENAME TO gone")
            drain(kept)
        assert kept.backlog() == 1
        assert RequestRecord.objects.count() == LedgerQuarantine.objects.count() == 0
        assert drain(kept) == 1


def test_it_takes_over_journals_of_dead_processes(tmp_path: Path) -> None:
    running, done = opened(), settled()
    with journal(tmp_path) as dead:
        dead.open(running)
        dead.settle(done)
    with journal(tmp_path) as own:
        own.settle(settled())
        assert adopt(tmp_path, own) == 2
        assert adopt(tmp_path, own) == 0
        assert own.backlog() == 1
    states = dict(RequestRecord.objects.values_list("id", "status"))
    assert states == {running.id: "interrupted", done.id: "settled"}
    assert not list(tmp_path.glob(f"{dead.name}*"))


def test_it_counts_nothing_twice_when_it_dies_between_saving_and_forgetting(tmp_path: Path) -> None:
    with journal(tmp_path) as dead:
        for _ in range(3):
            dead.settle(settled())
        save_entries([row for _, row in dead.ready(2)])
    assert adopt(tmp_path) == 3
    assert RequestRecord.objects.count() == DailyTotal.objects.get().requests == 3


def test_it_quarantines_lines_that_cannot_be_read(tmp_path: Path) -> None:
    with journal(tmp_path) as dead:
        dead.settle(settled())
        dead.settle(settled())
        (path,) = tmp_path.glob("*.journal")
        path.write_bytes(path.read_bytes().replace(b'"team":"red"', b'"team":"\x00ed"', 1))
    assert adopt(tmp_path) == 1
    assert "unreadable" in LedgerQuarantine.objects.get().error


def test_it_goes_on_to_other_journals_when_one_cannot_be_read(tmp_path: Path) -> None:
    with journal(tmp_path) as dead:
        dead.settle(settled())
    (tmp_path / "aaa-1-x.000001.journal").mkdir()
    with pytest.raises(OSError, match="aaa"):
        adopt(tmp_path)
    assert RequestRecord.objects.count() == 1


@pytest.mark.parametrize("model", [RequestRecord, AttemptRecord])
def test_it_refuses_to_change_a_settled_row(model: type[RequestRecord | AttemptRecord]) -> None:
    save_entries(raw(settled()))
    row = model.objects.get()
    row.cost_nano = 1
    for change in (row.save, lambda: model.objects.update(cost_nano=1)):
        with pytest.raises(IntegrityError, match="never change"), transaction.atomic():
            change()
    assert model.objects.get().cost_nano == 4_500_000


@pytest.mark.parametrize(
    ("zone", "day"), [("Etc/GMT-14", "2025-11-21"), ("Etc/GMT+12", "2025-11-20"), ("EST", "2025-11-20")]
)
def test_a_day_begins_when_the_time_zone_says(zone: str, day: str, settings: Any) -> None:
    settings.TIME_ZONE = zone
    save_entries(raw(settled()))
    assert str(RequestRecord.objects.get().day) == day
