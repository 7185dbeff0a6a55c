"""The first page of the admin: today's figures, for those who may see them."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.ledger.journal import Journal
from accounts.models import DailyTotal, LedgerQuarantine
from proxy.surfaces.gateway import install
from routing.models import Breaker
from tests.accounts.making import entry
from tests.admin import rows

pytestmark = pytest.mark.django_db


def page(user: User) -> str:
    return " ".join(rows.signed_in(user).get(reverse("admin:index")).content.decode().split())


def test_it_shows_what_today_looks_like(settings: Settings, tmp_path: Path) -> None:
    settings.JOURNAL_DIR = tmp_path
    (tmp_path / "host-1-a.lock").touch()
    day = timezone.localdate()
    DailyTotal.objects.create(
        day=day, team="a", provider="p", model="m", requests=1200, failed=6, cached=200, cost_nano=12_345_000_000
    )
    DailyTotal.objects.create(day=day, team="a", provider="groq", model="llama", requests=4, unpriced=4)
    LedgerQuarantine.objects.create(raw="{}", error="x")
    rows.asked(rows.team(), rows.person("ann"))
    moment = timezone.now()
    Breaker.objects.create(target="p/bad", state="open", opened=1, since=moment, until=moment, changed_at=moment)
    Breaker.objects.create(target="p/good", state="closed", since=moment, until=moment, changed_at=moment)
    text = page(rows.root())
    for title, value in [
        ("Spent today", "$12.34"),
        ("Requests today", "1,204"),
        ("Failed or cut today", "6"),
        ("Models without a price", "1"),
        ("Key requests waiting", "1"),
        ("Journal backlog", "unknown"),
        ("Targets in trouble", "1"),
        ("Ledger rows in quarantine", "some"),
    ]:
        assert f"<h3>{title}</h3> <strong>{value}</strong>" in text, title
    assert "groq/llama" in text
    assert "p/bad" in text
    assert "1 journal on this host" in text


def test_it_shows_figures_only_to_those_who_may_see_them() -> None:
    assert "Spent today" in page(rows.person("vera", "viewer"))
    assert "<h3>" not in page(rows.person("lea", "team-lead"))


def test_it_warns_of_rows_that_wait_for_the_database(tmp_path: Path) -> None:
    journal = Journal(tmp_path, cap_bytes=64 * 1024 * 1024)
    for number in range(6_000):
        journal.settle(entry(id=f"id-{number}", status="settled"))
    install(SimpleNamespace(journal=journal))  # type: ignore[arg-type]
    try:
        assert 'ql-warn"> <h3>Journal backlog</h3> <strong>6,000</strong>' in page(rows.root())
    finally:
        install(None)
        journal.close()
