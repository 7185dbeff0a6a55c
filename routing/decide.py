"""Which targets a request goes to, and in which order: one pure function, whether somebody asks for reasons or not.

The gateway calls `order` and nobody listens; routing/explain.py calls the same and puts what it hears into words.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Protocol

from routing.rules import ANY, CHEAPEST, FASTEST, ONLY
from routing.values import Conditions, Match, Route, Target

Draw = Callable[[], float]  # gives numbers from 0 up to, but not including, 1

EXPLORING = 0.05  # of the calls of a "fastest" route go by weight, or nobody would notice who became fast
MARKS = 32_767


@dataclass(frozen=True, slots=True)
class Request:
    """What is known of a request when it is decided where it goes. `tokens` of the prompt are a rough estimate.

    `session` is the mark of the header's value, or of the user, by which its route keeps sessions together.
    """

    model: str
    team: str = ""
    stream: bool = False
    tools: bool = False
    images: bool = False
    json_schema: bool = False
    tokens: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    session: str = ""


def marked(session: str) -> str:
    """Return the mark of a session's name, a number from 1 to MARKS: enough to spread sessions, and shared by too many
    to tell who it is, so that records can keep it. "" for no session.
    """
    if not session:
        return ""
    digest = hashlib.blake2b(session.encode("utf-8", "replace"), digest_size=4).digest()
    return str(int.from_bytes(digest, "big") % MARKS + 1)


class View(Protocol):
    """How targets are doing at the moment of the decision."""

    @property
    def calm(self) -> bool:
        """Whether no target is in trouble: then `resting` and `barred` need not be asked."""
        ...

    def resting(self, target: Target) -> bool: ...
    def barred(self, target: Target) -> str:
        """Say why nobody may call the target, "" where it may be called."""
        ...

    def seconds(self, target: Target, stream: bool) -> float | None:
        """Return how long its answers take of late, None where that is not known."""
        ...

    def cost(self, target: Target, tokens: int) -> int | None:
        """Return roughly what a prompt of `tokens` and its answer cost in nano-USD, None without a price."""
        ...


class Listener(Protocol):
    """Hears why targets are left out, and where the others come. Nobody listens to real requests."""

    def unfit(self, target: Target, condition: str) -> None:
        """The target's `condition`, a field of its Conditions, is not met."""
        ...

    def drawn(self, target: Target) -> None: ...
    def not_drawn(self, target: Target) -> None: ...
    def barred(self, target: Target, reason: str) -> None: ...
    def resting(self, target: Target) -> None: ...
    def placed(self, number: int, tier: Sequence[Target]) -> None:
        """The order inside the tier `number`."""
        ...


def order(match: Match, request: Request | None, view: View, draw: Draw, told: Listener | None = None) -> list[Target]:
    """Return the targets to try, best first. `request` may be None where `match.plain`.

    Conditions leave targets out. A canary's share is drawn, and then it comes first. Lower tiers come before higher
    ones; inside a tier the session decides, or the route's strategy, or a draw without replacement with chances in
    proportion to the weights. Weight 0 comes after the others of its tier, resting targets come last of all.
    """
    targets: Sequence[Target] = match.targets
    first: list[Target] = []
    if request is not None and not (match.plain and told is None):
        fitting = _fitting(targets, request, told)
        targets, first = _canaries(fitting, request, draw, told)
    if view.calm:
        if told is None and len(targets) == 1 and not first:
            return list(targets)
        return first + _by_tier(targets, match.route, request, view, draw, told)
    awake, asleep = _awake_and_asleep(_callable(targets, view, told), view, told)
    up, down = _awake_and_asleep(_callable(first, view, told), view, told)
    return [
        *up,
        *_by_tier(awake, match.route, request, view, draw, told),
        *_by_tier(down + asleep, match.route, request, view, draw, told),
    ]


# --- Who is left out


def _fitting(targets: Sequence[Target], request: Request, told: Listener | None) -> list[Target]:
    fitting = []
    for target in targets:
        unfit = _unfit(target.conditions, request) if target.conditions is not None else ""
        if not unfit:
            fitting.append(target)
        elif told is not None:
            told.unfit(target, unfit)
    return fitting


def takes(target: Target, request: Request) -> bool:
    """Say whether the request meets the target's conditions."""
    return target.conditions is None or not _unfit(target.conditions, request)


def _unfit(conditions: Conditions, request: Request) -> str:
    """Return the field of the condition that the request does not meet, "" if it meets all."""
    for name, asked in (
        ("streaming", request.stream),
        ("tools", request.tools),
        ("images", request.images),
        ("json_schema", request.json_schema),
    ):
        wanted = getattr(conditions, name)
        if wanted != ANY and asked != (wanted == ONLY):
            return name
    if conditions.max_context is not None and request.tokens > conditions.max_context:
        return "max_context"
    if conditions.tag:
        name, _, value = conditions.tag.partition("=")
        if request.tags.get(name) != value:
            return "tag"
    return ""


def _canaries(
    targets: list[Target], request: Request, draw: Draw, told: Listener | None
) -> tuple[list[Target], list[Target]]:
    """Return the targets without canaries, and the canary whose share this call falls into, if any.

    A session stays with the canary, or away from it. Where there are canaries alone they are targets like others.
    """
    canaries = [target for target in targets if target.share is not None]
    if not canaries or len(canaries) == len(targets):
        return targets, []
    mark = 100 * (_share_of(request.session, "canary") if request.session else draw())
    drawn: list[Target] = []
    for target in canaries:
        share = target.share or 0.0
        if not drawn and mark < share:
            drawn = [target]
            if told is not None:
                told.drawn(target)
        elif told is not None:
            told.not_drawn(target)
        mark -= share
    return [target for target in targets if target.share is None], drawn


def _callable(targets: Iterable[Target], view: View, told: Listener | None) -> list[Target]:
    allowed = []
    for target in targets:
        barred = view.barred(target)
        if not barred:
            allowed.append(target)
        elif told is not None:
            told.barred(target, barred)
    return allowed


def _awake_and_asleep(
    targets: Iterable[Target], view: View, told: Listener | None
) -> tuple[list[Target], list[Target]]:
    awake: list[Target] = []
    asleep: list[Target] = []
    for target in targets:
        (asleep if view.resting(target) else awake).append(target)
    if told is not None:
        for target in asleep:
            told.resting(target)
    return awake, asleep


# --- In which order


def _by_tier(
    targets: Iterable[Target], route: Route, request: Request | None, view: View, draw: Draw, told: Listener | None
) -> list[Target]:
    ordered: list[Target] = []
    for number, tier in groupby(sorted(targets, key=_tier), key=_tier):
        placed = _placed(list(tier), route, request, view, draw)
        if told is not None:
            told.placed(number, placed)
        ordered += placed
    return ordered


def _placed(targets: list[Target], route: Route, request: Request | None, view: View, draw: Draw) -> list[Target]:
    """Return one tier's targets in the order in which they are tried."""
    if request is not None and request.session and route.sticky:
        return _by_session(targets, request.session)
    placed = _drawn(targets, draw)
    if request is None or len(placed) == 1:
        return placed
    if route.strategy == FASTEST and draw() >= EXPLORING:
        stream = request.stream
        placed.sort(key=lambda each: (each.weight == 0, view.seconds(each, stream) or 0.0))
    elif route.strategy == CHEAPEST:
        placed.sort(key=lambda each: (each.weight == 0, *_cost(view.cost(each, request.tokens))))
    return placed


def _cost(nano: int | None) -> tuple[bool, int]:
    return nano is None, nano or 0


def _by_session(targets: list[Target], session: str) -> list[Target]:
    """Weighted rendezvous hashing: each session has its own order, which others' coming and going does not change."""

    def key(target: Target) -> tuple[bool, float]:
        if target.weight == 0:
            return True, 0.0
        return False, -math.log(_share_of(session, target.name) or 1e-18) / target.weight

    return sorted(targets, key=key)


def _share_of(session: str, name: str) -> float:
    """Return a number from 0 up to 1 that is always the same for this session and name."""
    digest = hashlib.blake2b(f"{session}\0{name}".encode("utf-8", "replace"), digest_size=7).digest()
    return int.from_bytes(digest, "big") / 2**56


def _drawn(targets: list[Target], draw: Draw) -> list[Target]:
    ordered = []
    left = [target for target in targets if target.weight > 0]
    while len(left) > 1:
        ordered.append(left.pop(_pick(left, draw())))
    return ordered + left + [target for target in targets if target.weight == 0]


def _pick(targets: list[Target], drawn: float) -> int:
    """Return the index whose share of the summed weights holds `drawn`."""
    mark = drawn * sum(target.weight for target in targets)
    for index, target in enumerate(targets):
        mark -= target.weight
        if mark < 0:
            return index
    return len(targets) - 1  # rounding at the upper end


def _tier(target: Target) -> int:
    return target.tier
