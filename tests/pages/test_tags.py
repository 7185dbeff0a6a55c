"""Costs by tag: page, CSV and records agree, what has no tag is a row of its own, corrections move tags' money too."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from accounts.models import RequestRecord, TagTotal, Team
from accounts.store.adjust import adjust
from accounts.store.verify import verify
from tests.pages.making import amount_of, dollars, lines_of, person, signed_in, spend, table_of

pytestmark = pytest.mark.django_db
AT = datetime(2026, 4, 7, 12, tzinfo=UTC)
MONTH = "month=2026-04"


@pytest.fixture(autouse=True)
def spent(settings: Any) -> dict[str, RequestRecord]:
    settings.TAGS = ["project", "feature"]
    for name in ("red", "blue"):
        Team.objects.create(name=name)
    return {
        "search": spend("red", at=AT, cost=100, tags={"project": "shop", "feature": "search"}),
        "cart": spend("red", at=AT, cost=30, tags={"project": "shop", "feature": "cart"}),
        "blog": spend("blue", at=AT, cost=7, tags={"project": "blog"}),
        "none": spend("blue", at=AT, cost=1),
    }


def finance() -> Client:
    return signed_in(person("fay", group="finance"))


def costs(client: Client, query: str) -> dict[str, int]:
    page = client.get(f"/reports/?{MONTH}&{query}").content.decode()
    rows = table_of(page, "costs")
    name = next(iter(rows[0]))
    return {row[name]: dollars(row["Total"]) for row in rows}


def test_it_groups_by_a_tag_and_names_what_has_none() -> None:
    client = finance()
    assert costs(client, "group=tag:project") == {"shop": 130, "blog": 7, "(none)": 1, "Total": 138}
    assert costs(client, "group=tag:feature") == {"search": 100, "cart": 30, "(none)": 8, "Total": 138}
    rows = lines_of(client.get(f"/reports/costs.csv?{MONTH}&group=tag:project"))
    assert {row["tag_project"]: row["total_usd"] for row in rows} == {
        "shop": "0.000000130",
        "blog": "0.000000007",
        "": "0.000000001",
    }


def test_it_filters_by_a_tag() -> None:
    client = finance()
    assert costs(client, "tag=project%3Dshop") == {"red": 130, "Total": 130}
    assert costs(client, "tag=project%3Dshop&group=tag:project") == {"shop": 130, "Total": 130}
    page = client.get(f"/reports/records/?{MONTH}&tag=project%3Dshop").content.decode()
    assert amount_of(page) == 130
    assert len(table_of(page, "records")) == 2
    rows = lines_of(client.get(f"/reports/records.csv?{MONTH}&tag=feature%3Dcart"))
    assert [row["tags"] for row in rows] == ["feature=cart, project=shop"]


def test_it_says_why_two_tags_cannot_be_crossed() -> None:
    answer = finance().get(f"/reports/?{MONTH}&tag=project%3Dshop&group=tag:feature")
    assert answer.status_code == 400
    assert "cannot be grouped by another" in answer.content.decode()


@pytest.mark.parametrize("query", ["tag=%3Dx", "tag=project%3D", "group=tag:nobody"])
def test_it_refuses_what_is_no_tag(query: str) -> None:
    assert finance().get(f"/reports/?{MONTH}&{query}").status_code == 400


def test_a_correction_moves_the_tags_money_too(spent: dict[str, RequestRecord], tmp_path: Path) -> None:
    adjust(spent["search"], author="fay", reason="moved", team="blue", delta=-60)
    client = finance()
    assert costs(client, "tag=project%3Dshop") == {"blue": 40, "red": 30, "Total": 70}
    assert costs(client, "group=tag:feature") == {"search": 40, "cart": 30, "(none)": 8, "Total": 78}
    assert verify(tmp_path) == []


def test_a_team_sees_its_own_tags_only() -> None:
    client = signed_in(person("ann", team=Team.objects.get(name="blue")))
    assert costs(client, "group=tag:project") == {"blog": 7, "(none)": 1, "Total": 8}
    page = client.get(f"/reports/?{MONTH}").content.decode()
    assert "project: blog" in page
    assert "project: shop" not in page


def test_verify_names_a_total_of_a_tag_that_is_off(tmp_path: Path) -> None:
    TagTotal.objects.filter(tag="feature", value="cart").update(cost_nano=31)
    (problem,) = verify(tmp_path)
    assert "tag feature, value cart" in problem
    assert "cost_nano is 31, its rows make 30" in problem
