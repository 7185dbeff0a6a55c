"""What one room has to ask another, answered here, since the rooms do not know each other."""

import time
from collections.abc import Callable, Iterable

from accounts.models import Budget, Price, Team
from accounts.store.prices import load_book
from routing.checks import Named
from routing.kinds import KINDS
from routing.models import Provider
from routing.snapshot import compile
from routing.store import document_of, latest


def priced() -> Callable[[str, str, str], bool]:
    """Return how to ask whether a provider, its kind and an upstream model have a price today."""
    book, now = load_book(), time.time()
    return lambda provider, kind, model: book.find(provider, kind, model, now) is not None


def teams() -> Callable[[str], bool]:
    """Return how to ask whether there is a team of this short name."""
    return set(Team.objects.values_list("name", flat=True)).__contains__


def named() -> Named:
    """Return the routes that have a budget, and the providers that have prices of their own."""
    budgets = Budget.objects.filter(active=True).exclude(route="").order_by().values_list("route", flat=True)
    prices = Price.objects.exclude(provider="").order_by().values_list("provider", flat=True)
    return Named(frozenset(budgets), frozenset(prices.distinct()))


def uncounted(name: str, team: str) -> list[str]:
    """Say which calls do not count on a budget on the route `name`, though one might think so."""
    table = compile(document_of(latest()), {}, 0)
    opened = {route.name for route in table.tables.by_name.values()}
    named = [route for route in table.routes if route.name == name and route.enabled and not route.alias_of]
    if not named and name not in opened:
        match = table.find(name, team)
        if match is None:
            return [f"No route is called {name}: as long as there is none, nothing counts on this budget."]
        return [f"Calls for {name} count on the route {match.route.name}: nothing counts on this budget."]
    targets = {(target.provider.name, target.model) for route in named for target in route.targets}
    return [
        f"Calls that name the provider, such as {provider}/{model or name}, count on {provider}/*, not on this budget."
        for provider, model in sorted(targets)
        if f"{provider}/*" in opened
    ]


def unpricing(provider: str, kind: str) -> list[str]:
    """Say why a price for this provider, this kind, or both, prices nothing."""
    if kind and kind not in KINDS:
        return [f"There is no kind {kind}, so this prices nothing. The kinds are {', '.join(KINDS)}."]
    if not provider:
        return []
    serving = {each["name"]: each["kind"] for each in document_of(latest())["providers"]}
    found = serving | dict(Provider.objects.values_list("name", "kind"))
    if provider not in found:
        return [f"No provider is called {provider}: as long as there is none, this prices nothing."]
    if kind and kind != found[provider]:
        return [f"The provider {provider} is of kind {found[provider]}, not {kind}, so this prices nothing."]
    return []


def unserved(names: Iterable[str], team: str) -> list[str]:
    """Return those of the names that lead calls of this team nowhere. What a pattern stands for is not known."""
    table = compile(document_of(latest()), {}, 0)
    return [name for name in names if "*" not in name and table.find(name, team) is None]
