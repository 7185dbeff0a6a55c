"""Two people at one key, team or budget: what one saved is not overwritten by a form that was opened before."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import signing
from django.test import Client
from django.urls import reverse

from accounts.admin.careful import SALT
from accounts.models import ApiKey, Budget, Team
from accounts.store import budgets
from tests.admin import rows
from tests.admin.forms import Fields

pytestmark = pytest.mark.django_db


@pytest.fixture
def ops() -> Client:
    return rows.signed_in(rows.person("olga", "ops"))


def address(row: Any) -> str:
    return reverse(f"admin:accounts_{row._meta.model_name}_change", args=[row.pk])


def opened(client: Client, row: Any) -> dict[str, str]:
    """The form as a browser holds it."""
    return {name: value for name, value in Fields(client.get(address(row)).content.decode()).sent.items() if value}


def told(answer: Any) -> str:
    assert answer.status_code == 200
    return " ".join(answer.context["adminform"].form.non_field_errors())


def test_a_revoked_key_does_not_come_back_with_a_form_that_was_opened_before(ops: Client) -> None:
    key = rows.key(rows.team())
    form = opened(ops, key)
    ops.post(reverse("admin:accounts_apikey_changelist"), {"action": "disable", "_selected_action": [key.pk]})
    again = ops.post(address(key), form | {"label": "renamed"})
    assert "Disabled is on, and was off" in told(again)
    stays = ApiKey.objects.get()
    assert (stays.disabled, stays.label) == (True, "crawler")
    # The page that says so does not let it through when it is sent once more.
    page = {name: value for name, value in Fields(again.content.decode()).sent.items() if value}
    assert "Nothing was saved" in told(ops.post(address(key), page))
    assert ApiKey.objects.get().disabled
    assert ops.post(address(key), opened(ops, key) | {"label": "renamed"}).status_code == 302
    assert (ApiKey.objects.get().disabled, ApiKey.objects.get().label) == (True, "renamed")


def test_a_key_s_budget_is_not_set_back_either(ops: Client) -> None:
    key = rows.key(rows.team(), monthly_budget_nano=5_000_000_000)
    form = opened(ops, key)
    budgets.set_monthly(key, 1_000_000_000, by="otto")
    assert "Monthly budget is 1.00, and was 5.00" in told(ops.post(address(key), form | {"label": "renamed"}))
    assert Budget.objects.get().amount_nano == 1_000_000_000


def test_a_team_stays_switched_off(ops: Client) -> None:
    team = rows.team()
    form = opened(ops, team)
    ops.post(reverse("admin:accounts_team_changelist"), {"action": "disable", "_selected_action": [team.pk]})
    assert "Disabled is on, and was off" in told(ops.post(address(team), form | {"title": "Search"}))
    assert Team.objects.get().disabled


def test_a_lowered_budget_stays_low(ops: Client) -> None:
    row = Budget.objects.create(team=rows.team(), amount_nano=5_000_000_000)
    mine, theirs = opened(ops, row), opened(ops, row)
    assert ops.post(address(row), theirs | {"amount_nano": "1"}).status_code == 302
    assert "Amount is 1.00, and was 5.00" in told(ops.post(address(row), mine | {"note": "for the pilot"}))
    assert Budget.objects.get().amount_nano == 1_000_000_000


def test_a_person_who_was_switched_off_stays_so() -> None:
    root, ann = rows.signed_in(rows.root()), rows.person("ann", "ops", password="a-long-password")
    change = reverse("admin:auth_user_change", args=[ann.pk])
    page = root.get(change).content.decode()
    form = {name: value for name, value in Fields(page).sent.items() if value}
    assert ann.password not in str(signing.loads(form["seen"], salt=SALT))
    assert root.post(change, form | {"first_name": "Ann"}).status_code == 302
    ann.refresh_from_db()
    assert (ann.first_name, ann.is_active, ann.groups.count()) == ("Ann", True, 1)
    form = {name: value for name, value in Fields(root.get(change).content.decode()).sent.items() if value}
    User.objects.filter(pk=ann.pk).update(is_active=False)
    assert "Active is off, and was on" in told(root.post(change, form | {"first_name": "Anna"}))
    ann.refresh_from_db()
    assert (ann.first_name, ann.is_active) == ("Ann", False)


def test_what_nobody_else_changed_is_saved(ops: Client) -> None:
    team = rows.team()
    key = rows.key(team, models=["gpt-4o", "claude-*"], monthly_budget_nano=5_000_000_000)
    assert ops.post(address(key), opened(ops, key) | {"label": "renamed"}).status_code == 302
    assert ops.post(address(team), opened(ops, team) | {"title": "Search"}).status_code == 302
    assert (ApiKey.objects.get().label, Team.objects.get().title) == ("renamed", "Search")
