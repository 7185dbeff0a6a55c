"""Repricing: what changes is seen first, booked once, beside what people corrected, and everything still agrees."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.db.models import Sum

from accounts.ledger.pricing import pricing
from accounts.models import Adjustment, DailyTotal, Repricing, RequestRecord, Team
from accounts.prices import UNITS, Book, Price, Usage
from accounts.reports import figures, records
from accounts.reports.question import Question
from accounts.store import reprice
from accounts.store.adjust import adjust, standing
from accounts.store.ledger import save_entries
from accounts.store.reprice import RepricingRefused, Wish
from accounts.store.verify import verify
from tests.accounts.making import NOON, attempt, cached, entry, raw

pytestmark = pytest.mark.django_db
DAY = datetime(2025, 11, 20, tzinfo=UTC)
WISH = Wish(DAY, DAY + timedelta(days=1))
# 1000 and 2000 nano-USD a token: the usual attempt of these tests costs 1,400,000.
BOOK = Book([Price(7, "", "", "*", 0.0, {"input": 1_000_000_000, "output": 2_000_000_000})])
NEW = 1_400_000


def unpriced(**facts: Any) -> Any:
    return attempt(cost_status="unpriced", cost_nano=0, price_id=None, **facts)


def save(*entries: Any) -> list[RequestRecord]:
    save_entries(raw(*entries))
    return [RequestRecord.objects.get(pk=each.id) for each in entries]


def job(wish: Wish = WISH, **facts: Any) -> Repricing:
    return reprice.ask(wish, author="fay", reason="new contract", **facts)


def applied(wish: Wish = WISH, book: Book = BOOK) -> Repricing:
    return reprice.run(job(wish, at_once=True).pk, book)


def sound(folder: Path) -> bool:
    return verify(folder) == []


def test_a_preview_counts_and_books_nothing(tmp_path: Path) -> None:
    save(entry(attempt()), entry(attempt(model="old")), cached(), entry(unpriced()))
    found = reprice.run(job().pk, BOOK)
    assert (found.state, found.looked, found.found, found.waiting) == ("ready", 4, 3, 0)
    assert found.delta_nano == 2 * (NEW - 4_500_000) + NEW
    assert found.by_model == {"openai/gpt-4o": [2, 2 * NEW - 4_500_000], "openai/old": [1, NEW - 4_500_000]}
    assert not Adjustment.objects.exists()
    assert sound(tmp_path)


def test_it_is_booked_once_however_often_it_is_applied(tmp_path: Path) -> None:
    (row,) = save(entry(attempt()))
    ready = reprice.run(job().pk, BOOK)
    assert reprice.apply(ready.pk, by="otto")
    assert not reprice.apply(ready.pk, by="otto")
    done = reprice.run(ready.pk, BOOK)
    assert (done.state, done.booked, done.booked_nano) == ("done", 1, NEW - 4_500_000)
    again = applied()
    assert (again.state, again.found, again.booked) == ("done", 0, 0)
    booked = Adjustment.objects.get()
    assert (booked.author, booked.reason, booked.reprice) == ("otto", "new contract (price 7)", True)
    assert booked.external_ref == f"reprice:{row.pk}:1"
    assert standing(row).cost_nano == NEW
    assert sound(tmp_path)


def test_a_third_price_goes_from_the_second(tmp_path: Path) -> None:
    (row,) = save(entry(attempt()))
    applied()
    applied(book=Book([Price(8, "", "", "*", 0.0, {"input": 0, "output": 0})]))
    assert standing(row).cost_nano == 0
    applied()
    assert standing(row).cost_nano == NEW
    assert Adjustment.objects.count() == 3
    assert sound(tmp_path)


def test_what_a_request_and_its_time_cost_is_reckoned_as_if_the_price_had_been_there(tmp_path: Path) -> None:
    (row,) = save(entry(attempt(latency_us=2_100_000)))
    amounts = {"input": 1_000_000_000, "output": 2_000_000_000, "requests": 10**13, "seconds": 5 * 10**11}
    applied(book=Book([Price(8, "openai", "", "*", 0.0, amounts)]))
    assert standing(row).cost_nano == NEW + 10_000_000 + 3 * 500_000
    assert sound(tmp_path)


def test_a_call_of_unknown_usage_waits_for_somebody_who_knows_what_it_cost(tmp_path: Path) -> None:
    row, known = save(entry(unpriced(usage=None, usage_source="none")), entry(unpriced()))
    done = applied(Wish(WISH.since, WISH.until, unpriced_only=True))
    assert (done.waiting, done.booked, done.booked_nano) == (1, 1, NEW)
    question = Question(DAY.date(), DAY.date(), None)
    assert figures.whole(question).unpriced == 1
    adjust(row, author="fay", reason="as the bill of the provider says", cost_nano=5_000_000)
    assert figures.whole(question).unpriced == 0
    (arm,) = records.of(question, sure="unpriced")
    assert not arm.exists()
    assert applied().booked == 0
    assert [standing(each).cost_nano for each in (row, known)] == [5_000_000, NEW]
    assert sound(tmp_path)


def test_a_call_of_unknown_usage_is_done_where_nothing_depends_on_it(tmp_path: Path) -> None:
    each, none = (save(entry(unpriced(usage=None, usage_source="none")))[0] for _ in range(2))
    adjust(none, author="fay", reason="known", cost_nano=1)
    applied(book=Book([Price(7, "", "", "*", 0.0, {"input": 10**9, "requests": 10**12})]))
    assert [standing(row).cost_nano for row in (each, none)] == [1_000_000, 1]
    (free,) = save(entry(unpriced(usage=None, usage_source="none")))
    assert applied(book=Book([Price(8, "", "", "*", 0.0, {"input": 0, "output": 0})])).waiting == 0
    assert standing(free).cost_nano == 0
    assert sound(tmp_path)


def test_a_cost_that_somebody_gave_is_not_booked_once_more_with_the_price(tmp_path: Path) -> None:
    (row,) = save(entry(unpriced()))
    adjust(row, author="fay", reason="as the bill of the provider says", cost_nano=NEW)
    assert applied().booked == applied(Wish(WISH.since, WISH.until, unpriced_only=True)).booked == 0
    assert standing(row).cost_nano == NEW
    assert sound(tmp_path)


def test_a_refund_gives_no_cost_to_what_has_no_price(tmp_path: Path) -> None:
    (row,) = save(entry(attempt(status="interrupted"), unpriced(number=2)))
    adjust(row, author="fay", reason="refund", delta=-1)
    assert figures.whole(Question(DAY.date(), DAY.date(), None)).unpriced == 1
    applied()
    assert standing(row).cost_nano == 2 * NEW - 1
    assert sound(tmp_path)


def test_it_leaves_what_people_corrected(tmp_path: Path) -> None:
    Team.objects.create(name="blue")
    (row,) = save(entry(attempt()))
    adjust(row, author="fay", reason="refund", delta=-500_000, team="blue")
    applied()
    stands = standing(row)
    assert (stands.cost_nano, stands.team) == (NEW - 500_000, "blue")
    assert DailyTotal.objects.get(team="blue").adjusted_nano == NEW - 500_000
    assert sound(tmp_path)


def test_it_never_goes_below_nothing(tmp_path: Path) -> None:
    (row,) = save(entry(attempt()))
    adjust(row, author="fay", reason="all of it refunded", cost_nano=0)
    assert applied().booked == 0
    assert standing(row).cost_nano == 0
    assert sound(tmp_path)


def test_what_has_no_price_waits_and_is_no_longer_unpriced_once_it_has_one(tmp_path: Path) -> None:
    save(entry(unpriced()), entry(unpriced(usage={})), entry(attempt()))
    empty = applied(Wish(WISH.since, WISH.until, unpriced_only=True), Book([]))
    assert (empty.waiting, empty.booked) == (2, 0)
    question = Question(DAY.date(), DAY.date(), None)
    assert figures.whole(question).unpriced == 2
    done = applied(Wish(WISH.since, WISH.until, unpriced_only=True))
    assert (done.booked, done.booked_nano) == (2, NEW)
    assert figures.whole(question).unpriced == 0
    (arm,) = records.of(question, sure="unpriced")
    assert not arm.exists()
    assert sound(tmp_path)


def test_a_record_is_reckoned_as_a_whole(tmp_path: Path) -> None:
    first = attempt(status="interrupted", model="other", usage_source="estimated")
    (row,) = save(entry(first, attempt(number=2)), entry(attempt(model="third")))[:1]
    assert applied(Wish(WISH.since, WISH.until, "openai", "oth*")).booked == 1
    assert standing(row).cost_nano == 2 * NEW
    assert sound(tmp_path)


def test_free_failed_and_cached_stay_as_they_are(tmp_path: Path) -> None:
    failed = attempt(status="failed", usage=None, usage_source="none", cost_status="none", cost_nano=0)
    save(cached(), entry(attempt(cost_status="free", cost_nano=0)), entry(failed, status="failed"))
    assert applied().found == 0
    assert sound(tmp_path)


def test_the_period_ends_before_its_end(tmp_path: Path) -> None:
    start = DAY.timestamp()
    save(*(entry(attempt(), at=moment) for moment in (start - 1, start, start + 86399, start + 86400)))
    assert applied().booked == 2
    assert sound(tmp_path)


def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    count = 2 * reprice.STEP + 3
    save_entries(raw(*(entry(attempt(), at=NOON) for _ in range(count))))
    started = job(at_once=True)
    price = pricing(BOOK)
    assert reprice.step(started.pk, price)
    half = Repricing.objects.get(pk=started.pk)
    assert (half.looked, half.percent, half.state) == (reprice.STEP, 100 * reprice.STEP // count, "previewing")
    assert reprice.unfinished() == started.pk
    done = reprice.run(started.pk, BOOK)
    assert (done.found, done.booked, done.state) == (count, count, "done")
    assert Adjustment.objects.count() == count
    assert reprice.unfinished() is None
    assert sound(tmp_path)


def test_it_can_be_stopped(tmp_path: Path) -> None:
    save(entry(attempt()))
    started = job(at_once=True)
    assert reprice.cancel(started.pk)
    assert not reprice.cancel(started.pk)
    assert reprice.run(started.pk, BOOK).state == "cancelled"
    assert not Adjustment.objects.exists()


@pytest.mark.parametrize(
    ("wish", "reason"),
    [(Wish(WISH.until, WISH.since), "x"), (WISH, " "), (Wish(WISH.since, WISH.until, model="a*b"), "x")],
)
def test_it_refuses_what_makes_no_sense(wish: Wish, reason: str) -> None:
    with pytest.raises(RepricingRefused):
        reprice.ask(wish, author="fay", reason=reason)


def test_many_random_rows_cost_what_the_book_says_afterwards(tmp_path: Path) -> None:
    random = Random(5)
    for name in ("red", "blue"):
        Team.objects.create(name=name)
    made = []
    for _ in range(150):
        usage = {unit: random.randrange(3000) for unit in random.sample(UNITS[:4], 2)}
        tried = attempt(usage=usage, cost_nano=random.randrange(10**6), model=random.choice(("a", "b")))
        tried.cost_status = random.choice(("priced", "unpriced"))
        tried.cost_nano = tried.cost_nano if tried.cost_status == "priced" else 0
        made.append(entry(tried, at=NOON + random.randrange(3600)))
    rows = save(*made)
    moved = random.sample(rows, 20)
    for row in moved:
        adjust(row, author="fay", reason="moved", team="blue")
    applied()
    for row, original in zip(rows, made, strict=True):
        attempt_of = original.attempts[0]
        expected = BOOK.charge("openai", "openai", attempt_of.model, Usage(**attempt_of.usage or {}), at=NOON)
        assert standing(row).cost_nano == expected.cost_nano
    total = DailyTotal.objects.aggregate(recorded=Sum("cost_nano"), adjusted=Sum("adjusted_nano"))
    assert sum(total.values()) == sum(standing(row).cost_nano for row in rows)
    assert figures.whole(Question(DAY.date(), DAY.date(), None)).total_nano == sum(total.values())
    assert sound(tmp_path)
