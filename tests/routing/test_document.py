"""The document: one normal form, and clear words for what is not in it."""

from typing import Any

import pytest
from hypothesis import given

from routing import document
from routing.document import Document, DocumentError
from tests.routing.tables import table, tables

STUB = {"name": "stub", "kind": "stub"}


def test_it_writes_defaults_out_and_sorts_by_name() -> None:
    found = table(
        [STUB, {"name": "openai", "kind": "openai"}], [{"name": "b"}, {"name": "a", "targets": [{"provider": "stub"}]}]
    )
    assert [each["name"] for each in found["providers"]] == ["openai", "stub"]
    assert found["providers"][0]["base_url"] == "https://api.openai.com/v1"
    assert found["providers"][0]["connect_timeout"] is None
    assert [each["name"] for each in found["routes"]] == ["a", "b"]
    (target,) = found["routes"][0]["targets"]
    assert {name: target[name] for name in ("provider", "model", "tier", "weight", "enabled", "tools", "share")} == {
        "provider": "stub",
        "model": "",
        "tier": 0,
        "weight": 1,
        "enabled": True,
        "tools": "any",
        "share": None,
    }


def test_it_keeps_the_order_of_targets() -> None:
    targets = [{"provider": "stub", "model": model} for model in ("z", "a", "m")]
    found = table([STUB], [{"name": "r", "targets": targets}])
    assert [each["model"] for each in found["routes"][0]["targets"]] == ["z", "a", "m"]


def test_it_takes_words_for_numbers_and_switches() -> None:
    found = table([STUB | {"free": "yes", "idle_timeout": "2.5"}], [{"name": "r", "cache_ttl": "60", "enabled": "off"}])
    assert (found["providers"][0]["free"], found["providers"][0]["idle_timeout"]) == (True, 2.5)
    assert (found["routes"][0]["cache_ttl"], found["routes"][0]["enabled"]) == (60, False)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ([], "not a mapping"),
        ({"version": 2}, "version 2"),
        ({"provider": []}, "not known: provider"),
        ({"providers": {}}, "'providers' is not a list"),
        ({"providers": ["openai"]}, "provider number 1 is not a mapping"),
        ({"providers": [STUB | {"weigth": 1}]}, "provider 'stub' has a field that is not known: weigth"),
        ({"providers": [STUB, STUB]}, "providers has 'stub' twice"),
        ({"providers": [{"kind": "stub"}]}, "provider number 1: name: '' is no provider name"),
        ({"providers": [{"name": "a", "kind": "b"}]}, "provider 'a': kind: 'b' is none of the kinds openai"),
        ({"providers": [STUB | {"credential": "sk-1234"}]}, "secrets do not belong here"),
        ({"providers": [STUB | {"credential": {"env": "SECRET_KEY"}}]}, "belongs to qlite itself"),
        ({"providers": [STUB | {"free": "maybe"}]}, "free: 'maybe' is neither on nor off"),
        ({"providers": [STUB | {"free": 2}]}, "free: 2 is neither on nor off"),
        ({"providers": [STUB | {"note": "a\x00b"}]}, "NUL"),
        ({"providers": [STUB | {"idle_timeout": -1}]}, "idle_timeout: the value -1.0 is not a number of seconds"),
        ({"providers": [STUB | {"idle_timeout": "soon"}]}, "'soon' is not a number of seconds"),
        ({"routes": [{"name": "a b"}]}, "route 'a b': name: 'a b' has blanks"),
        ({"routes": [{"name": "a", "targets": "stub"}]}, "route 'a': targets: this is not a list"),
        ({"routes": [{"name": "a", "targets": [{"provider": "stub", "weight": 1.5}]}]}, "target 1: weight: 1.5 is not"),
        ({"routes": [{"name": "a", "targets": [{"provider": "stub", "weight": True}]}]}, "weight: True is not a whole"),
        ({"routes": [{"name": "a", "targets": [{"provider": "stub", "model": "*"}]}]}, "target 1: upstream model '*'"),
        ({"routes": [{"name": "a", "alias_of": "b*"}]}, "alias_of 'b*' has a '*', but 'a' is not a pattern"),
        ({"routes": [{"name": "a", "alias_of": "a"}]}, "'a' would be an alias of itself"),
        ({"routes": [{"name": "a", "alias_of": "b", "targets": [{"provider": "stub"}]}]}, "none of its own"),
        ({"routes": [{"name": "a", "team": "red"}, {"name": "a", "team": "red"}]}, "routes has 'a (team red)' twice"),
        ({"routes": [{"name": "a", "team": "r d"}]}, "team: 'r d' is no team"),
        ({"routes": [{"name": "a", "sticky": "Authorization"}]}, "neither 'user' nor the name of a header"),
        ({"routes": [{"name": "a", "strategy": "luck"}]}, "'luck' is none of weighted, fastest, cheapest"),
        ({"routes": [{"name": "a", "retries": 6}]}, "outside 0 to 5"),
        ({"routes": [{"name": "a", "targets": [{"provider": "stub", "tools": "yes"}]}]}, "none of any, only, never"),
        ({"routes": [{"name": "a", "targets": [{"provider": "stub", "tag": "x"}]}]}, "write name=value"),
        ({"routes": [{"name": "a", "targets": [{"provider": "stub", "share": 101}]}]}, "outside 0 to 100 percent"),
        ({"routes": [{"name": "a", "targets": [{"provider": "stub", "share": 1, "shadow": 1}]}]}, "not both"),
        ({"routes": [{"name": "a", "targets": [{"model": "x"}]}]}, "target 1: provider: '' is no provider name"),
    ],
)
def test_it_refuses_in_clear_words(raw: Any, words: str) -> None:
    with pytest.raises(DocumentError) as refusal:
        document.normal(raw)
    assert words in str(refusal.value)
    assert "sk-1234" not in str(refusal.value)


def test_it_names_the_missing_provider_of_a_target() -> None:
    broken = table([STUB], [{"name": "a", "targets": [{"provider": "gone"}]}])
    with pytest.raises(DocumentError, match="route 'a': no provider is called 'gone'"):
        document.check_references(broken)
    document.check_references(table())


@given(tables())
def test_it_has_one_normal_form(found: Document) -> None:
    assert document.normal(found) == found
    backwards = {**found, "providers": found["providers"][::-1], "routes": found["routes"][::-1]}
    assert document.text(backwards) == document.text(found)


def test_what_is_the_same_in_a_table_in_normal_form_is_taken_from_it() -> None:
    known = table([STUB], [{"name": "r", "targets": [{"provider": "stub"}]}, {"name": "other"}])
    raw = {**known, "routes": [{"name": "new", "cache_ttl": "60"}, {"name": "r", "retries": 2}, known["routes"][0]]}
    assert document.normal(raw, like=known) == document.normal(raw)
    with pytest.raises(DocumentError, match="twice"):
        document.normal({"routes": [known["routes"][0]] * 2}, like=known)
    with pytest.raises(DocumentError, match="retries"):
        document.normal({"routes": [{**known["routes"][0], "retries": 99}]}, like=known)
