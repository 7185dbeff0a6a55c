"""What is wrong or doubtful about a table before it is published."""

from typing import Any

from hypothesis import given, settings

from routing import document
from routing.checks import Named, findings
from routing.document import Document
from tests.routing.tables import table, tables

OPENAI = {"name": "openai", "kind": "openai", "credential": {"env": "OPENAI_API_KEY"}}
STUB = {"name": "stub", "kind": "stub", "free": True}
BOX = {"name": "box", "kind": "openai-compatible", "base_url": "https://llm.example/v1"}


def of(found: Document, serving: Document | None = None, **asked: Any) -> list[tuple[str, str]]:
    known = {"priced": lambda *_: True, "has_credential": lambda _: True, "is_team": lambda _: True} | asked
    return [(each.level, each.sentence) for each in findings(found, serving or document.empty(), **known)]


def route(name: str, *providers: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "targets": [{"provider": each, "model": "m"} for each in providers], **fields}


def test_it_has_nothing_to_say_about_a_sound_table() -> None:
    assert of(table([OPENAI, STUB], [route("gpt", "openai"), route("gpt-*", "openai"), route("s", "stub")])) == []


def test_it_finds_routes_that_lead_nowhere() -> None:
    off = {**STUB, "enabled": False}
    resting = route("resting", "box")
    resting["targets"][0]["enabled"] = False
    entries = [
        route("empty"),
        route("at-off", "stub"),
        resting,
        route("off", enabled=False),
        route("two", "stub", "box"),
    ]
    assert of(table([BOX, off], entries)) == [
        ("error", "route at-off has no target that is on: who asks for it gets an error"),
        ("error", "route empty has no target: who asks for it gets an error"),
        ("error", "route resting has no target that is on: who asks for it gets an error"),
        ("warning", "route at-off has a target at stub, which is off"),
        ("warning", "route two has a target at stub, which is off"),
    ]


def test_it_finds_routes_of_teams_that_there_are_not() -> None:
    entries = [route("a", "stub", team="red"), route("a", "stub", team="redd"), route("a", "stub")]
    said = "route a (team redd) is for a team that there is not: nobody's calls find it"
    assert of(table([STUB], entries), is_team=lambda name: name == "red") == [("warning", said)]


def test_it_finds_a_missing_credential_where_it_is_used() -> None:
    said = "provider openai needs a credential and has none here"
    assert of(table([OPENAI, BOX], [route("a", "openai")]), has_credential=lambda _: False) == [("error", said)]
    assert of(table([OPENAI, BOX], [route("a", "box")]), has_credential=lambda _: False) == [("warning", said)]


def test_it_asks_for_prices_of_what_is_served_by_name() -> None:
    asked = []

    def priced(*what: str) -> bool:
        asked.append(what)
        return False

    entries = [route("a", "openai"), {"name": "b", "targets": [{"provider": "openai"}]}, route("s", "stub")]
    entries.append({"name": "p*", "targets": [{"provider": "openai"}]})
    assert of(table([OPENAI, STUB], entries), priced=priced) == [
        ("warning", "route a: openai/m has no price; its calls are unpriced"),
        ("warning", "route b: openai/b has no price; its calls are unpriced"),
    ]
    assert asked == [("openai", "openai", "m"), ("openai", "openai", "b")]


def test_it_finds_patterns_that_share_names() -> None:
    entries = [route(name, "stub") for name in ("gpt-*", "*-mini", "gpt-4*", "claude-*")]
    assert of(table([STUB], entries)) == [
        ("warning", "patterns claude-* and *-mini share names such as claude--mini: claude-* takes them"),
        ("warning", "patterns *-mini and gpt-* share names such as gpt--mini: *-mini takes them"),
        ("warning", "patterns *-mini and gpt-4* share names such as gpt-4-mini: *-mini takes them"),
    ]


def test_it_finds_a_pattern_before_a_provider_reachable_by_name() -> None:
    providers = [BOX | {"by_name": True}, STUB]
    assert of(table(providers, [route("box/*", "stub")])) == [
        ("warning", "route box/* takes all names of provider box, which is reachable by name")
    ]
    assert of(table(providers, [route("box/*", "box")])) == []


def test_it_finds_aliases_that_lead_nowhere() -> None:
    entries = [route("lost", alias_of="gone")]
    entries += [route("fine", alias_of="gpt-4o"), route("gpt-*", "stub"), route("named", alias_of="box/llama")]
    assert of(table([STUB, BOX | {"by_name": True}], entries)) == [
        ("error", "route lost is an alias of gone, which nothing serves"),
    ]
    default = route("anything", "stub", default=True)
    assert of(table([STUB], [route("lost", alias_of="gone"), default])) == []


def test_it_finds_canaries_that_leave_nothing_to_the_others() -> None:
    shared = route("gpt", "stub", "stub", "stub")
    for target, share in zip(shared["targets"], (60.5, 60, None), strict=True):
        target["share"] = share
    assert of(table([STUB], [shared])) == [
        ("warning", "the canaries of route gpt ask for 120.5 % of its calls: nothing is left for the others")
    ]
    shared["targets"][2]["enabled"] = False  # then canaries alone are targets like others
    assert of(table([STUB], [shared])) == []


def test_an_alias_of_a_team_may_lead_to_a_route_of_that_team() -> None:
    own = route("gpt-4o", "stub", team="red")
    assert of(table([STUB], [own, route("fast", team="red", alias_of="gpt-4o")])) == []
    assert of(table([STUB], [own | {"name": "gpt-*"}, route("fast", team="red", alias_of="gpt-5")])) == []
    lost = [("error", "route fast is an alias of gpt-4o, which nothing serves")]
    assert of(table([STUB], [own, route("fast", alias_of="gpt-4o")])) == lost
    elsewhere = route("rest", "stub", team="red", default=True)
    assert of(table([STUB], [elsewhere, route("fast", alias_of="gpt-4o")])) == lost
    shut = {**BOX, "by_name": True, "enabled": False}
    assert ("error", "route fast is an alias of box/m, which nothing serves") in of(
        table([STUB, shut], [route("fast", alias_of="box/m")])
    )


def test_it_takes_as_a_warning_what_serves_like_this_already() -> None:
    serving = table([STUB], [route("empty")])
    assert [level for level, _ in of(serving)] == ["error"]
    assert [level for level, _ in of(serving, serving)] == ["warning"]


@settings(deadline=None)
@given(tables(), tables())
def test_it_judges_any_table_and_blocks_none_that_serves(found: Document, serving: Document) -> None:
    of(found, serving)
    assert all(level == "warning" for level, _ in of(serving, serving))


def test_it_finds_budgets_and_prices_of_what_has_another_name_now() -> None:
    named = Named(frozenset({"gpt", "stub/*", "fast"}), frozenset({"stub", "box"}))
    open_ = {**STUB, "by_name": True}
    before = table([open_, BOX], [route("gpt", "stub"), route("fast", alias_of="gpt")])
    dead = ("warning", "a budget is on fast, and no route is called so: nothing counts on it")
    assert of(before, named=named) == [dead]
    after = table([STUB], [route("gpt-4o", "stub")])
    assert of(after, before, named=named) == [
        ("warning", "there are prices for the provider box, and no provider is called so: they price nothing"),
        dead,
        ("warning", "a budget is on gpt, and no route is called so: nothing counts on it"),
        ("warning", "a budget is on stub/*, and no route is called so: nothing counts on it"),
    ]
