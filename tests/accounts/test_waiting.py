"""Models without a price: how much waits, and the booking of it once they have one."""

from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from accounts.models import Adjustment, DailyTotal, Price, RequestRecord
from accounts.store import reprice
from accounts.store.ledger import save_entries
from accounts.store.verify import verify
from accounts.store.waiting import preview, waiting
from tests.accounts.making import NOON, attempt, entry, raw, settled

pytestmark = pytest.mark.django_db
DAY = datetime(2025, 11, 20, tzinfo=UTC)


def unpriced(**changes: object) -> list[bytes]:
    facts = {"provider": "lab", "kind": "openai-compatible", "model": "new", "cost_status": "unpriced", "cost_nano": 0}
    return raw(entry(attempt(**{**facts, "price_id": None, **changes})))


def priced(**values: object) -> Price:
    return Price.objects.create(
        **{"model": "new", "provider": "lab", "effective_from": DAY, "input": 10**9, "output": 2 * 10**9, **values}
    )


def settle(*words: str) -> str:
    out = StringIO()
    call_command("prices", "settle-waiting", *words, stdout=out)
    return out.getvalue()


def test_nothing_waits_where_everything_has_a_price() -> None:
    save_entries(raw(settled()))
    assert waiting() == []
    assert settle() == "Nothing waits for a price.\n"


def test_it_says_how_much_waits_and_for_what() -> None:
    save_entries([*unpriced(), *unpriced(), *unpriced(model="other"), *raw(settled())])
    first, second = waiting()
    assert (first.provider, first.model, first.kind, first.calls) == ("lab", "new", "openai-compatible", 2)
    assert (first.tokens, first.since, first.until) == (2400, date(2025, 11, 20), date(2025, 11, 20))
    assert (first.price, first.too_late, second.model) == (None, False, "other")
    priced(provider="", kind="openai-compatible")
    assert waiting()[0].price is not None


def test_what_waits_is_booked_once_and_reports_agree(tmp_path: Path) -> None:
    save_entries([*unpriced(), *unpriced(), *unpriced(model="other"), *raw(settled())])
    before = list(RequestRecord.objects.order_by("pk").values())
    priced()
    # 1000 in at 1 USD and 200 out at 2 USD a million, twice.
    assert "lab/new: 2 adjustments, 0.002800000 USD.\nlab/other: 1 calls wait; it has no price." in settle()
    assert not Adjustment.objects.exists()
    assert len(waiting()) == 2
    assert "lab/new: booked 2 adjustments, 0.002800000 USD." in settle("--apply")
    assert [each.model for each in waiting()] == ["other"]
    assert "lab/new" not in settle("--apply")
    assert sum(each.cost_nano_delta for each in Adjustment.objects.all()) == 2_800_000
    assert sum(each.adjusted_nano for each in DailyTotal.objects.all()) == 2_800_000
    assert list(RequestRecord.objects.order_by("pk").values()) == before
    assert verify(tmp_path) == []


def test_what_was_called_before_the_price_takes_effect_goes_on_waiting() -> None:
    save_entries([*unpriced(), *unpriced(started_at=NOON + 7200)])
    priced(effective_from=datetime.fromtimestamp(NOON + 3600, UTC))
    (each,) = waiting()
    assert each.too_late
    done = reprice.run(preview(each, author="fin", at_once=True).pk)
    assert (done.booked, done.waiting) == (1, 1)
    assert waiting()[0].calls == 1


def test_an_unapproved_price_settles_nothing(settings: object) -> None:
    settings.PRICE_APPROVAL = True  # type: ignore[attr-defined]
    save_entries(unpriced())
    priced()
    assert "it has no price" in settle("--apply")


def test_a_booking_that_was_asked_for_is_shown() -> None:
    save_entries(unpriced())
    priced()
    job = preview(waiting()[0], author="fin")
    assert waiting()[0].job == job
    reprice.cancel(job.pk)
    assert waiting()[0].job is None


def test_an_attempt_without_a_price_is_found_behind_the_one_that_answered(tmp_path: Path) -> None:
    first = attempt(provider="lab", kind="k", model="new", status="interrupted", cost_status="unpriced", cost_nano=0)
    first.price_id = None
    save_entries(raw(entry(first, attempt(number=2))))
    (each,) = waiting()
    assert (each.provider, each.model) == ("openai", "gpt-4o")
    priced()
    Price.objects.create(model="gpt-4o", provider="openai", effective_from=DAY, input=0, output=0)
    settle("--apply")
    assert waiting() == []
    assert Adjustment.objects.get().cost_nano_delta == 1_400_000 - 4_500_000
    assert verify(tmp_path) == []
