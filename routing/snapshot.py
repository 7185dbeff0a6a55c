"""A published routing table compiled for lookups: frozen values, found by the name a caller asked for.

In which order names are looked up stands in routing/lookup.py. Disabled routes do not match.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from operator import itemgetter
from typing import Any, TypeVar

from routing.lookup import Tables, Trail, filled, follow, index
from routing.rules import DEFAULT_RETRIES, WEIGHTED
from routing.values import Conditions, Limits, Match, Provider, Route, Target

MAX_ASKED = 512  # characters; a longer model name matches nothing
REMEMBERED = 4096  # pattern matches kept

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One revision of the routing table, 0 where none was published yet."""

    revision: int
    routes: tuple[Route, ...]
    providers: Mapping[str, Provider]
    tables: Tables = field(repr=False, compare=False)
    _exact: Mapping[str, Match] = field(repr=False, compare=False)  # for callers whose team has no routes of its own
    _remembered: dict[tuple[str, str], Match] = field(default_factory=dict, repr=False, compare=False)
    forwards: bool = False  # whether some provider gets the callers' own Authorization

    def find(self, model: str, team: str = "") -> Match | None:
        """Return the route and targets for the name a caller asked for, None if nothing matches."""
        if team and team in self.tables.teams:
            return self._remembered.get((team, model)) or self._search(model, team)
        return self._exact.get(model) or self._remembered.get(("", model)) or self._search(model, "")

    def names(self, team: str = "") -> list[str]:
        """Return the exact names that callers of `team` can ask for, sorted."""
        own = self.tables.teams.get(team)
        return sorted({*self._exact, *(name for name in own.exact if self.find(name, team))} if own else self._exact)

    def _search(self, model: str, team: str) -> Match | None:
        match = self.match(model, team)
        if match is not None:
            if len(self._remembered) >= REMEMBERED:
                self._remembered.pop(next(iter(self._remembered)), None)
            self._remembered[team, model] = match
        return match

    def match(self, model: str, team: str) -> Match | None:
        """Look the name up anew, as `find` does where it does not remember."""
        trail = self.trail(model, team)
        return None if trail.found is None else matched(trail)

    def trail(self, model: str, team: str) -> Trail:
        """Return the way from a name to its route."""
        return Trail((), model, None) if len(model) > MAX_ASKED else follow(self.tables, model, team)


def build(revision: int, routes: Iterable[Route], providers: Iterable[Provider]) -> Snapshot:
    """Return a snapshot of `routes` over `providers`."""
    listed = tuple(routes)
    table = {provider.name: provider for provider in providers}
    forwards = any(each.forward_authorization and each.enabled for each in table.values())
    by_name = {each.name: _open_route(each) for each in table.values() if each.by_name and each.enabled}
    teams = sorted({route.team for route in listed if route.enabled} - {""})
    general = index(route for route in listed if not route.team)
    own = {team: index(route for route in listed if route.team == team) for team in teams}
    tables = Tables(general, own, by_name)
    trails = {name: follow(tables, name, "") for name in general.exact}
    exact = {name: matched(trail) for name, trail in trails.items() if trail.found is not None}
    return Snapshot(revision, listed, table, tables, exact, forwards=forwards)


def matched(trail: Trail) -> Match:
    """Return what is at the end of `trail`, with the upstream names of its targets written out."""
    if trail.found is None:
        raise ValueError("this way leads nowhere")
    route = trail.found.route
    named = [written_out(each, trail) for each in route.targets if each.provider.enabled]
    targets = tuple(each for each in named if each.shadow is None)
    plain = route.strategy == WEIGHTED and not route.sticky and all(_is_plain(each) for each in targets)
    return Match(route, trail.asked, targets, tuple(each for each in named if each.shadow is not None), plain)


def written_out(target: Target, trail: Trail) -> Target:
    """Return `target` with the upstream name that it has for what was asked."""
    wildcard = trail.found.matched if trail.found is not None else ""
    model = filled(target.model, wildcard) or trail.asked
    return target if model == target.model else replace(target, model=model)


def _is_plain(target: Target) -> bool:
    return target.conditions is None and target.share is None


def compile(document: Mapping[str, Any], secrets: Mapping[str, str], revision: int) -> Snapshot:
    """Compile a published document; `secrets` holds credentials by provider name.

    A field that an older document lacks gets its default; a target whose provider is missing is left out.
    """
    providers = {entry["name"]: _provider(entry, secrets.get(entry["name"])) for entry in document["providers"]}
    routes = [_route(entry, providers) for entry in document["routes"]]
    return build(revision, routes, providers.values())


def _provider(entry: Mapping[str, Any], secret: str | None) -> Provider:
    known = {name: entry[name] for name in _PROVIDER_FIELDS if name in entry}
    return Provider(**known, secret=secret)


_PROVIDER_FIELDS = tuple(name for name in Provider.__dataclass_fields__ if name != "secret")


def _route(entry: Mapping[str, Any], providers: Mapping[str, Provider]) -> Route:
    targets, off = list[Target](), list[Target]()
    for each in entry["targets"]:
        if (provider := providers.get(each["provider"])) is not None:
            (targets if each.get("enabled", True) else off).append(_target(entry["name"], each, provider))
    known = {name: entry[name] for name in _ROUTE_FIELDS if name in entry}
    retries = DEFAULT_RETRIES if entry.get("retries") is None else entry["retries"]
    return Route(**known, targets=tuple(targets), retries=retries, off=tuple(off))


def _target(route: str, entry: Mapping[str, Any], provider: Provider) -> Target:
    known = {name: entry[name] for name in _TARGET_FIELDS if name in entry}
    return Target(route, provider, **known, conditions=_own(Conditions, entry), limits=_own(Limits, entry))


def _own(shape: type[T], entry: Mapping[str, Any]) -> T | None:
    """Return the part of an entry that `shape` holds, None where it says nothing that is not so anyway."""
    names, usual, read = _OWN[shape]
    try:
        said = read(entry)
    except KeyError:
        said = tuple(entry.get(name, value) for name, value in zip(names, usual, strict=True))
    return None if said == usual else shape(*said)


_OWN: dict[type, tuple[tuple[str, ...], tuple[Any, ...], Callable[[Mapping[str, Any]], tuple[Any, ...]]]] = {
    shape: (names, tuple(each.default for each in fields(shape)), itemgetter(*names))
    for shape in (Conditions, Limits)
    for names in [tuple(each.name for each in fields(shape))]
}
_ROUTE_FIELDS = tuple(name for name in Route.__dataclass_fields__ if name not in {"targets", "retries", "off"})
_TARGET_FIELDS = ("model", "tier", "weight", "share", "shadow")


def _open_route(provider: Provider) -> Route:
    name = f"{provider.name}/*"
    return Route(name, (Target(name, provider, "*"),))
