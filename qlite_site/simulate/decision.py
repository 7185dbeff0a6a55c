"""One request that somebody describes, and where it would go: for the simulator's page, its JSON and the command."""

from collections.abc import Iterable
from typing import Any

from accounts.money import usd
from proxy.outlook import EXPECTED_OUTPUT, Outlook
from routing.decide import Request
from routing.explain import Decision, explain
from routing.snapshot import Snapshot
from routing.values import Target

MIDDLE = 0.5  # what chance says, so that the same question has the same answer


def tags_of(texts: Iterable[str]) -> dict[str, str]:
    """Read `name=value` texts. Raises ValueError with a sentence."""
    tags = {}
    for text in texts:
        name, equals, value = text.strip().partition("=")
        if not (name and equals):
            raise ValueError(f"{text!r} is no tag: write name=value")
        tags[name.strip()] = value.strip()
    return tags


def decided(request: Request, table: Snapshot, outlook: Outlook) -> dict[str, Any]:
    """Return the way of `request` and its reasons as plain values. Costs are USD as text, None without a price.

    An estimate prices the prompt's tokens and an answer of EXPECTED_OUTPUT.
    """
    decision = explain(request, table, outlook, lambda: MIDDLE)
    return {
        "model": request.model,
        "team": request.team,
        "revision": table.revision or None,
        "route": decision.route.name if decision.route else None,
        "why": list(decision.why),
        "candidates": _candidates(decision, outlook),
        "left_out": [{"target": each.target, "reason": each.reason} for each in decision.left_out],
        "refused": decision.refused or None,
    }


def _candidates(decision: Decision, outlook: Outlook) -> list[dict[str, Any]]:
    return [
        {
            "target": each.target.name,
            "tier": each.target.tier,
            "why": each.why,
            "estimated_cost": _estimate(each.target, decision.request, outlook),
        }
        for each in decision.candidates
    ]


def _estimate(target: Target, request: Request, outlook: Outlook) -> str | None:
    nano = outlook.cost(target, request.tokens)
    return None if nano is None else usd(nano)


def sentences(said: dict[str, Any]) -> Iterable[str]:
    """Put what `decided` returned into lines for a terminal."""
    yield from said["why"]
    if said["refused"]:
        yield f"Refused: {said['refused']}"
    for place, each in enumerate(said["candidates"], 1):
        cost = "no price" if each["estimated_cost"] is None else f"about ${each['estimated_cost']}"
        yield f"{place}. {each['target']} ({each['why']}; {cost})"
    for each in said["left_out"]:
        yield f"not {each['target']}: {each['reason']}"
    if said["candidates"]:
        yield f"Costs are for the tokens given and an answer of {EXPECTED_OUTPUT}."
