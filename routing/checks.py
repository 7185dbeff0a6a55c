"""What is wrong or doubtful about a routing table before it is published. Prices and credentials are asked for.

An error keeps a draft from being published, a warning asks for a second thought. What serves already like this is a
warning at most: nobody is kept from repairing one thing by another that is broken as well.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from routing.document import Document, Entry, label
from routing.kinds import KINDS

ERROR, WARNING = "error", "warning"
MOST_PERCENT = 100

Priced = Callable[[str, str, str], bool]  # provider, kind and upstream model
HasCredential = Callable[[str], bool]  # provider
IsTeam = Callable[[str], bool]  # short name


@dataclass(frozen=True, slots=True)
class Named:
    """What other rooms name: routes that have a budget, providers that have prices of their own."""

    budgets: frozenset[str] = frozenset()
    prices: frozenset[str] = frozenset()


NOTHING_NAMED = Named()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that somebody should know. `what` and `name` say where: a provider or a route.

    `known` is so in what serves too.
    """

    level: str
    what: str
    name: str
    sentence: str
    known: bool = False


def findings(
    table: Document,
    serving: Document,
    *,
    priced: Priced,
    has_credential: HasCredential,
    is_team: IsTeam,
    named: Named = NOTHING_NAMED,
) -> list[Finding]:
    """List what is wrong with `table`, errors first. What is so in `serving` too is no error."""
    known = {*_found(serving, priced, has_credential, is_team), *_gone(serving, named)}
    found = [
        replace(each, level=WARNING, known=True) if each in known else each
        for each in (*_found(table, priced, has_credential, is_team), *_gone(table, named))
    ]
    return sorted(found, key=lambda each: (each.level, each.what, each.name))


def _found(table: Document, priced: Priced, has_credential: HasCredential, is_team: IsTeam) -> Iterator[Finding]:
    providers = {entry["name"]: entry for entry in table["providers"]}
    routes = [entry for entry in table["routes"] if entry["enabled"]]
    used = {target["provider"] for route in routes for target in route["targets"] if target["enabled"]}
    yield from _credentials(providers, used, has_credential)
    yield from _aliases(routes, table["providers"])
    for route in routes:
        yield from _teams(route, is_team)
        yield from _targets(route, providers)
        yield from _prices(route, providers, priced)
    yield from _crossings(routes)
    yield from _taken_names(routes, providers)


def _credentials(providers: dict[str, Entry], used: set[str], has: HasCredential) -> Iterator[Finding]:
    for name, entry in providers.items():
        kind = KINDS[entry["kind"]]
        if entry["enabled"] and kind.credential_required and not has(name):
            level = ERROR if name in used else WARNING
            yield Finding(level, "provider", name, f"provider {name} needs a credential and has none here")


def _aliases(routes: Iterable[Entry], providers: Iterable[Entry]) -> Iterator[Finding]:
    """Aliases that lead nowhere. Those that lead back to themselves are refused as soon as a table is read."""
    teams: dict[str, dict[str, Entry]] = {}
    for route in routes:
        teams.setdefault(route.get("team", ""), {})[route["name"]] = route
    by_name = tuple(f"{each['name']}/" for each in providers if each["by_name"] and each["enabled"])
    for route in routes:
        alias_of = route.get("alias_of", "")
        if not alias_of:
            continue
        name = label(route)
        # Its callers find the routes of its own team, and those for everybody.
        found = [teams.get(team, {}) for team in dict.fromkeys(("", route.get("team", "")))]
        anything = any(each.get("default") for known in found for each in known.values())
        if not (anything or alias_of.startswith(by_name) or any(_matches(alias_of, known) for known in found)):
            yield Finding(ERROR, "route", name, f"route {name} is an alias of {alias_of}, which nothing serves")


def _matches(asked: str, routes: Mapping[str, Entry]) -> bool:
    """Whether a route of this name, or a pattern that holds it, is there."""
    if asked in routes or "*" in asked:
        return True
    return any(asked.startswith(b) and asked.endswith(a) for b, star, a in map(_halves, routes) if star)


def _halves(name: str) -> tuple[str, str, str]:
    return name.partition("*")


def _teams(route: Entry, is_team: IsTeam) -> Iterator[Finding]:
    team = route.get("team", "")
    if team and not is_team(team):
        sentence = f"route {label(route)} is for a team that there is not: nobody's calls find it"
        yield Finding(WARNING, "route", label(route), sentence)


def _targets(route: Entry, providers: dict[str, Entry]) -> Iterator[Finding]:
    if route.get("alias_of"):
        return
    name = label(route)
    on = [target for target in route["targets"] if target["enabled"]]
    live = [target for target in on if providers[target["provider"]]["enabled"]]
    if not live:
        why = "no target" if not route["targets"] else "no target that is on"
        yield Finding(ERROR, "route", name, f"route {name} has {why}: who asks for it gets an error")
    shares = sum(target["share"] or 0 for target in on)
    if shares > MOST_PERCENT and any(target["share"] is None for target in on):
        sentence = f"the canaries of route {name} ask for {shares:g} % of its calls: nothing is left for the others"
        yield Finding(WARNING, "route", name, sentence)
    for target in on:
        if not providers[target["provider"]]["enabled"]:
            sentence = f"route {name} has a target at {target['provider']}, which is off"
            yield Finding(WARNING, "route", name, sentence)


def _prices(route: Entry, providers: dict[str, Entry], priced: Priced) -> Iterator[Finding]:
    for target in route["targets"]:
        provider, model = providers[target["provider"]], target["model"] or route["name"]
        if provider["free"] or not (target["enabled"] and provider["enabled"]) or "*" in model:
            continue  # what a pattern stands for is known only when it is asked for
        if not priced(provider["name"], provider["kind"], model):
            sentence = f"route {label(route)}: {provider['name']}/{model} has no price; its calls are unpriced"
            yield Finding(WARNING, "route", label(route), sentence)


def _crossings(routes: Iterable[Entry]) -> Iterator[Finding]:
    """Patterns of which neither holds the other, and that still share names: `gpt-*` and `*-mini`."""
    names = [route["name"] for route in routes if "*" in route["name"] and not route.get("team")]
    by_before: dict[str, list[str]] = {}
    for name in names:
        by_before.setdefault(name.partition("*")[0], []).append(name)
    for name in names:
        before, _, after = name.partition("*")
        for length in range(len(before)):
            for other in by_before.get(before[:length], ()):
                tail = other.partition("*")[2]
                if len(tail) > len(after) and tail.endswith(after):
                    yield _shadowed(name, other, before + tail)


def _shadowed(one: str, other: str, example: str) -> Finding:
    winner, loser = sorted((one, other), key=lambda name: (-len(name), name))
    sentence = f"patterns {winner} and {loser} share names such as {example}: {winner} takes them"
    return Finding(WARNING, "route", loser, sentence)


def _taken_names(routes: Iterable[Entry], providers: dict[str, Entry]) -> Iterator[Finding]:
    """Patterns that stand before a provider whose models can be asked for by name."""
    by_name = [name for name, entry in providers.items() if entry["by_name"] and entry["enabled"]]
    for route in routes:
        pattern: Any = route["name"]
        for name in by_name:
            if pattern == f"{name}/*" and {target["provider"] for target in route["targets"]} != {name}:
                sentence = f"route {pattern} takes all names of provider {name}, which is reachable by name"
                yield Finding(WARNING, "route", pattern, sentence)


def _gone(table: Document, named: Named) -> Iterator[Finding]:
    """Budgets and prices by a name that nothing has: after a route or provider got another one, or went."""
    providers = {entry["name"]: entry for entry in table["providers"]}
    counted = {route["name"] for route in table["routes"] if route["enabled"] and not route["alias_of"]}
    counted |= {f"{name}/*" for name, entry in providers.items() if entry["by_name"] and entry["enabled"]}
    for name in named.budgets - counted:
        yield Finding(WARNING, "route", name, f"a budget is on {name}, and no route is called so: nothing counts on it")
    for name in named.prices - providers.keys():
        sentence = f"there are prices for the provider {name}, and no provider is called so: they price nothing"
        yield Finding(WARNING, "provider", name, sentence)
