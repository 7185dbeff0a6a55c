"""The few statistics that the benchmark prints; times in whatever unit they came in."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest rank: the smallest value that at least `percent` of all values do not exceed. NaN of nothing."""
    if not values:
        return math.nan
    rank = max(1, math.ceil(len(values) * percent / 100))
    return sorted(values)[rank - 1]


@dataclass(frozen=True, slots=True)
class Spread:
    """What several rounds gave: their mean, and the lowest and highest of them."""

    mean: float
    low: float
    high: float
    rounds: int


def spread(values: Sequence[float]) -> Spread:
    """The mean of the rounds with their range; NaN of nothing. Rounds that gave no number are left out."""
    real = [value for value in values if not math.isnan(value)]
    if not real:
        return Spread(math.nan, math.nan, math.nan, 0)
    return Spread(sum(real) / len(real), min(real), max(real), len(real))


def per_chunk(stream_of_20: float, stream_of_1: float) -> float:
    """The cost of one more chunk, from streams of 20 and of 1."""
    return (stream_of_20 - stream_of_1) / 19
