"""Budgets on the pages: who sees which, who sets them, and that page, ledger and admin agree."""

import pytest
from django.urls import reverse

from accounts.models import Budget, BudgetLease, DailyTotal, Team
from accounts.store.standing import standings
from tests.admin import rows
from tests.pages.making import House, house, person, signed_in

pytestmark = pytest.mark.django_db
USD = 10**9


@pytest.fixture
def made() -> House:
    return house()


def budget(**fields: object) -> Budget:
    return Budget.objects.create(**{"amount_nano": 10 * USD, "window": "total", **fields})


def test_it_stands_as_the_ledger_and_the_leases_say(made: House) -> None:
    row = budget(team=made.teams["red"])
    spent = sum(total.cost_nano for total in DailyTotal.objects.filter(team="red"))
    lease = {"first": "1970-01-01", "holder": "x", "seen_at": "2026-01-01T00:00Z"}
    BudgetLease.objects.create(id="a", budget=row, granted_nano=5 * USD, drained_nano=USD, idle_nano=USD, **lease)
    found = standings([row])[0]
    assert spent > 0
    assert (found.spent_nano, found.held_nano, found.left_nano) == (spent, 3 * USD, 7 * USD - spent)
    assert (found.resets_at, found.mood) == (None, "")


@pytest.mark.parametrize(
    ("amount", "mood", "percent"), [(0, "bad", 100), (100, "", 50), (60, "warn", 83), (50, "bad", 100)]
)
def test_its_mood_follows_what_is_spent(amount: int, mood: str, percent: int) -> None:
    row = budget(team=Team.objects.create(name="green"), amount_nano=amount, window="month")
    found = standings([row])[0]
    DailyTotal.objects.create(day=found.window.first, team="green", cost_nano=50)
    found = standings([row])[0]
    assert (found.mood, found.percent) == (mood, percent)


def test_members_see_their_team_s_budgets_and_nobody_else_s(made: House) -> None:
    budget(team=made.teams["red"], route="secret-red-route")
    budget(team=made.teams["blue"], route="secret-blue-route")
    page = made.client("member").get(reverse("portal:keys")).content.decode()
    assert "secret-red-route" in page
    assert "secret-blue-route" not in page
    page = made.client("member").get(reverse("portal:key", args=[made.keys["red"].id8])).content.decode()
    assert "Budgets that its calls count on" in page
    assert "secret-red-route" in page


def test_approvers_set_a_key_s_budget_and_members_do_not(made: House) -> None:
    key = made.keys["red"]
    address = reverse("portal:budget", args=[key.id8])
    assert made.client("member").get(address).status_code == 403
    ops = signed_in(person("approver", group="ops"))
    assert "Set it" in ops.get(reverse("portal:key", args=[key.id8])).content.decode()
    assert ops.post(address, {"amount": "nonsense"}).status_code == 400
    assert ops.post(address, {"amount": "12.5"}).status_code == 302
    row = Budget.objects.get()
    assert (row.key, row.amount_nano, row.hard, row.updated_by) == (key, 12_500_000_000, True, "approver")
    page = made.client("member").get(reverse("portal:key", args=[key.id8])).content.decode()
    assert "$12.50" in page
    assert ops.post(address, {"amount": ""}).status_code == 302
    assert not Budget.objects.exists()


def test_nobody_sets_the_budget_of_a_key_of_their_own(made: House) -> None:
    made.keys["red"].owner = "approver"
    made.keys["red"].save()
    ops = signed_in(person("approver", group="ops"))
    assert ops.post(reverse("portal:budget", args=[made.keys["red"].id8]), {"amount": "12.5"}).status_code == 403


def test_ops_make_a_budget_in_the_admin_and_its_scope_stays(made: House) -> None:
    ops = rows.signed_in(rows.person("olga", "ops"))
    form = {"team": made.teams["red"].pk, "route": "gpt", "window": "day", "amount_nano": "2.50", "hard": "on"}
    form |= {"thresholds": "80, 50 %", "active": "on", "note": ""}
    assert ops.post(reverse("admin:accounts_budget_add"), form).status_code == 302
    row = Budget.objects.get()
    assert (row.amount_nano, row.thresholds, row.created_by) == (2_500_000_000, [50, 80], "olga")
    assert "already" in ops.post(reverse("admin:accounts_budget_add"), form).content.decode()
    change = reverse("admin:accounts_budget_change", args=[row.pk])
    assert ops.post(change, form | {"amount_nano": "3", "route": "other", "window": "month"}).status_code == 302
    row.refresh_from_db()
    assert (row.amount_nano, row.route, row.window) == (3 * USD, "gpt", "day")
    listing = ops.get(reverse("admin:accounts_budget_changelist")).content.decode()
    assert "team red, route gpt" in listing
    assert "$3.00" in listing


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("amount_nano", "-1", "below zero"),
        ("thresholds", "0, 50", "Whole percentages"),
        ("thresholds", "half", "Whole percentages"),
        ("team", "", "Say what the budget is on"),
    ],
)
def test_the_form_says_what_is_wrong(field: str, value: str, said: str, made: House) -> None:
    ops = rows.signed_in(rows.person("olga", "ops"))
    form = {"team": made.teams["red"].pk, "window": "day", "amount_nano": "1", "thresholds": "50"} | {field: value}
    page = ops.post(reverse("admin:accounts_budget_add"), form)
    assert page.status_code == 200
    assert said in page.content.decode()
    assert not Budget.objects.exists()


def test_the_key_form_of_the_admin_sets_the_same_budget(made: House) -> None:
    key, ops = made.keys["red"], rows.signed_in(rows.person("olga", "ops"))
    address = reverse("admin:accounts_apikey_change", args=[key.pk])
    form = {"label": key.label, "owner": key.owner, "models": "", "monthly_budget_nano": "7"}
    assert ops.post(address, form).status_code == 302
    assert Budget.objects.get().amount_nano == 7 * USD
    assert 'value="7.00"' in ops.get(address).content.decode()
    assert ops.post(address, form | {"monthly_budget_nano": ""}).status_code == 302
    assert not Budget.objects.exists()


def test_a_budget_of_nothing_is_a_budget(made: House) -> None:
    key = rows.key(made.teams["red"], "frozen", monthly_budget_nano=0)
    page = made.client("member").get(reverse("portal:key", args=[key.id8])).content.decode()
    assert page.count("of $0") == 2  # beside what was spent, and among the budgets its calls count on
