"""Breakers in the admin: seen, opened and closed by hand, with a note."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from routing.health import Health
from routing.models import Breaker
from routing.store.breakers import Exchange
from tests.admin import rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def ops() -> Client:
    rows.provider("openai")
    return rows.signed_in(rows.person("olga", "ops"))


def test_it_shows_who_is_in_trouble_and_why(ops: Client) -> None:
    health, now = Health(), timezone.now().timestamp()
    for _ in range(3):
        health.failed("openai/gpt-4o", "upstream_timeout", now)
    Exchange(health, "one")()
    page = ops.get(reverse("admin:routing_breaker_changelist")).content.decode()
    assert "openai/gpt-4o" in page
    assert "3 failures in a row, the last upstream_timeout" in page
    assert ">open<" in "".join(page.split())


def test_a_wait_that_a_provider_asked_for_is_over_by_itself(ops: Client) -> None:
    Breaker.objects.create(target="openai/gpt-4o", reason="the provider asked us to wait", opened=0)
    address = reverse("admin:routing_breaker_changelist")
    page = "".join(ops.get(address).content.decode().split())
    assert ">closed<" in page
    assert ">half-open<" not in page
    assert not ops.get(address, {"trouble": "yes"}).context["cl"].result_list
    assert not ops.get(reverse("admin:routing_provider_changelist"), {"trouble": "yes"}).context["cl"].result_list
    assert "every breaker is closed" in ops.get(reverse("admin:index")).content.decode()
    Breaker.objects.update(until=timezone.now() + timedelta(minutes=1))
    assert len(ops.get(address, {"trouble": "yes"}).context["cl"].result_list) == 1
    assert "every breaker is closed" not in ops.get(reverse("admin:index")).content.decode()


def test_a_hand_opens_a_target_and_another_closes_it(ops: Client) -> None:
    form = {"target": "openai/gpt-4o", "act": "open", "note": "too dear today"}
    ops.post(reverse("admin:routing_breaker_add"), form)
    row = Breaker.objects.get()
    assert (row.state, row.forced, row.note, row.author) == ("open", True, "too dear today", "olga")
    health = Health()
    share = Exchange(health, "one")
    share()
    assert health.barred("openai/gpt-4o") == "too dear today"
    address = reverse("admin:routing_breaker_change", args=[row.pk])
    assert "opened by hand" in ops.get(address).content.decode()
    ops.post(address, {"act": "close", "note": "cheap again"})
    share()
    assert health.barred("openai/gpt-4o") == ""
    row.refresh_from_db()
    assert (row.state, row.forced, row.note) == ("closed", False, "cheap again")
    assert LogEntry.objects.count() == 2


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"target": "openai/gpt-4o", "act": "open", "note": ""}, "This field is required"),
        ({"target": "nobody/gpt-4o", "act": "open", "note": "x"}, "is no target: write provider/model"),
        ({"target": "openai", "act": "open", "note": "x"}, "is no target: write provider/model"),
    ],
)
def test_it_wants_a_target_and_a_reason(ops: Client, form: dict[str, str], words: str) -> None:
    assert words in ops.post(reverse("admin:routing_breaker_add"), form).content.decode()
    assert not Breaker.objects.exists()


def test_who_only_looks_moves_nothing() -> None:
    rows.provider("openai")
    viewer = rows.signed_in(rows.person("vera", "viewer"))
    form = {"target": "openai/gpt-4o", "act": "open", "note": "x"}
    assert viewer.post(reverse("admin:routing_breaker_add"), form).status_code == 403
    assert viewer.get(reverse("admin:routing_breaker_changelist")).status_code == 200
