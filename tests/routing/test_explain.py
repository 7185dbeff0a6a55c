"""Why a request goes where it goes: the explanation is the decision."""

import random
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from routing.decide import Request, order
from routing.document import Document
from routing.explain import Decision, Nobody, explain
from routing.snapshot import Snapshot, compile
from tests.routing.tables import Seen, table, tables

LOCAL = {"name": "local", "kind": "openai-compatible", "base_url": "https://llm.example/v1", "by_name": True}
OFF = {"name": "off", "kind": "stub", "enabled": False}


def compiled(*routes: dict[str, Any]) -> Snapshot:
    return compile(table([LOCAL, OFF], list(routes)), {}, 7)


def to(model: str, **fields: Any) -> dict[str, Any]:
    return {"provider": "local", "model": model, **fields}


def told(snapshot: Snapshot, request: Request, view: Any = None) -> Decision:
    return explain(request, snapshot, view or Nobody(), lambda: 0.5)


def test_it_tells_the_way_through_aliases_and_teams() -> None:
    snapshot = compiled(
        {"name": "smart", "alias_of": "gpt-4o"},
        {"name": "gpt-*", "targets": [to("")]},
        {"name": "gpt-*", "team": "red", "targets": [to("private")]},
        {"name": "rest", "default": True, "targets": [to("small")]},
    )
    assert told(snapshot, Request("smart")).why == (
        "'smart' is the name of a route",
        "'smart' is an alias of 'gpt-4o'",
        "'gpt-4o' fits the pattern 'gpt-*', the longest that fits",
    )
    assert told(snapshot, Request("gpt-5", team="red")).why == (
        "'gpt-5' fits the pattern 'gpt-*' of team red, the longest that fits",
        "routes of team red come first: 'gpt-*', which is there for everybody, is passed over",
    )
    assert told(snapshot, Request("other")).why == ("nothing matches 'other', so it goes to the default route 'rest'",)
    assert told(snapshot, Request("local/x")).why == ("'local/x' names a provider whose every model can be asked for",)


def test_it_tells_what_leads_nowhere() -> None:
    decision = told(compiled({"name": "smart", "alias_of": "gone"}), Request("smart"))
    assert decision.refused == "404 model_not_found: nothing serves 'smart'"
    assert decision.why[-1] == "the alias 'gone' leads nowhere"
    assert told(compiled(), Request("x")).why == ("no route matches 'x'",)


def test_it_tells_the_reason_of_every_target_left_out() -> None:
    targets = [
        to("a", tools="only"),
        to("b", max_context=1000),
        to("c", tag="tier=gold"),
        to("d", enabled=False),
        {"provider": "off", "model": "e"},
        to("f", share=5),
        to("g", shadow=10),
        to("h"),
        to("i", streaming="never"),
    ]
    decision = told(compiled({"name": "m", "targets": targets}), Request("m", stream=True, tokens=1200))
    assert {each.target: each.reason for each in decision.left_out} == {
        "local/a": "it takes only calls with tools",
        "local/b": "the prompt has about 1,200 tokens, and it takes up to 1,000",
        "local/c": "it takes only calls with the tag tier=gold",
        "local/d": "switched off",
        "off/e": "its provider off is switched off",
        "local/f": "canary: 5 % of the calls, and this one was not drawn",
        "local/g": "shadow: gets a copy of 10 % of the calls",
        "local/i": "it takes only calls without a stream",
    }
    assert [(each.target.name, each.why) for each in decision.candidates] == [("local/h", "tier 0")]


def test_it_tells_the_reason_of_every_place() -> None:
    routes = [
        {"name": "m", "targets": [to("a", weight=3), to("b"), to("z", weight=0), to("c", tier=1)]},
        {"name": "quick", "strategy": "fastest", "targets": [to("a"), to("b")]},
        {"name": "cheap", "strategy": "cheapest", "targets": [to("a"), to("b")]},
        {"name": "sticky", "sticky": "user", "targets": [to("a"), to("b")]},
    ]
    view = Seen(["local/b"], seconds={"local/a": 0.25}, costs={"local/a": 1_500_000})
    snapshot = compiled(*routes)

    def places(model: str, seen: Any = view, **fields: Any) -> list[str]:
        decision = told(snapshot, Request(model, **fields), seen)
        return [f"{each.target.model}: {each.why}" for each in decision.candidates]

    assert places("m") == [
        "a: tier 0, drawn by weight 3 of 3",
        "z: tier 0, weight 0: after the others of its tier",
        "c: tier 1",
        "b: resting after failures, so a last resort, tier 0",
    ]
    calm = Seen(seconds={"local/a": 0.25}, costs={"local/a": 1_500_000})
    assert places("quick", calm) == ["b: tier 0, no answer timed yet", "a: tier 0, 250 ms of late"]
    assert places("cheap", calm) == ["a: tier 0, about 0.001500 USD", "b: tier 0, no price"]
    assert {each.partition(": ")[2] for each in places("sticky", calm, session="s")} == {
        "tier 0, place 1 for this session",
        "tier 0, place 2 for this session",
    }
    barred = Seen(barred={"local/a": "too dear"})
    assert told(snapshot, Request("m"), barred).left_out[0].reason == "its breaker was opened by hand: too dear"


def test_it_says_so_when_nobody_takes_the_request() -> None:
    decision = told(compiled({"name": "m", "targets": [to("a", tools="only")]}), Request("m"))
    assert decision.refused == "503 no_target: no target of this route takes the request"


_requests = st.builds(
    Request,
    model=st.text(alphabet="abz019.-_/", min_size=1, max_size=8),
    team=st.sampled_from(["", "red", "blue"]),
    stream=st.booleans(),
    tools=st.booleans(),
    images=st.booleans(),
    json_schema=st.booleans(),
    tokens=st.integers(0, 10_000),
    tags=st.sampled_from([{}, {"tier": "gold"}]),
    session=st.sampled_from(["", "s1", "s2"]),
)


@given(tables(), _requests, st.integers(), st.randoms(use_true_random=False))
def test_the_explanation_and_the_real_choice_agree(
    found: Document, request: Request, seed: int, chance: random.Random
) -> None:
    snapshot = compile(found, {}, 1)
    names = [each["name"].replace("*", request.model) for each in found["routes"]]
    request = Request(**{**_fields(request), "model": chance.choice([request.model, *names])})
    everybody = [target.name for route in snapshot.routes for target in route.targets]
    view = Seen(
        [name for name in everybody if chance.random() < 0.3],
        barred={name: "by hand" for name in everybody if chance.random() < 0.1},
        seconds={name: chance.random() for name in everybody if chance.random() < 0.5},
        costs={name: chance.randrange(99) for name in everybody if chance.random() < 0.5},
    )
    decision = explain(request, snapshot, view, random.Random(seed).random)
    match = snapshot.find(request.model, request.team)
    if match is None:
        assert decision.route is None
        assert decision.refused.startswith("404")
        return
    real = order(match, None if match.plain else request, view, random.Random(seed).random)
    assert decision.route is match.route
    assert [each.target for each in decision.candidates] == list(real)
    assert all(each.why for each in decision.candidates)
    assert bool(decision.refused) == (not real)
    # Every target of the route is told of: tried, or left out for a reason.
    mentioned = len(decision.candidates) + len(decision.left_out)
    assert mentioned == len(match.route.targets) + len(match.route.off)
    assert all(each.reason for each in decision.left_out)
    # The same question gets the same answer.
    assert explain(request, snapshot, view, random.Random(seed).random) == decision


def _fields(request: Request) -> dict[str, Any]:
    return {name: getattr(request, name) for name in Request.__dataclass_fields__}


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=2, max_size=4).filter(lambda weights: sum(weights) > 0))
def test_weights_hold_over_many_draws(weights: list[int]) -> None:
    targets = [to(f"t{place}", weight=weight) for place, weight in enumerate(weights)]
    match = compiled({"name": "m", "targets": targets}).find("m")
    assert match is not None
    draw = random.Random(1).random
    draws = 10_000
    firsts = Counter(order(match, None, Nobody(), draw)[0].model for _ in range(draws))
    for place, weight in enumerate(weights):
        assert abs(firsts[f"t{place}"] / draws - weight / sum(weights)) < 0.025
