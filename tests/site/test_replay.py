"""Recorded requests under an old and a new table: who moves, who is refused, what it costs."""

from dataclasses import replace as but
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from accounts.prices import Usage
from qlite_site.simulate.replay import NOWHERE, OTHERS, Recorded, Tally, replay
from routing.decide import Request
from routing.explain import Nobody
from routing.snapshot import Snapshot, build
from routing.values import Provider, Route, Target

A, B = Provider("a", "openai", "https://a.test"), Provider("b", "openai", "https://b.test")


def table(**routes: list[tuple[Provider, int]]) -> Snapshot:
    """Routes by name, each with its targets as provider and weight."""
    made = [
        Route(name, tuple(Target(name, provider, f"{name}-up", weight=weight) for provider, weight in targets))
        for name, targets in routes.items()
    ]
    return build(1, made, [A, B])


def asked(model: str = "m", number: int = 0, **known: Any) -> Recorded:
    return Recorded(f"id-{number}", Request(model, **known), Usage(input=10, output=2))


def price(target: Target, usage: Usage) -> int | None:
    """Provider a costs 5 nano a token, b has no price."""
    return 5 * (usage.tokens_in + usage.tokens_out) if target.provider.name == "a" else None


def found(records: list[Recorded], before: Snapshot, after: Snapshot) -> Tally:
    tally = Tally()
    replay(records, before, after, Nobody(), price, tally)
    return tally


def test_who_goes_elsewhere_is_counted_with_from_and_to() -> None:
    tally = found([asked(number=n) for n in range(7)], table(m=[(A, 1)]), table(m=[(B, 1)]))
    assert (tally.seen, tally.moved, dict(tally.moves)) == (7, 7, {("a/m-up", "b/m-up"): 7})
    assert (tally.cost_before, tally.cost_after) == (7 * 60, 0)
    assert (tally.unpriced_before, tally.unpriced_after) == (0, 7)


def test_who_would_be_refused_is_counted() -> None:
    tally = found([asked(), asked("other")], table(m=[(A, 1)]), table(other=[(A, 1)]))
    assert (tally.refused_before, tally.refused_after, tally.moved) == (1, 1, 2)
    assert dict(tally.moves) == {("a/m-up", NOWHERE): 1, (NOWHERE, "a/other-up"): 1}


def test_a_call_of_a_provider_s_own_api_goes_where_it_would_without_a_route() -> None:
    shut, other = Provider("a", "openai", "https://a.test"), Provider("g", "gemini", "https://g.test")
    reachable = but(shut, by_name=True)
    own = Recorded("id-1", Request("m"), Usage(input=10, output=2), "openai-native")
    chat = Recorded("id-2", Request("m"), Usage(input=10, output=2))

    def went(record: Recorded, before: Snapshot, after: Snapshot) -> tuple[int, int, dict[tuple[str, str], int]]:
        tally = found([record], before, after)
        return tally.refused_before, tally.refused_after, dict(tally.moves)

    closed, opened = build(1, [], [shut]), build(1, [], [reachable])
    assert went(own, opened, opened) == (0, 0, {})
    assert went(own, opened, closed) == (0, 1, {("a/m", NOWHERE): 1})
    assert went(chat, opened, opened) == (1, 1, {})
    # A route of that name comes first, with those of its targets that speak that API.
    routed = [Route("m", (Target("m", other, "m-up"), Target("m", B, "m-up", tier=1)))]
    assert went(own, build(1, routed, [other, B]), opened) == (0, 0, {("b/m-up", "a/m"): 1})
    assert went(own, build(1, [Route("m", (Target("m", other, "m-up"),))], [other]), opened)[0] == 1


def test_a_changed_weight_moves_as_many_as_it_should_and_no_others() -> None:
    records = [asked(number=n) for n in range(4000)]
    tally = found(records, table(m=[(A, 1), (B, 1)]), table(m=[(A, 3), (B, 1)]))
    assert set(tally.moves) == {("b/m-up", "a/m-up")}
    assert 0.22 < tally.moved / 4000 < 0.28


@given(st.lists(st.tuples(st.sampled_from(["m", "n", "x"]), st.integers(0, 10**6)), max_size=30))
def test_the_same_table_moves_nobody(calls: list[tuple[str, int]]) -> None:
    same = table(m=[(A, 1), (B, 2)], n=[(B, 1)])
    tally = found([asked(model, number) for model, number in calls], same, same)
    assert (tally.seen, tally.moved, tally.moves) == (len(calls), 0, {})
    assert (tally.cost_before, tally.unpriced_before) == (tally.cost_after, tally.unpriced_after)


def test_it_can_be_put_aside_and_gone_on_with() -> None:
    records = [asked(number=n) for n in range(20)]
    before, after = table(m=[(A, 1), (B, 1)]), table(m=[(B, 1)])
    half = found(records[:10], before, after)
    again = Tally.of(half.as_dict())
    replay(records[10:], before, after, Nobody(), price, again)
    assert again == found(records, before, after)


def test_what_is_too_much_to_tell_apart_is_summed_up() -> None:
    names = [f"m{n}" for n in range(300)]
    before, after = table(**{name: [(A, 1)] for name in names}), table(**{name: [(B, 1)] for name in names})
    tally = found([asked(name, n) for n, name in enumerate(names)], before, after)
    assert (tally.moved, tally.moves[OTHERS, OTHERS], len(tally.moves)) == (300, 100, 201)
