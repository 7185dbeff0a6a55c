"""Which route serves the name a caller asked for. Plain look-ups in tables made when a revision is compiled.

Order: what the caller's team has for itself, then what is there for everybody; in each the exact name, then the pattern
with the most literal characters (ties: the smaller name). Then `provider/model`, where the provider is reachable by
name; then the team's default route, then the general one. An alias is looked up again under the name it stands for.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from routing.values import Route

MAX_ALIASES = 16  # one after the other
EXACT, PATTERN, BY_NAME, DEFAULT = "exact", "pattern", "by name", "default"


@dataclass(frozen=True, slots=True)
class Index:
    """The enabled routes of one team, or of all."""

    exact: Mapping[str, Route]
    patterns: Mapping[tuple[str, str], Route]  # by what stands before and after the '*'
    shapes: tuple[tuple[int, int], ...]  # lengths of both parts, most literal characters first
    default: Route | None


@dataclass(frozen=True, slots=True)
class Tables:
    """All indexes of a snapshot. `by_name` holds a route for each provider that is reachable by name."""

    general: Index
    teams: Mapping[str, Index]
    by_name: Mapping[str, Route] = field(default_factory=dict)

    def indexes(self, team: str) -> Iterator[Index]:
        if team in self.teams:
            yield self.teams[team]
        yield self.general


@dataclass(frozen=True, slots=True)
class Step:
    """One look-up: `asked` was served by `route`, found `how`; `matched` is what its pattern's '*' stood for."""

    asked: str
    route: Route
    how: str
    matched: str = ""


@dataclass(frozen=True, slots=True)
class Trail:
    """The way from a name to a route: each alias on it, and the route at its end, None where it leads nowhere.

    `asked` is the name under which the route is asked for, with every alias followed.
    """

    steps: tuple[Step, ...]
    asked: str
    found: Step | None


def index(routes: Iterable[Route]) -> Index:
    """Return the tables over those of `routes` that are enabled."""
    live = [route for route in routes if route.enabled]
    patterns = {halves(route.name): route for route in live if "*" in route.name}
    shapes = {(len(before), len(after)) for before, after in patterns}
    return Index(
        exact={route.name: route for route in live if "*" not in route.name},
        patterns=patterns,
        shapes=tuple(sorted(shapes, key=lambda shape: (-sum(shape), shape))),
        default=next((route for route in live if route.default), None),
    )


def follow(tables: Tables, model: str, team: str) -> Trail:
    """Return the way from `model` to the route that serves it, for callers of `team`."""
    steps: list[Step] = []
    asked = model
    while len(steps) <= MAX_ALIASES:
        step = look(tables, asked, team)
        if step is None:
            break
        steps.append(step)
        if step.how == DEFAULT:
            asked = filled(step.route.name, asked)
        if not step.route.alias_of:
            return Trail(tuple(steps), asked, step)
        asked = filled(step.route.alias_of, step.matched)
    return Trail(tuple(steps), asked, None)


def look(tables: Tables, asked: str, team: str) -> Step | None:
    """Return what one name leads to, aliases not followed."""
    for each in tables.indexes(team):
        if (route := each.exact.get(asked)) is not None:
            return Step(asked, route, EXACT)
        if (route := by_pattern(each, asked)) is not None:
            return Step(asked, route, PATTERN, matched_by(route.name, asked))
    name, slash, rest = asked.partition("/")
    if slash and rest and (route := tables.by_name.get(name)) is not None:
        return Step(asked, route, BY_NAME, rest)
    for each in tables.indexes(team):
        if each.default is not None:
            return Step(asked, each.default, DEFAULT, asked)
    return None


def by_pattern(index: Index, model: str) -> Route | None:
    """Return the route whose pattern fits `model` with the most literal characters."""
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


def matched_by(name: str, model: str) -> str:
    """Return what the `*` of the pattern `name` stands for in `model`."""
    before, after = halves(name)
    return model[len(before) : len(model) - len(after)]


def filled(name: str, matched: str) -> str:
    return name.replace("*", matched)


def halves(pattern: str) -> tuple[str, str]:
    before, _, after = pattern.partition("*")
    return before, after
