"""The order of targets: tiers, weights, rest."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from routing.decide import order
from routing.snapshot import Target
from tests.routing.tables import target

DRAWS = 10_000


def nobody(target: Target) -> bool:
    return False


def test_it_tries_lower_tiers_first() -> None:
    targets = [target("a/1", tier=2), target("b/1", tier=0), target("c/1", tier=1)]
    assert [each.name for each in order(targets, lambda: 0.5, nobody)] == ["b/1", "c/1", "a/1"]


def test_it_shares_first_places_by_weight() -> None:
    targets = [target("a/1", weight=1), target("b/1", weight=3), target("c/1", weight=6)]
    draw = random.Random(7).random
    firsts = Counter(order(targets, draw, nobody)[0].name for _ in range(DRAWS))
    for name, share in {"a/1": 0.1, "b/1": 0.3, "c/1": 0.6}.items():
        assert abs(firsts[name] / DRAWS - share) < 0.015


def test_it_shares_second_places_by_weight_too() -> None:
    targets = [target("a/1", weight=1), target("b/1", weight=3), target("c/1", weight=6)]
    draw = random.Random(7).random
    after_c = [each for each in (order(targets, draw, nobody) for _ in range(DRAWS)) if each[0].name == "c/1"]
    share = sum(each[1].name == "b/1" for each in after_c) / len(after_c)
    assert abs(share - 0.75) < 0.02


def test_it_keeps_weight_zero_for_when_its_tier_failed() -> None:
    targets = [target("spare/1", weight=0), target("a/1"), target("later/1", tier=1)]
    draw = random.Random(7).random
    assert {tuple(each.name for each in order(targets, draw, nobody)) for _ in range(100)} == {
        ("a/1", "spare/1", "later/1")
    }


def test_it_leaves_resting_targets_for_last() -> None:
    targets = [target("tired/1"), target("a/1"), target("b/1", tier=1)]
    ordered = order(targets, lambda: 0.0, lambda each: each.name == "tired/1")
    assert [each.name for each in ordered] == ["a/1", "b/1", "tired/1"]


def test_it_still_tries_when_all_are_resting() -> None:
    targets = [target("a/1", tier=1), target("b/1")]
    assert [each.name for each in order(targets, lambda: 0.0, lambda each: True)] == ["b/1", "a/1"]


weighted = st.builds(target, st.sampled_from(["a/1", "b/2", "c/3"]), tier=st.integers(0, 3), weight=st.integers(0, 5))


@given(st.lists(weighted, max_size=8), st.randoms(use_true_random=False), st.sets(st.sampled_from(["a/1", "b/2"])))
def test_it_loses_and_repeats_none(targets: list[Target], chance: random.Random, tired: set[str]) -> None:
    ordered = order(targets, chance.random, lambda each: each.name in tired)
    assert Counter(map(repr, ordered)) == Counter(map(repr, targets))
    marks = [(each.name in tired, each.tier, each.weight == 0) for each in ordered]
    assert len(targets) == 1 or marks == sorted(marks)


@given(st.floats(0, 1, exclude_max=True))
def test_it_takes_any_draw(drawn: float) -> None:
    assert len(order([target("a/1", weight=7), target("b/1", weight=9)], lambda: drawn, nobody)) == 2
