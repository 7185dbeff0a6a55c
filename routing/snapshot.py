"""A published routing table compiled for lookups: frozen values, found by the name a caller asked for.

Order of a lookup: exact name; then the pattern with the most literal characters (ties: the smaller name); then
`provider/model` where the provider is reachable by name. Disabled routes do not match.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from routing.rules import ANY, DEFAULT_RETRIES, WEIGHTED

MAX_ASKED = 512  # characters; a longer model name matches nothing
REMEMBERED = 4096  # pattern matches kept

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Provider:
    """A place we call. Time limits are seconds, None for the default."""

    name: str
    kind: str
    base_url: str = ""
    secret: str | None = field(default=None, repr=False, compare=False)
    free: bool = False
    allow_private: bool = False
    enabled: bool = True
    connect_timeout: float | None = None
    first_byte_timeout: float | None = None
    idle_timeout: float | None = None
    total_timeout: float | None = None
    allow_insecure: bool = False
    by_name: bool = False
    forward_authorization: bool = False


@dataclass(frozen=True, slots=True)
class Conditions:
    """Which calls a target takes. Each word is "any", "only" or "never"; `max_context` is tokens, `tag` name=value."""

    streaming: str = ANY
    tools: str = ANY
    images: str = ANY
    json_schema: str = ANY
    max_context: int | None = None
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that a target has of its own, None where its provider's hold."""

    connect_timeout: float | None = None
    first_byte_timeout: float | None = None
    idle_timeout: float | None = None
    total_timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """One way to serve a route. In a pattern's target, `model` may hold a `*`; in a Match it never does.

    `share` and `shadow` are percent: of the calls that try this target first, and of those it gets a copy of.
    """

    route: str
    provider: Provider
    model: str
    tier: int = 0
    weight: int = 1
    conditions: Conditions | None = None
    limits: Limits | None = None
    share: float | None = None
    shadow: float | None = None

    @property
    def name(self) -> str:
        return f"{self.provider.name}/{self.model}"


@dataclass(frozen=True, slots=True)
class Route:
    """A model name or pattern. `cache_ttl` is seconds, 0 for no cache, None for the default."""

    name: str
    targets: tuple[Target, ...]
    cache_ttl: int | None = None
    answer_as_asked: bool = False
    enabled: bool = True
    team: str = ""
    alias_of: str = ""
    default: bool = False
    strategy: str = WEIGHTED
    sticky: str = ""
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Match:
    """What a lookup found: the targets that can serve `model`, disabled providers left out."""

    route: Route
    model: str
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """Lookup tables over the enabled routes."""

    exact: Mapping[str, Match]
    patterns: Mapping[tuple[str, str], Route]  # by what stands before and after the '*'
    shapes: tuple[tuple[int, int], ...]  # lengths of both parts, most literal characters first
    by_name: Mapping[str, Route]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One revision of the routing table, 0 where none was published yet."""

    revision: int
    routes: tuple[Route, ...]
    providers: Mapping[str, Provider]
    _index: Index = field(repr=False, compare=False)
    _remembered: dict[str, Match] = field(default_factory=dict, repr=False, compare=False)
    forwards: bool = False  # whether some provider gets the callers' own Authorization

    def find(self, model: str) -> Match | None:
        """Return the route and targets for the name a caller asked for, None if nothing matches."""
        return self._index.exact.get(model) or self._remembered.get(model) or self._search(model)

    def names(self) -> list[str]:
        """Return the exact names that can be asked for, sorted."""
        return sorted(self._index.exact)

    def _search(self, model: str) -> Match | None:
        if len(model) > MAX_ASKED:
            return None
        route = _by_pattern(self._index, model) or _by_provider(self._index, model)
        if route is None:
            return None
        if len(self._remembered) >= REMEMBERED:
            self._remembered.pop(next(iter(self._remembered)), None)
        match = self._remembered[model] = _match(route, model)
        return match


def build(revision: int, routes: Iterable[Route], providers: Iterable[Provider]) -> Snapshot:
    """Return a snapshot of `routes` over `providers`."""
    listed = tuple(routes)
    table = {provider.name: provider for provider in providers}
    forwards = any(each.forward_authorization and each.enabled for each in table.values())
    return Snapshot(revision, listed, table, _index(listed, table), forwards=forwards)


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
    targets = tuple(
        _target(entry["name"], each, providers[each["provider"]])
        for each in entry["targets"]
        if each.get("enabled", True) and each["provider"] in providers
    )
    known = {name: entry[name] for name in _ROUTE_FIELDS if name in entry}
    retries = entry.get("retries")
    return Route(**known, targets=targets, retries=DEFAULT_RETRIES if retries is None else retries)


def _target(route: str, entry: Mapping[str, Any], provider: Provider) -> Target:
    known = {name: entry[name] for name in _TARGET_FIELDS if name in entry}
    return Target(route, provider, **known, conditions=_own(Conditions, entry), limits=_own(Limits, entry))


def _own(shape: type[T], entry: Mapping[str, Any]) -> T | None:
    """Return the part of an entry that `shape` holds, None where it says nothing that is not so anyway."""
    part = shape(**{name: entry[name] for name in shape.__dataclass_fields__ if name in entry})  # type: ignore[attr-defined]
    return None if part == shape() else part


_ROUTE_FIELDS = tuple(name for name in Route.__dataclass_fields__ if name not in {"targets", "retries"})
_TARGET_FIELDS = ("model", "tier", "weight", "share", "shadow")


def _index(routes: tuple[Route, ...], providers: Mapping[str, Provider]) -> Index:
    live = [route for route in routes if route.enabled]
    patterns = {_halves(route.name): route for route in live if "*" in route.name}
    shapes = {(len(before), len(after)) for before, after in patterns}
    return Index(
        exact={route.name: _match(route, route.name) for route in live if "*" not in route.name},
        patterns=patterns,
        shapes=tuple(sorted(shapes, key=lambda shape: (-sum(shape), shape))),
        by_name={each.name: _open_route(each) for each in providers.values() if each.by_name and each.enabled},
    )


def _open_route(provider: Provider) -> Route:
    name = f"{provider.name}/*"
    return Route(name, (Target(name, provider, "*"),))


def _by_pattern(index: Index, model: str) -> Route | None:
    found: Route | None = None
    literal = 0
    length = len(model)
    for before, after in index.shapes:
        if found is not None and before + after < literal:
            break
        if before + after > length:
            continue
        route = index.patterns.get((model[:before], model[length - after :]))
        if route is not None and (found is None or route.name < found.name):
            found, literal = route, before + after
    return found


def _by_provider(index: Index, model: str) -> Route | None:
    name, slash, rest = model.partition("/")
    return index.by_name.get(name) if slash and rest else None


def _match(route: Route, model: str) -> Match:
    return Match(route, model, tuple(_live(route, model)))


def _live(route: Route, model: str) -> Iterator[Target]:
    """The route's targets that can be called, with their upstream names for `model` written out."""
    matched = _matched(route.name, model)
    for target in route.targets:
        if target.provider.enabled:
            yield replace(target, model=target.model.replace("*", matched) or model)


def _matched(name: str, model: str) -> str:
    """What the `*` of the pattern `name` stands for in `model`."""
    before, after = _halves(name)
    return model[len(before) : len(model) - len(after)]


def _halves(pattern: str) -> tuple[str, str]:
    before, _, after = pattern.partition("*")
    return before, after
