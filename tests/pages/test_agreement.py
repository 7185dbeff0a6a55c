"""Page, CSV, records and ledger say the same, to the nano."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.ledger.entry import Entry
from accounts.models import RequestRecord, Team
from accounts.money import nano
from accounts.reports import records
from accounts.reports.question import LABELS
from accounts.store.adjust import adjust
from accounts.store.ledger import save_entries
from accounts.store.verify import verify
from tests.accounts.making import attempt, cached, entry, raw
from tests.pages.making import addresses, amount_of, dollars, lines_of, person, signed_in, table_of, text_of

pytestmark = pytest.mark.django_db
TEAMS, CENTRES = ("red", "blue", "green"), ("c1", "c2", "")
MODELS, PROVIDERS = ("gpt-5", "gpt-5-mini", "llama", "=evil"), ("openai", "groq", "")
KEYS = ("keyAAAA1", "keyBBBB2")
START = datetime(2026, 3, 30, tzinfo=UTC)
COUNT = 240


@dataclass
class Booked:
    """One thing booked, as the test itself reckons it."""

    facts: dict[str, str]
    nano: int


def drawn(random: Random) -> Entry:
    at = (START + timedelta(seconds=random.randrange(40 * 86400))).timestamp()
    provider, model = random.choice(PROVIDERS), random.choice(MODELS)
    facts: dict[str, Any] = {
        "at": at,
        "team": random.choice(TEAMS),
        "cost_centre": random.choice(CENTRES),
        "key_id": random.choice(KEYS),
        "route": model,
        "provider": provider,
        "model": model,
    }
    if random.random() < 0.15:
        return cached(**facts, saved_nano=random.randrange(10**8), tokens_saved=random.randrange(10**4))
    sort = random.choice(["provider", "provider", "estimated", "unpriced"])
    cost = 0 if sort == "unpriced" else random.choice([1, random.randrange(10**7), random.randrange(10**12)])
    tried = attempt(
        provider=provider,
        model=model,
        cost_nano=cost,
        started_at=at,
        cost_status="unpriced" if sort == "unpriced" else "priced",
        usage_source="estimated" if sort == "estimated" else "provider",
        status=random.choice(["settled", "settled", "interrupted"]),
    )
    return entry(tried, **facts, status=tried.status)


def corrected(random: Random, record: RequestRecord) -> None:
    change = random.choice(["cost", "team", "cost_centre", "all"])
    wanted: dict[str, Any] = {}
    if change in ("cost", "all"):
        wanted["cost_nano"] = record.cost_nano + random.randrange(1, 10**9)
    if change in ("team", "all"):
        wanted["team"] = random.choice([team for team in TEAMS if team != record.team])
    if change in ("cost_centre", "all"):
        wanted["cost_centre"] = f"moved-{random.randrange(3)}"
    adjust(record, author="fay", reason="tests", **wanted)


@pytest.fixture
def ledger(tmp_path: Path) -> list[Booked]:
    random = Random(7)
    for name in TEAMS:
        Team.objects.create(name=name)
    made = [drawn(random) for _ in range(COUNT)]
    for start in range(0, COUNT, 50):
        save_entries(raw(*made[start : start + 50]))
    for record in random.sample(list(RequestRecord.objects.order_by("id")), 40):
        corrected(random, record)
        if random.random() < 0.4:  # and once more
            adjust(record, author="fay", reason="again", delta=1, team=random.choice(TEAMS))
    assert verify(tmp_path) == []
    return [each for record in RequestRecord.objects.prefetch_related("adjustments") for each in booked(record)]


def booked(record: RequestRecord) -> Iterable[Booked]:
    """Double entry, reckoned apart from the code under test."""
    facts = {"day": record.day.isoformat(), "model": record.model, "provider": record.provider}
    facts |= {"key": record.key_id, "route": record.route, "team": record.team, "cost_centre": record.cost_centre}
    yield Booked(facts, record.cost_nano)
    amount = record.cost_nano
    for each in sorted(record.adjustments.all(), key=lambda adjustment: adjustment.pk):
        yield Booked(facts, -amount)
        moved = {"team": each.team, "cost_centre": each.cost_centre}
        facts = facts | {name: text for name, text in moved.items() if text is not None}
        amount += each.cost_nano_delta
        yield Booked(facts, amount)


def finance() -> Client:
    return signed_in(person("fay", group="finance"))


def of_team(name: str) -> Client:
    return signed_in(person("ann", team=Team.objects.get(name=name)))


QUERIES: list[dict[str, str]] = [
    {"month": "2026-04"},
    {"month": "2026-03"},
    {"from": "2026-03-30", "to": "2026-05-09"},
    {"from": "2026-04-07", "to": "2026-04-07"},
    {"month": "2026-04", "team": "red"},
    {"month": "2026-04", "team": "blue", "model": "gpt-5"},
    {"month": "2026-04", "provider": "(none)"},
    {"month": "2026-04", "cost_centre": "(none)"},
    {"month": "2026-04", "cost_centre": "moved-1"},
    {"month": "2026-04", "team": "green", "cost_centre": "c1", "key": KEYS[0]},
    {"month": "2026-04", "route": "=evil", "key": KEYS[1]},
]


def fits(query: dict[str, str], team: str | None) -> Callable[[Booked], bool]:
    first, last = query.get("from", f"{query.get('month')}-01"), query.get("to", f"{query.get('month')}-31")
    only = {name: "" if value == "(none)" else value for name, value in query.items() if name in LABELS}

    def fit(each: Booked) -> bool:
        inside = first <= each.facts["day"] <= last and (team is None or each.facts["team"] == team)
        return inside and all(each.facts[name] == value for name, value in only.items())

    return fit


@pytest.mark.parametrize("team", [None, "red"])
def test_it_says_the_same_everywhere(ledger: list[Booked], team: str | None) -> None:
    client = of_team(team) if team else finance()
    compared = 0
    for query in QUERIES:
        mine = [each for each in ledger if fits(query, team)(each)]
        total = sum(each.nano for each in mine)
        for group in LABELS:
            asked = urlencode(query | {"group": group})
            page = client.get(f"/reports/?{asked}").content.decode()
            if "Nothing was called" in page:
                assert total == 0
                continue
            compared += 1
            by_group: dict[str, int] = defaultdict(int)
            for each in mine:
                by_group[each.facts[group]] += each.nano
            *rows, foot = table_of(page, "costs")
            shown = {row[LABELS[group]].replace("(none)", ""): dollars(row["Total"]) for row in rows}
            assert amount_of(page) == dollars(foot["Total"]) == total
            assert sum(shown.values()) == total
            assert {name: cost for name, cost in shown.items() if cost} == {n: c for n, c in by_group.items() if c}
            lines = lines_of(client.get(f"/reports/costs.csv?{asked}"))
            heading = LABELS[group].lower().replace(" ", "_")
            assert {bare(line[heading]): nano(line["total_usd"], signed=True) for line in lines} == shown
        lines = lines_of(client.get(f"/reports/records.csv?{urlencode(query)}"))
        assert sum(nano(line["total_usd"], signed=True) for line in lines) == total
        assert all(sum(amounts(line)[1:]) == amounts(line)[0] for line in lines)
        if lines:
            assert amount_of(client.get(f"/reports/records/?{urlencode(query)}").content.decode(), "total") == total
    assert compared > 30


def bare(cell: str) -> str:
    return cell.removeprefix("'")


def amounts(line: dict[str, str]) -> list[int]:
    return [nano(line[name], signed=True) for name in ("total_usd", "recorded_usd", "adjusted_usd")]


def test_it_adds_up_what_is_beside_the_money(ledger: list[Booked]) -> None:
    client, rows = finance(), RequestRecord.objects.filter(day__month=4)
    summary = lines_of(client.get("/reports/costs.csv?month=2026-04&group=model"))
    every = lines_of(client.get("/reports/records.csv?month=2026-04"))
    for name, counted in {
        "requests": rows,
        "cached": rows.filter(status="cached"),
        "interrupted": rows.filter(status="interrupted"),
        # Whoever corrected one has said what it cost.
        "unpriced": rows.filter(cost_status="unpriced").exclude(adjustments__cost_nano_delta__gt=0),
    }.items():
        assert sum(int(line[name]) for line in summary) == counted.count() > 0, name
    assert sum(line["booked"] == "record" for line in every) == rows.count()
    for name in ("saved_usd", "tokens_saved"):
        assert sum(nano(line[name]) for line in summary) == sum(nano(line[name]) for line in every) > 0
    estimated = sum(row.cost_nano for row in rows if row.usage_source == "estimated")
    assert sum(nano(line["estimated_usd"]) for line in summary) == estimated
    tokens = sum(int(line["input"]) + int(line["cached_input"]) for line in every)
    assert sum(int(line["input_tokens"]) for line in summary) == tokens > 0


def test_it_pages_through_every_record_once(ledger: list[Booked]) -> None:
    client, seen, path = finance(), [], "/reports/records/?from=2026-03-30&to=2026-05-09"
    total = 0
    while path:
        page = client.get(path).content.decode()
        rows = table_of(page, "records")
        assert len(rows) <= records.PAGE
        seen += [row["Time"] for row in rows]
        total += sum(dollars(row["Cost"]) for row in rows)
        path = next((each for each in _links(page) if "after=" in each), "")
    assert len(seen) == COUNT
    assert seen == sorted(seen, reverse=True)
    assert total == sum(each.nano for each in ledger)


def _links(page: str) -> list[str]:
    return [f"/reports/records/{each}" for each in addresses(page) if each.startswith("?")]


def test_it_never_counts_the_ledger(ledger: list[Booked]) -> None:
    client = finance()
    for path in ("/reports/", "/reports/records/", "/reports/costs.csv", "/reports/records.csv"):
        with CaptureQueriesContext(
            connection,
        ) as asked:
            text_of(client.get(f"{path}?month=2026-04"))
        statements = [each["sql"] for each in asked.captured_queries]
        about_records = [
            each for each in statements if "accounts_requestrecord" in each and "accounts_dailytotal" not in each
        ]
        assert not any("COUNT(" in each or "SUM(" in each for each in about_records), path
        assert len(statements) < 30, path


def test_it_streams_the_records_in_pieces(ledger: list[Booked]) -> None:
    response = finance().get("/reports/records.csv?from=2026-03-30&to=2026-05-09")
    assert response.streaming
    assert response.is_async


def test_it_gives_htmx_the_report_alone(ledger: list[Booked]) -> None:
    client = finance()
    whole = client.get("/reports/?month=2026-04&group=model")
    part = client.get("/reports/?month=2026-04&group=model&team=", headers={"HX-Request": "true"})
    assert "<html" in whole.content.decode()
    assert "<html" not in part.content.decode()
    assert amount_of(whole.content.decode()) == amount_of(part.content.decode())
    assert part["HX-Push-Url"] == "?month=2026-04&group=model"
    assert "HX-Request" in part["Vary"]
