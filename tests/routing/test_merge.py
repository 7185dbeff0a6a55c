"""Two people's changes brought together."""

from typing import Any

from hypothesis import given, settings

from routing.document import Document
from routing.merge import merged
from tests.routing.tables import table, tables

STUB = {"name": "stub", "kind": "stub"}


def routes(*entries: dict[str, Any]) -> Document:
    return table([STUB], list(entries))


def test_it_takes_what_only_one_side_changed() -> None:
    base = routes({"name": "a"}, {"name": "b", "cache_ttl": 1, "description": "x"})
    theirs = routes({"name": "b", "cache_ttl": 2, "description": "x"})
    mine = routes({"name": "a"}, {"name": "b", "cache_ttl": 1, "description": "y"}, {"name": "c"})
    whole, clashes = merged(base, theirs, mine)
    assert whole == routes({"name": "b", "cache_ttl": 2, "description": "y"}, {"name": "c"})
    assert clashes == []


def test_it_keeps_theirs_and_says_so_where_both_changed_the_same() -> None:
    base = routes({"name": "a", "cache_ttl": 1}, {"name": "b"})
    theirs = routes({"name": "a", "cache_ttl": 2})
    mine = routes({"name": "a", "cache_ttl": 3}, {"name": "b", "enabled": False})
    whole, clashes = merged(base, theirs, mine)
    assert whole == theirs
    assert clashes == ["route a: cache ttl was changed on both sides", "route b was changed on both sides"]


def test_it_merges_targets_one_by_one() -> None:
    def of(*targets: str, **weights: int) -> Document:
        found = [{"provider": "stub", "model": each, "weight": weights.get(each, 1)} for each in targets]
        return routes({"name": "r", "targets": found})

    whole, clashes = merged(of("a", "b"), of("b", "a", "c", a=5), of("a", "b", "d", b=7))
    assert (whole, clashes) == (of("b", "a", "c", "d", a=5, b=7), [])
    whole, clashes = merged(of("a", "b", "c"), of("a", "c"), of("c", "b", "a", b=2))
    assert (whole, clashes) == (of("c", "a"), ["route r: target stub/b was changed on both sides"])
    _, clashes = merged(of("a", "b", "c"), of("b", "a", "c"), of("c", "a", "b"))
    assert clashes == ["route r: targets: order was changed on both sides"]


@settings(deadline=None)
@given(tables(), tables())
def test_it_has_nothing_to_decide_where_one_side_changed_nothing(base: Document, other: Document) -> None:
    assert merged(base, base, other) == (other, [])
    assert merged(base, other, base) == (other, [])
    assert merged(base, other, other) == (other, [])


@settings(deadline=None)
@given(tables(), tables(), tables())
def test_it_never_drops_a_change_in_silence(base: Document, theirs: Document, mine: Document) -> None:
    whole, clashes = merged(base, theirs, mine)
    assert clashes or unordered(whole) == unordered(merged(base, mine, theirs)[0])


def unordered(found: Document) -> Document:
    """The document with each route's targets in an order of their own: what both added may stand either way."""
    return {**found, "routes": [{**each, "targets": sorted(each["targets"], key=repr)} for each in found["routes"]]}
