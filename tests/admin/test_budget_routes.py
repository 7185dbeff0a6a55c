"""Whoever sets a budget is told what is wrong with it, and which calls do not count on it though they seem to."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Budget, Price, Team
from routing import store
from routing.models import Route
from tests.admin.forms import Fields
from tests.admin.rows import person, signed_in
from tests.routing.tables import table

pytestmark = pytest.mark.django_db
PROVIDERS = [{"name": "open", "kind": "stub", "by_name": True}, {"name": "shut", "kind": "stub"}]
ROUTES = [
    {"name": "gpt", "targets": [{"provider": "open", "model": "gpt-4o"}, {"provider": "shut"}]},
    {"name": "plain", "targets": [{"provider": "shut"}]},
    {"name": "fast", "alias_of": "gpt", "targets": []},
    {"name": "own", "team": "red", "targets": [{"provider": "shut"}]},
]
DEAD = "nothing counts on this budget"
OFTEN = {
    "gpt": "Calls that name the provider, such as open/gpt-4o, count on open/*, not on this budget.",
    "plain": "",
    "own": "",
    "open/*": "",
    "fast": f"Calls for fast count on the route gpt: {DEAD}.",
    "open/gpt-4o": f"Calls for open/gpt-4o count on the route open/*: {DEAD}.",
    "gtp": f"No route is called gtp: as long as there is none, {DEAD}.",
}


@pytest.fixture
def ops() -> Client:
    store.apply(table(PROVIDERS, ROUTES), "ann")
    Team.objects.create(name="red")
    return signed_in(person("olga", "ops"))


@pytest.mark.parametrize(("route", "told"), OFTEN.items(), ids=OFTEN)
def test_it_says_what_does_not_count(ops: Client, route: str, told: str) -> None:
    form = {"route": route, "window": "month", "amount_nano": "5", "hard": "on", "active": "on", "thresholds": "80"}
    page = ops.post(reverse("admin:accounts_budget_add"), form, follow=True)
    assert Budget.objects.get().route == route
    said = [str(message) for message in page.context["messages"] if message.level_tag == "warning"]
    assert said == ([told] if told else [])


def test_of_a_team_s_budget_the_team_s_own_routes_are_asked(ops: Client) -> None:
    form = {"team": Team.objects.get().pk, "route": "own", "window": "day", "amount_nano": "5", "active": "on"}
    page = ops.post(reverse("admin:accounts_budget_add"), form, follow=True)
    assert not [message for message in page.context["messages"] if DEAD in str(message)]


def test_it_says_once_what_is_wrong_with_a_budget(ops: Client) -> None:
    form = {"route": "gpt", "window": "month", "amount_nano": "5", "active": "on"}
    wrong = {
        "There is a budget of this scope and window already: change that one.": form,
        "Say what the budget is on: a team, a key, a route, or a pair of them.": form | {"route": ""},
    }
    assert ops.post(reverse("admin:accounts_budget_add"), form).status_code == 302
    for sentence, sent in wrong.items():
        page = ops.post(reverse("admin:accounts_budget_add"), sent)
        assert page.context["adminform"].form.errors == {"__all__": [sentence]}


def test_who_renames_a_route_or_a_provider_is_told_of_its_budgets_and_prices(ops: Client) -> None:
    Budget.objects.create(route="plain", amount_nano=5)
    Budget.objects.create(route="open/*", amount_nano=5)
    Budget.objects.create(route="own", team=Team.objects.get(), amount_nano=5, active=False)
    Price.objects.create(provider="shut", model="m", effective_from=timezone.now(), input=1)
    moved = [{**each, "name": f"new-{each['name']}"} for each in PROVIDERS]
    rows = [{"name": "gpt", "targets": [{"provider": "new-open"}]}, {"name": "plainer", "targets": []}]
    store.take(table(moved, rows), "ann", replace=True)
    found = [each.sentence for each in store.findings(serving=table(PROVIDERS, ROUTES))]
    assert [sentence for sentence in found if "called so" in sentence] == [
        "there are prices for the provider shut, and no provider is called so: they price nothing",
        "a budget is on open/*, and no route is called so: nothing counts on it",
        "a budget is on plain, and no route is called so: nothing counts on it",
    ]
    route = Route.objects.get(name="gpt")
    Budget.objects.create(route="gpt", amount_nano=5)
    form = Fields(ops.get(reverse("admin:routing_route_change", args=[route.pk])).content.decode()).sent
    page = ops.post(reverse("admin:routing_route_change", args=[route.pk]), form | {"name": "gpt-5"}, follow=True)
    told = [str(each) for each in page.context["messages"] if each.level_tag == "warning"]
    assert [sentence for sentence in told if "called so" in sentence] == [
        "A budget is on gpt, and no route is called so: nothing counts on it."
    ]
