"""Where a request would go and why, in sentences, by the very lines that decide for real requests.

    view = ...                                  # routing.decide.View: Nobody() here, or one made from live breakers
    decision = explain(Request("gpt-4o", team="red", stream=True), snapshot, view, draw=lambda: 0.5)

Nothing is called and nothing is changed. `draw` stands for chance: a constant gives the same answer each time,
random.random what a real request would meet. Whether the caller's key may ask for the model, and whether a provider's
dialect can say what is asked, is not known here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from routing.decide import Draw, Request, View, order
from routing.lookup import BY_NAME, DEFAULT, EXACT, PATTERN, Index, Trail, by_pattern
from routing.rules import CHEAPEST, FASTEST, NEVER
from routing.snapshot import Snapshot, matched, written_out
from routing.values import Route, Target

WHAT = {"streaming": "a stream", "tools": "tools", "images": "images", "json_schema": "a JSON schema"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A target that would be tried, with the reasons for its place."""

    target: Target
    why: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A target of the route that would not be tried. `target` is `provider/model`."""

    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The whole way of a request. `refused` says why it would end in an error, "" where something would be tried."""

    request: Request
    route: Route | None
    why: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    left_out: tuple[LeftOut, ...]
    refused: str = ""


def explain(request: Request, snapshot: Snapshot, view: View, draw: Draw) -> Decision:
    """Say where `request` would go and why."""
    trail = snapshot.trail(request.model, request.team)
    why = tuple(_way(trail, snapshot.tables.general))
    if trail.found is None:
        return Decision(request, None, why, (), (), f"404 model_not_found: nothing serves {request.model!r}")
    match = matched(trail)
    told = Words(match.route, request, view)
    ordered = order(match, request, view, draw, told)
    left_out = [LeftOut(target.name, reason) for target, reason in (*told.left_out, *_switched_off(match.route, trail))]
    left_out += [LeftOut(each.name, f"shadow: gets a copy of {each.shadow:g} % of the calls") for each in match.shadows]
    candidates = tuple(Candidate(target, ", ".join(told.why.get(id(target), ()))) for target in ordered)
    refused = "" if ordered else "503 no_target: no target of this route takes the request"
    return Decision(request, match.route, why, candidates, tuple(left_out), refused)


@dataclass(slots=True)
class Words:
    """Listens to `order` and puts what it hears into words."""

    route: Route
    request: Request
    view: View
    left_out: list[tuple[Target, str]] = field(default_factory=list)
    why: dict[int, list[str]] = field(default_factory=dict)  # by id() of the target

    def unfit(self, target: Target, condition: str) -> None:
        self._leave(target, _condition(target, condition, self.request))

    def drawn(self, target: Target) -> None:
        self._say(target, f"canary: drawn for {target.share:g} % of the calls")

    def not_drawn(self, target: Target) -> None:
        self._leave(target, f"canary: {target.share:g} % of the calls, and this one was not drawn")

    def barred(self, target: Target, reason: str) -> None:
        self._leave(target, f"its breaker was opened by hand: {reason}")

    def resting(self, target: Target) -> None:
        self._say(target, "resting after failures, so a last resort")

    def placed(self, number: int, tier: Sequence[Target]) -> None:
        for place, target in enumerate(tier):
            self._say(target, f"tier {number}" + (self._place(target, place, tier) if len(tier) > 1 else ""))

    def _leave(self, target: Target, reason: str) -> None:
        self.left_out.append((target, reason))

    def _say(self, target: Target, reason: str) -> None:
        self.why.setdefault(id(target), []).append(reason)

    def _place(self, target: Target, place: int, tier: Sequence[Target]) -> str:
        if target.weight == 0:
            return ", weight 0: after the others of its tier"
        if self.request.session and self.route.sticky:
            return f", place {place + 1} for this session"
        if self.route.strategy == FASTEST:
            seconds = self.view.seconds(target, self.request.stream)
            return ", no answer timed yet" if seconds is None else f", {seconds * 1000:,.0f} ms of late"
        if self.route.strategy == CHEAPEST:
            nano = self.view.cost(target, self.request.tokens)
            return ", no price" if nano is None else f", about {nano / 1e9:.6f} USD"
        return f", drawn by weight {target.weight} of {sum(each.weight for each in tier)}"


class Nobody:
    """A view from where nothing is known of the targets: none is in trouble, none was timed, none has a price."""

    calm = True

    def resting(self, target: Target) -> bool:
        return False

    def barred(self, target: Target) -> str:
        return ""

    def seconds(self, target: Target, stream: bool) -> float | None:
        return None

    def cost(self, target: Target, tokens: int) -> int | None:
        return None


def _condition(target: Target, name: str, request: Request) -> str:
    conditions = target.conditions
    if name == "max_context":
        return f"the prompt has about {request.tokens:,} tokens, and it takes up to {getattr(conditions, name):,}"
    if name == "tag":
        return f"it takes only calls with the tag {getattr(conditions, name)}"
    return f"it takes only calls {'without' if getattr(conditions, name) == NEVER else 'with'} {WHAT[name]}"


def _switched_off(route: Route, trail: Trail) -> Iterable[tuple[Target, str]]:
    for target in route.off:
        yield written_out(target, trail), "switched off"
    for target in route.targets:
        if not target.provider.enabled:
            yield written_out(target, trail), f"its provider {target.provider.name} is switched off"


def _for_everybody(general: Index, asked: str) -> str:
    """Return the name of the route that callers of other teams would find, "" for none."""
    route = general.exact.get(asked) or by_pattern(general, asked)
    return route.name if route is not None else ""


def _way(trail: Trail, general: Index) -> Iterable[str]:
    for step in trail.steps:
        route = step.route
        whose = f" of team {route.team}" if route.team else ""
        if step.how == DEFAULT:
            yield f"nothing matches {step.asked!r}, so it goes to the default route {route.name!r}{whose}"
        elif step.how == BY_NAME:
            yield f"{step.asked!r} names a provider whose every model can be asked for"
        elif step.how == EXACT:
            yield f"{step.asked!r} is the name of a route{whose}"
        else:
            yield f"{step.asked!r} fits the pattern {route.name!r}{whose}, the longest that fits"
        if route.team and step.how in (EXACT, PATTERN) and (passed := _for_everybody(general, step.asked)):
            yield f"routes of team {route.team} come first: {passed!r}, which is there for everybody, is passed over"
        if route.alias_of:
            yield f"{route.name!r} is an alias of {route.alias_of!r}"
    if trail.found is None:
        last = trail.steps[-1].route.alias_of if trail.steps else trail.asked
        yield f"no route matches {trail.asked!r}" if not trail.steps else f"the alias {last!r} leads nowhere"
