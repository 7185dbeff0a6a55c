"""In which order the targets of a route are tried for one request."""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from routing.snapshot import Target


def order(
    targets: Sequence[Target],
    draw: Callable[[], float],
    resting: Callable[[Target], bool],
) -> list[Target]:
    """Return all targets, best first; `draw` gives numbers from 0 up to, but not including, 1.

    Lower tiers come first. Inside a tier the order is a draw without replacement, with chances in proportion to the
    weights; weight 0 comes after the others of its tier. Resting targets come last of all, as a last resort.
    """
    if len(targets) == 1:
        return list(targets)
    awake: list[Target] = []
    asleep: list[Target] = []
    for target in targets:
        (asleep if resting(target) else awake).append(target)
    return _by_tier(awake, draw) + _by_tier(asleep, draw)


def _by_tier(targets: Iterable[Target], draw: Callable[[], float]) -> list[Target]:
    ordered: list[Target] = []
    for _, tier in groupby(sorted(targets, key=_tier), key=_tier):
        ordered += _drawn(list(tier), draw)
    return ordered


def _drawn(targets: list[Target], draw: Callable[[], float]) -> list[Target]:
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
