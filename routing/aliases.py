"""Whether the aliases of a table all come to an end, and no two routes want to be the default: looked at in advance.

An alias whose name and goal are patterns can lead to many others. It is refused when it could lead back to itself for
some name, so a table that passes has no loop for any.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from routing.document import Document, DocumentError, label
from routing.lookup import MAX_ALIASES, Index, Tables, halves, look
from routing.snapshot import compile
from routing.values import Route

Key = tuple[str, str]  # name and team


def check(document: Document) -> None:
    """Raise DocumentError, with a sentence, for a loop among aliases, a chain that is too long, or a second default."""
    _check_defaults(document["routes"])
    if any(entry["alias_of"] for entry in document["routes"]):
        tables = compile(document, {}, 0).tables
        for team in ("", *tables.teams):
            _check_aliases(tables, team)


def _check_defaults(entries: Iterable[Mapping[str, Any]]) -> None:
    seen: dict[str, str] = {}
    for entry in entries:
        if entry["default"] and entry["enabled"]:
            other = seen.setdefault(entry["team"], entry["name"])
            if other != entry["name"]:
                whose = f" of team {entry['team']}" if entry["team"] else ""
                raise DocumentError(f"{other!r} and {entry['name']!r} cannot both be the default route{whose}")


def _check_aliases(tables: Tables, team: str) -> None:
    """Follow every alias that callers of `team` can meet to all of its ends."""
    depth: dict[Key, int] = {}
    for each in tables.indexes(team):
        for route in _aliases(each):
            _depth(tables, team, route, (), depth)


def _depth(tables: Tables, team: str, route: Route, path: tuple[Route, ...], depth: dict[Key, int]) -> int:
    """Return how many aliases can follow each other from `route` on."""
    key = (route.name, route.team)
    if route in path:
        _refuse_loop((*path[path.index(route) :], route))
    if len(path) >= MAX_ALIASES:
        raise DocumentError(f"route {_named(path[0])}: more than {MAX_ALIASES} aliases follow each other")
    if key not in depth:
        following = [_depth(tables, team, each, (*path, route), depth) for each in _next(tables, team, route)]
        depth[key] = 1 + max(following, default=0)
    if len(path) + depth[key] > MAX_ALIASES:
        raise DocumentError(f"route {_named((*path, route)[0])}: more than {MAX_ALIASES} aliases follow each other")
    return depth[key]


def _next(tables: Tables, team: str, route: Route) -> Iterator[Route]:
    """Return the aliases that `route`, an alias, can lead to."""
    if "*" not in route.alias_of:
        step = look(tables, route.alias_of, team)
        if step is not None and step.route.alias_of:
            yield step.route
        return
    for each in tables.indexes(team):
        covering = [len(name) for name in _names(each) if "*" in name and _covers(name, route.alias_of)]
        literal = max(covering, default=0)
        for alias in _aliases(each):
            if _overlap(alias.name, route.alias_of) and ("*" not in alias.name or len(alias.name) >= literal):
                yield alias
        if covering:
            return
    defaults = [each.default for each in tables.indexes(team) if each.default is not None]
    yield from (each for each in defaults[:1] if each.alias_of)


def _aliases(index: Index) -> Iterator[Route]:
    return (route for route in (*index.exact.values(), *index.patterns.values()) if route.alias_of)


def _names(index: Index) -> Iterator[str]:
    return (route.name for route in index.patterns.values())


def _covers(wide: str, narrow: str) -> bool:
    """Say whether every name that fits the pattern `narrow` fits the pattern `wide`."""
    (before, after), (start, end) = halves(wide), halves(narrow)
    return start.startswith(before) and end.endswith(after)


def _overlap(one: str, other: str) -> bool:
    """Say whether some name fits both; `other` is a pattern."""
    (before, after), (start, end) = halves(one), halves(other)
    if "*" not in one:
        return len(one) >= len(start) + len(end) and one.startswith(start) and one.endswith(end)
    return (before.startswith(start) or start.startswith(before)) and (after.endswith(end) or end.endswith(after))


def _refuse_loop(circle: tuple[Route, ...]) -> None:
    way = " -> ".join(_named(each) for each in circle)
    raise DocumentError(f"these aliases lead back to where they began: {way}")


def _named(route: Route) -> str:
    return label({"name": route.name, "team": route.team})
