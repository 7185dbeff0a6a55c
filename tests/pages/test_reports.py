"""What the reports show: a record with all that was booked for it, shares, many groups, whose eyes see what."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.html import strip_tags

from accounts.models import Adjustment, ApiKey, DailyTotal, RequestRecord, Team
from accounts.money import nano
from accounts.reports import figures, records
from accounts.store.adjust import adjust
from accounts.store.ledger import save_entries
from tests.accounts.making import attempt, cached, entry, raw
from tests.pages.making import amount_of, dollars, lines_of, person, signed_in, spend, table_of, text_of

pytestmark = pytest.mark.django_db
MAY = "/reports/?month=2026-05"


def finance() -> Client:
    user = User.objects.filter(username="fay").first() or person("fay", group="finance")
    return signed_in(user)


def of_team(name: str) -> Client:
    return signed_in(person("ann", team=Team.objects.get(name=name)))


def test_it_keeps_records_of_one_moment_apart() -> None:
    Team.objects.create(name="red")
    at = datetime(2026, 4, 1, 12, tzinfo=UTC)
    for _ in range(5):
        spend("red", at=at)
    rows, seen, after = RequestRecord.objects.all(), [], ""
    while True:
        found, after = records.newest([rows], after, 2)
        seen += [each.pk for each in found]
        if not after:
            break
    assert sorted(seen) == sorted(RequestRecord.objects.values_list("pk", flat=True))
    assert len(seen) == 5


def test_it_shows_a_record_with_its_attempts_and_corrections() -> None:
    for name in ("red", "blue"):
        Team.objects.create(name=name)
    failed = attempt(status="failed", http_status=503, error="overloaded", cost_nano=0, usage=None, cost_status="none")
    made = entry(failed, attempt(number=2, provider="groq", model="llama", cost_nano=700), team="red", cost_centre="r1")
    save_entries(raw(made))
    row = RequestRecord.objects.get(pk=made.id)
    adjust(row, author="fay", reason="refunded in part", delta=-200, external_ref="INV-7")
    adjust(row, author="fay", reason="wrong team", team="blue")
    page = finance().get(f"/reports/records/{row.pk}/").content.decode()
    assert amount_of(page) == 500
    tries = table_of(page, "attempts")
    assert [(each.get("Model"), each.get("Cost")) for each in tries[:2]] == [
        ("gpt-4o", "$0.000000000"),
        ("llama", "$0.000000700"),
    ]
    assert "overloaded" in tries[0]["Answer"]
    _, *lines, foot = table_of(page, "adjustments")
    assert [(each["Booked to"], dollars(each["Amount"])) for each in lines] == [
        ("red / r1", -200),
        ("red / r1", -500),
        ("blue / r1", 500),
    ]
    assert dollars(foot["Amount"]) == 500
    assert "INV-7" in page
    # It is now blue's too, and red still sees what became of it.
    for team in ("red", "blue"):
        client = signed_in(person(f"of-{team}", team=Team.objects.get(name=team)))
        assert client.get(f"/reports/records/{row.pk}/").status_code == 200
        listed = table_of(client.get("/reports/records/?month=2025-11").content.decode(), "records")
        assert [dollars(each["Cost"]) for each in listed] == [0 if team == "red" else 500]


def test_it_does_not_leak_what_moved_between_others() -> None:
    for name in ("red", "blue", "green"):
        Team.objects.create(name=name)
    row = spend("red", at=datetime(2026, 4, 1, tzinfo=UTC), cost=777_000)
    adjust(row, author="fay", reason="secret reason", team="blue", cost_centre="shared")
    client = of_team("green")
    assert client.get(f"/reports/records/{row.pk}/").status_code == 404
    for query in ("", "&cost_centre=shared", "&team=blue", "&team=red"):
        for path in ("/reports/", "/reports/records/", "/reports/records.csv", "/reports/costs.csv"):
            body = text_of(client.get(f"{path}?month=2026-04{query}"))
            assert "secret reason" not in body
            assert "777" not in body


def test_it_says_what_is_estimated_and_unpriced_and_saved() -> None:
    Team.objects.create(name="red")
    at = datetime(2026, 4, 1, tzinfo=UTC).timestamp()
    sure = entry(attempt(cost_nano=3_000_000_000, started_at=at), at=at)
    guess = entry(attempt(cost_nano=1_000_000_000, started_at=at, usage_source="estimated"), at=at)
    unknown = entry(attempt(cost_nano=0, started_at=at, cost_status="unpriced"), at=at)
    hit = cached(at=at, saved_nano=2_500_000_000, tokens_saved=1200)
    save_entries(raw(sure, guess, unknown, hit))
    page = finance().get("/reports/?month=2026-04").content.decode()
    assert amount_of(page) == 4_000_000_000
    plain = " ".join(strip_tags(page).split())
    assert "Estimated 25% $1.000000000 rests on our own token count" in plain
    assert "Without a price 25% 1 request not in the total" in plain
    assert "Saved by the cache $2.500000000 25% of requests, 1,200 tokens" in plain
    only = finance_records("sure=unpriced")
    assert [row["Model"].split("\n")[0] for row in only] == ["gpt-4o"]
    assert len(finance_records("sure=estimated")) == 1
    assert len(finance_records("status=cached")) == 1


def finance_records(query: str) -> list[dict[str, str]]:
    return table_of(finance().get(f"/reports/records/?month=2026-04&{query}").content.decode(), "records")


def test_it_shows_the_way_to_the_month_before_where_this_one_is_empty() -> None:
    Team.objects.create(name="red")
    spend("red", at=datetime(2026, 4, 30, 12, tzinfo=UTC))
    client = finance()
    assert '<a class="button" href="/reports/?month=2026-04">April 2026</a>' in client.get(MAY).content.decode()
    assert "month=2026-04" not in client.get("/reports/?month=2026-06").content.decode().split("Nothing was called")[1]


def test_it_folds_many_groups_into_one_line_without_losing_a_nano() -> None:
    many = figures.SHOWN_ROWS + 20
    day = date(2026, 4, 2)
    DailyTotal.objects.bulk_create(
        DailyTotal(day=day, team="red", model=f"m{n}", cost_nano=n + 1, adjusted_nano=2, requests=1)
        for n in range(many)
    )
    page = finance().get("/reports/?month=2026-04&group=model").content.decode()
    *rows, last, foot = table_of(page, "costs")
    assert last["Model"] == "20 more"
    assert (
        dollars(foot["Total"])
        == sum(dollars(row["Total"]) for row in [*rows, last])
        == many * (many + 1) // 2 + 2 * many
    )
    lines = lines_of(finance().get("/reports/costs.csv?month=2026-04&group=model"))
    assert len(lines) == many
    assert sum(nano(line["total_usd"]) for line in lines) == dollars(foot["Total"])


def test_it_asks_for_this_month_where_nothing_is_said(home: Any) -> None:
    page = home.client("finance").get("/reports/").content.decode()
    assert amount_of(page) == 2 * 1_234_567
    assert home.client("finance").get("/reports/?month=2020-01").status_code == 200
    assert ApiKey.objects.count() == 2
    assert Adjustment.objects.count() == 0
