"""The order of targets: tiers, weights, rest."""

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.decide import EXPLORING, MARKS, Request, marked, order
from routing.rules import CHEAPEST, FASTEST
from routing.values import Conditions, Match, Route, Target
from tests.routing.tables import Seen, target

DRAWS = 10_000
ASKED = Request("any")


def match(targets: list[Target], **fields: Any) -> Match:
    plain = not fields and all(each.conditions is None and each.share is None for each in targets)
    return Match(Route("any", tuple(targets), **fields), "any", tuple(targets), plain=plain)


def ordered(
    targets: list[Target],
    draw: Callable[[], float],
    tired: Collection[str] = (),
    request: Request = ASKED,
    view: Seen | None = None,
    **fields: Any,
) -> list[Target]:
    found = match(targets, **fields)
    return list(order(found, None if found.plain else request, view or Seen(tired), draw))


def names(targets: Iterable[Target]) -> list[str]:
    return [each.name for each in targets]


def test_it_tries_lower_tiers_first() -> None:
    targets = [target("a/1", tier=2), target("b/1", tier=0), target("c/1", tier=1)]
    assert [each.name for each in ordered(targets, lambda: 0.5)] == ["b/1", "c/1", "a/1"]


def test_it_shares_first_places_by_weight() -> None:
    targets = [target("a/1", weight=1), target("b/1", weight=3), target("c/1", weight=6)]
    draw = random.Random(7).random
    firsts = Counter(ordered(targets, draw)[0].name for _ in range(DRAWS))
    for name, share in {"a/1": 0.1, "b/1": 0.3, "c/1": 0.6}.items():
        assert abs(firsts[name] / DRAWS - share) < 0.015


def test_it_shares_second_places_by_weight_too() -> None:
    targets = [target("a/1", weight=1), target("b/1", weight=3), target("c/1", weight=6)]
    draw = random.Random(7).random
    after_c = [each for each in (ordered(targets, draw) for _ in range(DRAWS)) if each[0].name == "c/1"]
    share = sum(each[1].name == "b/1" for each in after_c) / len(after_c)
    assert abs(share - 0.75) < 0.02


def test_it_keeps_weight_zero_for_when_its_tier_failed() -> None:
    targets = [target("spare/1", weight=0), target("a/1"), target("later/1", tier=1)]
    draw = random.Random(7).random
    assert {tuple(each.name for each in ordered(targets, draw)) for _ in range(100)} == {("a/1", "spare/1", "later/1")}


def test_it_leaves_resting_targets_for_last() -> None:
    targets = [target("tired/1"), target("a/1"), target("b/1", tier=1)]
    assert names(ordered(targets, lambda: 0.0, ["tired/1"])) == ["a/1", "b/1", "tired/1"]


def test_it_still_tries_when_all_are_resting() -> None:
    targets = [target("a/1", tier=1), target("b/1")]
    assert names(ordered(targets, lambda: 0.0, ["a/1", "b/1"])) == ["b/1", "a/1"]


def test_it_never_calls_what_was_opened_by_hand() -> None:
    view = Seen(barred={"a/1": "too dear"})
    assert names(ordered([target("a/1"), target("b/1")], lambda: 0.0, view=view)) == ["b/1"]
    assert names(ordered([target("a/1")], lambda: 0.0, view=view)) == []


weighted = st.builds(target, st.sampled_from(["a/1", "b/2", "c/3"]), tier=st.integers(0, 3), weight=st.integers(0, 5))


@given(st.lists(weighted, max_size=8), st.randoms(use_true_random=False), st.sets(st.sampled_from(["a/1", "b/2"])))
def test_it_loses_and_repeats_none(targets: list[Target], chance: random.Random, tired: set[str]) -> None:
    found = ordered(targets, chance.random, tired)
    assert Counter(map(repr, found)) == Counter(map(repr, targets))
    marks = [(each.name in tired, each.tier, each.weight == 0) for each in found]
    assert len(targets) == 1 or marks == sorted(marks)


@given(st.floats(0, 1, exclude_max=True))
def test_it_takes_any_draw(drawn: float) -> None:
    assert len(ordered([target("a/1", weight=7), target("b/1", weight=9)], lambda: drawn)) == 2


# --- Conditions


def taking(name: str, **conditions: Any) -> Target:
    return replace(target(name), conditions=Conditions(**conditions))


@pytest.mark.parametrize(
    ("conditions", "fits", "does_not"),
    [
        ({"streaming": "only"}, {"stream": True}, {}),
        ({"streaming": "never"}, {}, {"stream": True}),
        ({"tools": "only"}, {"tools": True}, {}),
        ({"images": "never"}, {}, {"images": True}),
        ({"json_schema": "only"}, {"json_schema": True}, {"tools": True}),
        ({"max_context": 100}, {"tokens": 100}, {"tokens": 101}),
        ({"tag": "tier=gold"}, {"tags": {"tier": "gold", "x": "y"}}, {"tags": {"tier": "silver"}}),
        ({"tag": "tier=gold", "tools": "only"}, {"tags": {"tier": "gold"}, "tools": True}, {"tags": {"tier": "gold"}}),
    ],
)
def test_it_leaves_out_who_does_not_take_the_request(
    conditions: dict[str, Any], fits: dict[str, Any], does_not: dict[str, Any]
) -> None:
    targets = [taking("picky/1", **conditions), target("any/1", tier=1)]
    assert names(ordered(targets, lambda: 0.0, request=Request("any", **fits))) == ["picky/1", "any/1"]
    assert names(ordered(targets, lambda: 0.0, request=Request("any", **does_not))) == ["any/1"]


def test_it_can_leave_nobody() -> None:
    assert ordered([taking("a/1", tools="only")], lambda: 0.0) == []


# --- Canaries


def test_a_canary_comes_first_for_its_share_and_not_at_all_for_the_rest() -> None:
    targets = [replace(target("canary/1", tier=5), share=5.0), target("a/1"), target("b/1", tier=1)]
    draw = random.Random(7).random
    found = Counter(tuple(names(ordered(targets, draw))) for _ in range(DRAWS))
    assert set(found) == {("canary/1", "a/1", "b/1"), ("a/1", "b/1")}
    assert abs(found["canary/1", "a/1", "b/1"] / DRAWS - 0.05) < 0.01


def test_two_canaries_share_no_call() -> None:
    targets = [replace(target("one/1"), share=30.0), replace(target("two/1"), share=20.0), target("a/1")]
    draw = random.Random(7).random
    firsts = Counter(ordered(targets, draw)[0].name for _ in range(DRAWS))
    for name, share in {"one/1": 0.3, "two/1": 0.2, "a/1": 0.5}.items():
        assert abs(firsts[name] / DRAWS - share) < 0.015


def test_a_canary_alone_serves() -> None:
    assert names(ordered([replace(target("canary/1"), share=1.0)], lambda: 0.9)) == ["canary/1"]


# --- Sessions


def test_a_session_keeps_its_order_and_sessions_share_by_weight() -> None:
    targets = [target("a/1", weight=1), target("b/1", weight=3)]
    orders = {
        session: names(ordered(targets, random.random, request=Request("any", session=session), sticky="user"))
        for session in map(str, range(DRAWS))
    }
    share = sum(each[0] == "b/1" for each in orders.values()) / DRAWS
    assert abs(share - 0.75) < 0.015
    again = {
        session: names(ordered(targets[::-1], random.random, request=Request("any", session=session), sticky="user"))
        for session in map(str, range(100))
    }
    assert all(again[session] == orders[session] for session in again)


def test_a_new_target_takes_sessions_from_the_others_and_moves_none_between_them() -> None:
    old = [target("a/1"), target("b/1")]
    for session in map(str, range(300)):
        asked = Request("any", session=session)
        before = ordered(old, random.random, request=asked, sticky="user")[0].name
        after = ordered([*old, target("c/1")], random.random, request=asked, sticky="user")[0].name
        assert after in {before, "c/1"}


def test_a_session_stays_with_the_canary_or_away_from_it() -> None:
    targets = [replace(target("canary/1"), share=50.0), target("a/1")]
    for session in map(str, range(50)):
        asked = Request("any", session=session)
        assert len({ordered(targets, random.random, request=asked, sticky="user")[0].name for _ in range(5)}) == 1


def test_marks_of_sessions_spread_them_by_weight_and_are_shared_by_many() -> None:
    targets = [target("a/1", weight=1), target("b/1", weight=3)]
    marks = [marked(f"user-{number}") for number in range(DRAWS)]
    assert marked("") == "" and all(1 <= int(mark) <= MARKS for mark in marks)
    assert len(set(marks)) < 0.9 * DRAWS
    firsts = Counter(
        ordered(targets, random.random, request=Request("any", session=mark), sticky="user")[0].name for mark in marks
    )
    assert abs(firsts["b/1"] / DRAWS - 0.75) < 0.02


# --- Strategies


def test_the_fastest_comes_first_and_who_is_not_known_is_tried() -> None:
    targets = [target("slow/1"), target("quick/1"), target("new/1"), target("later/1", tier=1)]
    view = Seen(seconds={"slow/1": 2.0, "quick/1": 0.1, "later/1": 0.01})
    assert names(ordered(targets, lambda: 0.9, view=view, strategy=FASTEST)) == [
        *("new/1", "quick/1", "slow/1"),
        "later/1",
    ]


def test_a_few_calls_of_a_fastest_route_go_by_weight_to_notice_who_became_fast() -> None:
    targets = [target("slow/1"), target("quick/1")]
    view = Seen(seconds={"slow/1": 2.0, "quick/1": 0.1})
    draw = random.Random(7).random
    firsts = Counter(ordered(targets, draw, view=view, strategy=FASTEST)[0].name for _ in range(DRAWS))
    assert abs(firsts["slow/1"] / DRAWS - EXPLORING / 2) < 0.01


def test_the_cheapest_comes_first_and_who_has_no_price_last() -> None:
    targets = [target("unpriced/1"), target("dear/1"), target("cheap/1"), target("free/1", weight=0)]
    view = Seen(costs={"dear/1": 500, "cheap/1": 20, "free/1": 0})
    assert names(ordered(targets, lambda: 0.9, view=view, strategy=CHEAPEST)) == [
        *("cheap/1", "dear/1", "unpriced/1"),
        "free/1",
    ]
