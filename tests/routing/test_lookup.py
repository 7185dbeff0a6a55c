"""Aliases, default routes and teams' own routes: where a name leads."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing import aliases
from routing.document import DocumentError
from routing.lookup import MAX_ALIASES, PATTERN
from routing.snapshot import Snapshot, compile
from tests.routing.tables import table

LOCAL = {"name": "local", "kind": "openai-compatible", "base_url": "https://llm.example/v1", "by_name": True}


def route(name: str, *models: str, **fields: Any) -> dict[str, Any]:
    named = [] if fields.get("alias_of") else [{"provider": "local", "model": model} for model in models or ("",)]
    return {"name": name, "targets": named, **fields}


def compiled(*routes: dict[str, Any]) -> Snapshot:
    found = table([LOCAL], list(routes))
    aliases.check(found)
    return compile(found, {}, 7)


def led(snapshot: Snapshot, model: str, team: str = "") -> tuple[str, str] | None:
    """The route that a name leads to, and what its first target is asked for."""
    match = snapshot.find(model, team)
    assert match is None or not match.route.alias_of
    return (match.route.name, match.targets[0].model) if match else None


def refusal(*routes: dict[str, Any]) -> str:
    with pytest.raises(DocumentError) as refused:
        compiled(*routes)
    return str(refused.value)


# --- Aliases


def test_an_alias_has_all_that_its_route_has() -> None:
    snapshot = compiled(route("gpt-4o", "", "fallback", cache_ttl=9, retries=3), route("smart", alias_of="gpt-4o"))
    smart, plain = snapshot.find("smart"), snapshot.find("gpt-4o")
    assert smart is not None
    assert smart == plain
    assert [each.name for each in smart.targets] == ["local/gpt-4o", "local/fallback"]
    assert (smart.route.cache_ttl, smart.route.retries) == (9, 3)
    assert snapshot.names() == ["gpt-4o", "smart"]


def test_an_alias_of_an_alias_and_of_what_a_pattern_or_a_provider_serves() -> None:
    snapshot = compiled(
        route("a", alias_of="b"), route("b", alias_of="gpt-4o"), route("gpt-*"), route("llama", alias_of="local/llama3")
    )
    assert led(snapshot, "a") == ("gpt-*", "gpt-4o")
    assert led(snapshot, "llama") == ("local/*", "llama3")


def test_a_pattern_can_be_an_alias_and_hands_on_what_it_matched() -> None:
    snapshot = compiled(route("claude/*", alias_of="anthropic/claude-*"), route("anthropic/*", "*"), route("x", "y"))
    assert led(snapshot, "claude/opus") == ("anthropic/*", "claude-opus")
    assert led(compiled(route("any/*", alias_of="x"), route("x", "y")), "any/thing") == ("x", "y")


def test_an_alias_that_leads_nowhere_is_not_found_and_not_listed() -> None:
    snapshot = compiled(route("smart", alias_of="gone"), route("old", alias_of="off"), route("off", enabled=False))
    assert led(snapshot, "smart") is None
    assert led(snapshot, "old") is None
    assert snapshot.names() == []


@pytest.mark.parametrize(
    "routes",
    [
        [route("a", alias_of="b"), route("b", alias_of="a")],
        [route("a", alias_of="b"), route("b", alias_of="c"), route("c", alias_of="b")],
        [route("x-*", alias_of="y-*"), route("y-*", alias_of="x-*")],
        [route("a*", alias_of="a-*")],
        [route("a", alias_of="zzz"), route("z*", alias_of="a")],
        [route("home", alias_of="gone", default=True)],
        [route("a", alias_of="b"), route("b", team="red", alias_of="a"), route("b")],
    ],
)
def test_it_refuses_loops_in_a_sentence(routes: list[dict[str, Any]]) -> None:
    assert "these aliases lead back to where they began: " in refusal(*routes)


def test_it_names_the_way_of_a_loop() -> None:
    assert refusal(route("a", alias_of="b"), route("b", alias_of="a")).endswith(": a -> b -> a")


def test_it_refuses_endless_chains() -> None:
    chain = [route(f"a{number}", alias_of=f"a{number + 1}") for number in range(MAX_ALIASES)]
    assert led(compiled(*chain, route(f"a{MAX_ALIASES}")), "a0") == (f"a{MAX_ALIASES}", f"a{MAX_ALIASES}")
    longer = route(f"a{MAX_ALIASES}", alias_of="end")
    assert f"more than {MAX_ALIASES} aliases" in refusal(*chain, longer, route("end"))


def test_it_takes_a_catch_all_alias_whose_goal_has_a_route() -> None:
    snapshot = compiled(route("*", alias_of="stub"), route("stub"))
    assert led(snapshot, "whatever") == ("stub", "stub")


def test_a_loop_that_slipped_through_leads_nowhere() -> None:
    snapshot = compile(table([LOCAL], [route("a", alias_of="b"), route("b", alias_of="a")]), {}, 1)
    assert led(snapshot, "a") is None


# --- The default route


def test_without_a_default_route_what_matches_nothing_is_not_found() -> None:
    assert led(compiled(route("a")), "b") is None


def test_the_default_route_serves_as_if_its_own_name_was_asked_for() -> None:
    snapshot = compiled(route("small", default=True), route("a*"))
    assert led(snapshot, "unheard-of") == ("small", "small")
    assert led(snapshot, "abc") == ("a*", "abc")
    assert led(snapshot, "local/llama3") == ("local/*", "llama3")


def test_a_default_pattern_hands_on_the_whole_name() -> None:
    snapshot = compiled(route("ollama/*", "*", default=True))
    assert led(snapshot, "llama3") == ("ollama/*", "llama3")


def test_two_defaults_are_refused_but_each_team_may_have_its_own() -> None:
    assert "'a' and 'b' cannot both be the default route" in refusal(route("a", default=True), route("b", default=True))
    snapshot = compiled(route("a", default=True), route("b", team="red", default=True), route("c", team="blue"))
    assert [led(snapshot, "x", team) for team in ("", "red", "blue")] == [("a", "a"), ("b", "b"), ("a", "a")]


# --- Teams


def test_a_teams_own_route_is_found_first_by_that_team_only() -> None:
    snapshot = compiled(route("gpt", "general"), route("gpt", "private", team="red"), route("other", "same"))
    assert led(snapshot, "gpt", "red") == ("gpt", "private")
    assert led(snapshot, "gpt", "blue") == led(snapshot, "gpt") == ("gpt", "general")
    assert led(snapshot, "other", "red") == ("other", "same")


def test_a_teams_own_pattern_wins_over_everybodys_exact_name() -> None:
    snapshot = compiled(route("gpt-4o", "general"), route("gpt-*", "private", team="red"))
    assert led(snapshot, "gpt-4o", "red") == ("gpt-*", "private")


def test_a_team_sees_its_own_names_in_the_list() -> None:
    snapshot = compiled(route("a"), route("b", team="red"), route("c", team="red", alias_of="gone"))
    assert (snapshot.names(), snapshot.names("blue"), snapshot.names("red")) == (["a"], ["a"], ["a", "b"])


def test_a_general_alias_leads_a_team_to_its_own_route() -> None:
    snapshot = compiled(route("smart", alias_of="gpt"), route("gpt", "general"), route("gpt", "private", team="red"))
    assert (led(snapshot, "smart", "red"), led(snapshot, "smart")) == (("gpt", "private"), ("gpt", "general"))


# --- Any table


_names = st.text(alphabet="ab*", min_size=1, max_size=4).filter(lambda name: name.count("*") < 2)
_asked = st.text(alphabet="ab", max_size=6)


@st.composite
def _routes(draw: st.DrawFn) -> list[dict[str, Any]]:
    made = {}
    for name in draw(st.lists(_names, max_size=8, unique=True)):
        for team in draw(st.sampled_from([[""], ["red"], ["", "red"]])):
            goal = draw(st.none() | _names.filter(lambda goal, name=name: goal != name))
            goal = None if goal and "*" in goal and "*" not in name else goal
            made[name, team] = route(name, team=team, **({"alias_of": goal} if goal else {}))
    return list(made.values())


@given(_routes(), st.lists(_asked, max_size=5), st.sampled_from(["", "red", "blue"]))
def test_a_table_that_was_accepted_has_no_loop(routes: list[dict[str, Any]], asked: list[str], team: str) -> None:
    found = table([LOCAL], routes)
    snapshot = compile(found, {}, 1)
    try:
        aliases.check(found)
    except DocumentError:
        return
    for model in [*asked, *(each["name"].replace("*", "") for each in routes)]:
        trail = snapshot.trail(model, team)
        seen = [(step.asked, step.route.name, step.route.team) for step in trail.steps]
        assert len(seen) == len(set(seen)) <= MAX_ALIASES + 1
        assert trail.found is None or trail.found is trail.steps[-1]


def fits(name: str, asked: str) -> bool:
    before, star, after = name.partition("*")
    if not star:
        return name == asked
    return len(asked) >= len(before + after) and asked.startswith(before) and asked.endswith(after)


@given(_routes(), _asked, st.sampled_from(["", "red", "blue"]))
def test_the_longest_match_wins_at_every_step(routes: list[dict[str, Any]], asked: str, team: str) -> None:
    snapshot = compile(table([LOCAL], routes), {}, 1)
    for step in snapshot.trail(asked, team).steps:
        fitting = [each for each in routes if each["team"] in {"", team} and fits(each["name"], step.asked)]
        best = min(fitting, key=lambda each: (each["team"] != team, "*" in each["name"], -len(each["name"])))
        assert (len(step.route.name), step.route.team) == (len(best["name"]), best["team"])
        assert (step.how == PATTERN) == ("*" in step.route.name)
