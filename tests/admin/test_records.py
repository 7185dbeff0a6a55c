"""The list of request records stays quick: no count, few queries, indexed filters, exact search."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import Budget, DailyTotal, RequestRecord
from accounts.store.adjust import adjust
from tests.admin import rows

pytestmark = pytest.mark.django_db
LIST = "admin:accounts_requestrecord_changelist"


@pytest.fixture
def root() -> Client:
    return rows.signed_in(rows.root())


def many(count: int) -> None:
    rows.record("0199-9999")
    known = RequestRecord.objects.values().get()
    RequestRecord.objects.bulk_create(RequestRecord(**known | {"id": f"0199-{n:04}"}) for n in range(count))
    DailyTotal.objects.create(day=timezone.localdate(), team="search", provider="mock", model="gpt-4o", requests=count)


def test_it_lists_without_counting_and_with_few_queries(root: Client) -> None:
    many(120)
    root.get(reverse(LIST))
    filters = {"team": "search", "status__exact": "settled", "since": "24h", "provider": "mock", "model": "gpt-4o"}
    for query in ({}, {"p": "2"}, {"_facets": "True"}, filters, {"q": "0199-0007"}, {"all": ""}):
        with CaptureQueriesContext(
            connection,
        ) as seen:
            page = root.get(reverse(LIST), query)
        assert page.status_code == 200
        on_ledger = [each["sql"] for each in seen if '"accounts_requestrecord"' in each["sql"]]
        assert not [sql for sql in on_ledger if "COUNT(" in sql.upper() or "DISTINCT" in sql.upper()], query
        assert len(on_ledger) == 1, query
        assert "LIMIT" in on_ledger[0], query
        assert len(seen) <= 8, query


def test_the_ledger_is_not_asked_for_what_never_came_together(root: Client) -> None:
    many(3)
    DailyTotal.objects.create(day=timezone.localdate(), team="red", provider="house", model="llama", requests=1)
    for query in ({"team": "search", "provider": "house"}, {"team": "search", "status__exact": "failed"}):
        with CaptureQueriesContext(connection) as seen:
            page = root.get(reverse(LIST), query)
        assert list(page.context["cl"].result_list) == []
        assert not [each for each in seen if '"accounts_requestrecord"' in each["sql"]]


def test_it_looks_only_through_the_days_on_which_the_filters_meet(root: Client) -> None:
    for number, days in enumerate((40, 20, 0)):
        at = timezone.now() - timedelta(days=days)
        rows.record(
            f"0199-000{number}", at=at, day=timezone.localdate(at), status="failed" if days == 20 else "settled"
        )
        DailyTotal.objects.create(
            day=timezone.localdate(at), team="search", provider="mock", model="gpt-4o", requests=1, failed=days == 20
        )
    with CaptureQueriesContext(connection) as seen:
        page = root.get(reverse(LIST), {"team": "search", "status__exact": "failed"})
    assert [record.pk for record in page.context["cl"].result_list] == ["0199-0001"]
    (sql,) = [each["sql"] for each in seen if 'FROM "accounts_requestrecord"' in each["sql"]]
    assert '"at" >= ' in sql and '"at" < ' in sql
    assert len(root.get(reverse(LIST), {"team": "search", "model": "gpt-4o"}).context["cl"].result_list) == 3


def test_it_pages_on_without_a_total(root: Client) -> None:
    many(59)
    first = root.get(reverse(LIST)).content.decode()
    assert "p=2" in first
    assert "50000" not in first
    assert len(root.get(reverse(LIST), {"p": "2"}).context["cl"].result_list) == 10
    assert len(root.get(reverse(LIST), {"p": "3"}).context["cl"].result_list) == 0
    assert root.get(reverse(LIST), {"p": "99999"}).status_code == 302


@pytest.mark.parametrize(
    ("term", "found"),
    [
        ("0199-0001", 1),
        ("req-7", 1),
        ("AbCd1234", 2),
        ("0199", 0),
        ("%", 0),
        ("____", 0),
        ("0199-000%", 0),
        ("x" * 5000, 0),
    ],
)
def test_it_finds_exact_ids_only(root: Client, term: str, found: int) -> None:
    rows.record("0199-0001", client_request_id="req-7")
    rows.record("0199-0002")
    assert len(root.get(reverse(LIST), {"q": term}).context["cl"].result_list) == found


def test_it_sorts_by_time_only(root: Client) -> None:
    many(3)
    with CaptureQueriesContext(connection) as seen:
        root.get(reverse(LIST), {"o": "7.-3"})
    ordered = [each["sql"] for each in seen if '"accounts_requestrecord"' in each["sql"] and "ORDER BY" in each["sql"]]
    assert len(ordered) == 1
    assert re.search(r'ORDER BY "accounts_requestrecord"\."(at|id)"', ordered[0])


def test_it_refuses_lookups_that_no_filter_offers(root: Client) -> None:
    rows.record()
    for lookup in ("error__regex", "owner__icontains", "tags__contains"):
        assert root.get(reverse(LIST), {lookup: "x"}).status_code in {302, 400}, lookup


def test_it_lists_the_other_rows_with_a_bounded_number_of_queries(root: Client) -> None:
    made = rows.provider()
    team = rows.team()
    ann = rows.person("ann")

    def queries() -> dict[str, int]:
        counted = {}
        for name in ("routing_route", "routing_provider", "accounts_apikey", "accounts_team", "accounts_keyrequest"):
            with CaptureQueriesContext(connection) as seen:
                assert root.get(reverse(f"admin:{name}_changelist")).status_code == 200
            counted[name] = len(seen)
        return counted

    def more(count: int, start: int) -> None:
        for number in range(start, start + count):
            rows.route(f"model-{number}", made)
            rows.key(team, f"key {number}")
            rows.asked(team, ann, name=f"bot {number}")
            rows.team(f"team-{number}")

    more(2, 0)
    queries()
    few = queries()
    more(20, 2)
    assert queries() == few


def test_the_list_shows_what_a_corrected_request_costs_now(root: Client) -> None:
    adjust(rows.record("0199-0001"), author="fay", reason="refund", cost_nano=1_000_000)
    adjust(rows.record("0199-0002", cost_status="unpriced", cost_nano=0), author="fay", reason="price", cost_nano=5)
    rows.record("0199-0003", cost_status="unpriced", cost_nano=0)
    page = root.get(reverse(LIST)).content.decode()
    costs = re.findall(r'class="field-cost[^>]*>\s*([^<]+?)\s*<', page)
    assert sorted(costs) == ["$0.000000005 adjusted", "$0.001000000 adjusted", "unpriced"]


@pytest.mark.parametrize("name", ["budget", "apikey"])
def test_lists_with_spending_look_it_up_once_for_all_rows(root: Client, name: str) -> None:
    queries = []
    for count in (3, 9):
        for number in range(count):
            of = rows.team(f"{name}-{count}-{number}")
            Budget.objects.create(team=of, key=rows.key(of), amount_nano=10**9)
        with CaptureQueriesContext(connection) as seen:
            assert root.get(reverse(f"admin:accounts_{name}_changelist")).status_code == 200
        queries.append(len(seen))
    assert queries[1] <= queries[0]
