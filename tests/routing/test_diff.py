"""The list of changes between two documents, as people read it."""

from typing import Any

from hypothesis import given

from routing import document
from routing.diff import changes
from routing.document import Document
from tests.routing.tables import table, tables

OPENAI = {"name": "openai", "kind": "openai", "credential": {"env": "OPENAI_API_KEY"}}
STUB = {"name": "stub", "kind": "stub"}


def route(*targets: dict[str, Any], **fields: Any) -> Document:
    return table([OPENAI, STUB], [{"name": "gpt", "targets": list(targets), **fields}])


def sentences(before: Document, after: Document) -> list[str]:
    return [change.sentence for change in changes(before, after)]


def test_it_tells_what_was_added_and_removed() -> None:
    full = route({"provider": "openai", "model": "gpt-4o", "weight": 3}, {"provider": "stub", "tier": 1})
    assert sentences(document.empty(), full) == [
        "provider openai added: openai at https://api.openai.com/v1",
        "provider stub added: stub",
        "route gpt added: openai/gpt-4o (weight 3), stub/(as asked) (tier 1)",
    ]
    assert sentences(full, document.empty()) == [
        "provider openai removed",
        "provider stub removed",
        "route gpt removed",
    ]


def test_it_tells_each_field_with_before_and_after() -> None:
    before = table([OPENAI], [{"name": "gpt"}])
    after = table(
        [OPENAI | {"enabled": False, "credential": None, "idle_timeout": 5}], [{"name": "gpt", "cache_ttl": 0}]
    )
    assert sentences(before, after) == [
        "provider openai: credential ${OPENAI_API_KEY} -> none",
        "provider openai: enabled on -> off",
        "provider openai: idle_timeout none -> 5.0",
        "route gpt: cache_ttl none -> 0",
    ]
    change = changes(before, after)[1]
    assert (change.what, change.name, change.action, change.field) == ("provider", "openai", "changed", "enabled")
    assert (change.before, change.after) == (True, False)
    assert change.as_dict()["sentence"] == "provider openai: enabled on -> off"


def test_it_tells_what_happened_to_targets() -> None:
    before = route({"provider": "openai", "model": "a"}, {"provider": "stub", "model": "b"})
    after = route({"provider": "openai", "model": "a", "weight": 5}, {"provider": "stub", "model": "c"})
    assert sentences(before, after) == [
        "route gpt: target openai/a: weight 1 -> 5",
        "route gpt: target stub/b removed",
        "route gpt: target stub/c added",
    ]


def test_it_tells_a_new_order() -> None:
    one, two = {"provider": "openai", "model": "a"}, {"provider": "stub", "model": "b"}
    assert sentences(route(one, two), route(two, one)) == [
        "route gpt: order of targets openai/a, stub/b -> stub/b, openai/a"
    ]


def test_it_tells_twins_apart() -> None:
    twin = {"provider": "stub", "model": "b"}
    assert sentences(route(twin, twin), route(twin)) == ["route gpt: target stub/b (2) removed"]
    assert sentences(route(twin, twin), route(twin, twin | {"weight": 2})) == [
        "route gpt: target stub/b (2): weight 1 -> 2"
    ]


def test_it_keeps_sentences_to_one_line() -> None:
    (sentence,) = sentences(route(description="short"), route(description="long\n" * 100))
    assert "\n" not in sentence
    assert len(sentence) < 150


@given(tables(), tables())
def test_it_is_empty_only_for_equal_tables(before: Document, after: Document) -> None:
    found = changes(before, after)
    assert (found == []) == (before == after)
    assert all("\n" not in change.sentence for change in found)
