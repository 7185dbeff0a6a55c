"""Batches: billed once, when an answer shows for the first time that one is over and what it used.

OpenAI tells the sum over all answers beside the batch, and nothing in it is priced as a long prompt. Of others the
answers themselves have to be seen, see `results`. A record says which batch it bills (`Entry.once`): of all who look,
in whichever process, the ledger keeps the first. Whose key sees it first pays.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from accounts.ledger.entry import Attempt
from accounts.ledger.ids import uuid7
from accounts.prices import Usage
from accounts.rates import BATCH_SUM
from proxy import settle
from proxy.call import Call
from proxy.gateway import Gateway
from proxy.native.usage import reported
from routing.values import Provider

OVER = ("completed", "expired", "cancelled")  # no set, since a status may be anything
REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Share:
    """What one model has done of a batch: each of `parts` has the service tier at whose prices it is billed.

    `name` is the batch's; `key`, with the provider's address, tells it from all others. `begun` is in epoch seconds,
    0 if not told.
    """

    name: str
    key: str
    model: str
    parts: tuple[Usage, ...]
    begun: float = 0.0
    surface: str = "batch"


def bill(gateway: Gateway, call: Call, provider: Provider, shares: Iterable[Share]) -> None:
    """Record what is not known yet. Raises Unavailable."""
    for share in shares:
        once = digest(provider, share.key)
        if once in gateway.billed:
            continue
        _settle(gateway, call, provider, share, once)
        _remember(gateway, once)


def free(gateway: Gateway, call: Call, provider: Provider, name: str) -> None:
    """Give back what is held for a batch that is over: with the record of this call, which saw it."""
    held = digest(provider, name)
    if (mark := f"over {held}") not in gateway.billed:
        call.entry.holds[held] = 0
        _remember(gateway, mark)


def digest(provider: Provider, name: str) -> str:
    """Return what tells a batch, or what one model did of it, from all others, whatever we call its provider."""
    where = urlsplit(provider.base_url).netloc.lower()
    return hashlib.sha256(f"{provider.kind} {where} {name}".encode("utf-8", "replace")).hexdigest()


def over(body: Any) -> Iterator[str]:
    """Yield the names of batches in an answer, one or a list of them, of which nothing is to be billed later.

    Of Anthropic's those of which no request succeeded: what the others used is only seen with their results.
    """
    for each in _batches(body):
        ended = each.get("status") in (*OVER, "failed")
        if each.get("type") == "message_batch":
            counts = each.get("request_counts")
            ended = (
                each.get("processing_status") == "ended" and isinstance(counts, dict) and counts.get("succeeded") == 0
            )
        if ended and isinstance(each.get("id"), str):
            yield each["id"]


def summed(body: Any) -> Iterator[Share]:
    """Yield OpenAI's batches in an answer, one or a list of them, that are over and say what they used."""
    for each in _batches(body):
        if each.get("status") not in OVER:
            continue
        usage, id, model = reported(each), each.get("id"), each.get("model")
        if isinstance(id, str) and isinstance(model, str) and usage is not None and usage.as_dict():
            begun = each.get("created_at")
            parts = (replace(usage, service_tier=BATCH_SUM),)
            yield Share(id, id, model, parts, begun=float(begun) if type(begun) is int else 0.0)


def _batches(body: Any) -> Iterator[dict[str, Any]]:
    """Yield OpenAI's and Anthropic's batches in an answer."""
    if isinstance(body, dict):
        listed = body["data"] if isinstance(body.get("data"), list) else [body]
        for each in listed:
            if isinstance(each, dict) and (each.get("object") == "batch" or each.get("type") == "message_batch"):
                yield each


def _remember(gateway: Gateway, mark: str) -> None:
    if len(gateway.billed) >= REMEMBERED:
        gateway.billed.clear()
    gateway.billed.add(mark)


def _settle(gateway: Gateway, call: Call, provider: Provider, share: Share, once: str) -> None:
    name = share.name.encode("ascii", "replace").decode()[:128]
    made = gateway.receive(
        call.grant,
        surface=share.surface,
        request_id=uuid7(gateway.clock()),
        client_request_id=name,
        size=0,
    )
    made.entry.once = once
    for usage in share.parts:
        if usage.as_dict():
            attempt = _attempt(gateway, provider, share, number=len(made.entry.attempts) + 1)
            made.entry.attempts.append(attempt)
            settle.price_attempt(gateway, attempt, usage, "provider")
    made.entry.model_asked, made.entry.route = share.model[:200], call.entry.route
    settle.close(gateway, made, status="settled", http_status=200)


def _attempt(gateway: Gateway, provider: Provider, share: Share, *, number: int) -> Attempt:
    model, now = share.model[:200], gateway.clock()
    return Attempt(
        number=number,
        target=f"{provider.name}/{model}",
        provider=provider.name,
        kind=provider.kind,
        model=model,
        started_at=share.begun if 0 < share.begun < now else now,
        status="settled",
        http_status=200,
        cost_status="free" if provider.free else "none",
    )
