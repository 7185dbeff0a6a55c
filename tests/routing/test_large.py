"""A table of 5,000 routes over 20 providers: a decision stays small. Work is counted, since clocks differ.

What it costs in time stands in docs/routing.md; a call of a function is some 0.1 to 0.3 microseconds there.
"""

import random
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from routing import aliases
from routing.decide import Request, order
from routing.explain import Nobody
from routing.snapshot import Snapshot, compile
from tests.routing.tables import Seen, table

ROUTES, PROVIDERS = 5000, 20
MOST_CALLS = 250  # of functions, Python's and C's, for one decision
ASKED = Request("any", stream=True, tools=True, tokens=500, session="s")


def to(number: int, count: int, **terms: Any) -> list[dict[str, Any]]:
    return [
        {"provider": f"p{(number + k) % PROVIDERS}", "model": f"m{number}", "tier": k // 2, "weight": k + 1, **terms}
        for k in range(count)
    ]


@cache
def large() -> Snapshot:
    special = [
        {"name": "picky", "targets": to(3, 6, tools="only", max_context=9000, streaming="only")},
        {"name": "sticky", "sticky": "user", "targets": to(5, 4)},
        {"name": "fast", "strategy": "fastest", "targets": to(5, 4)},
        {"name": "cheap", "strategy": "cheapest", "targets": to(5, 4)},
        {"name": "*", "targets": to(7, 2)},
    ]
    patterns = [{"name": f"fam{number}-*", "targets": to(number, 3)} for number in range(500)]
    named = [{"name": f"alias-{number}", "alias_of": f"model-{number}"} for number in range(300)]
    own = [{"name": f"model-{number}", "team": "red", "targets": to(number, 2)} for number in range(200)]
    rest = ROUTES - len(special) - len(patterns) - len(named) - len(own)
    plain = [{"name": f"model-{number}", "targets": to(number, 3)} for number in range(rest)]
    providers = [
        {"name": f"p{number}", "kind": "openai-compatible", "base_url": "https://llm.example/v1"}
        for number in range(PROVIDERS)
    ]
    document = table(providers, [*special, *patterns, *named, *own, *plain])
    assert len(document["routes"]) == ROUTES
    aliases.check(document)
    return compile(document, {}, 1)


def calls(work: Callable[[], Any]) -> int:
    """Count the functions that `work` calls."""
    counted = 0

    def note(frame: Any, event: str, argument: Any) -> None:
        nonlocal counted
        counted += event in {"call", "c_call"}

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return counted


@pytest.mark.parametrize("team", ["", "red"])
@pytest.mark.parametrize(
    "model",
    ["model-3999", "model-7", "fam250-x", "alias-99", "never-seen-before", "picky", "sticky", "fast", "cheap"],
)
def test_a_decision_is_little_work_however_large_the_table(model: str, team: str) -> None:
    snapshot, draw = large(), random.Random(7).random

    def decide() -> None:
        match = snapshot.find(model, team)
        assert match is not None
        assert order(match, None if match.plain else ASKED, Nobody(), draw)

    assert calls(decide) <= MOST_CALLS
    assert calls(decide) <= MOST_CALLS  # and from memory


def test_targets_in_trouble_do_not_make_it_much_more() -> None:
    snapshot, draw = large(), random.Random(7).random
    tired = Seen([f"p{number}/m{number}" for number in range(PROVIDERS)])
    match = snapshot.find("model-3")
    assert match is not None
    assert calls(lambda: order(match, None, tired, draw)) <= MOST_CALLS


def test_the_work_is_counted() -> None:
    assert calls(lambda: [len("x") for _ in range(1000)]) > MOST_CALLS
