"""Batches: billed once, when an answer shows for the first time that one is over and what it used.

OpenAI tells the sum over all answers beside the batch, and nothing in it is priced as a long prompt. Of others the
answers themselves have to be seen, see `results`. A record has an id that follows from the batch's: whoever looks
again, in whichever process, writes the same id, and the ledger keeps the first. Whose key sees it first pays.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from accounts.ledger.entry import Attempt
from accounts.prices import Usage
from accounts.rates import BATCH, BATCH_SUM
from proxy import settle
from proxy.call import Call
from proxy.gateway import Gateway
from proxy.native.usage import reported
from routing.snapshot import Provider

OVER = frozenset({"completed", "expired", "cancelled"})
REMEMBERED = 4096
NONE = Usage()


@dataclass(frozen=True, slots=True)
class Share:
    """What one model has done of a batch: `usage` in sum, `long` that of answers to prompts with a price of their own.

    `key` is what the record's id is made from, with the provider's name; `begun` is in epoch seconds, 0 if not told.
    """

    batch: str
    key: str
    model: str
    usage: Usage
    long: Usage = NONE
    begun: float = 0.0


def bill(gateway: Gateway, call: Call, provider: Provider, shares: Iterable[Share]) -> None:
    """Record what is not known yet. Raises Unavailable."""
    for share in shares:
        told = f"{provider.name} {share.key}".encode("utf-8", "replace")
        id = f"batch-{hashlib.sha256(told).hexdigest()[:30]}"
        if id in gateway.batches:
            continue
        _settle(gateway, call, provider, share, id)
        if len(gateway.batches) >= REMEMBERED:
            gateway.batches.clear()
        gateway.batches.add(id)


def summed(body: Any) -> Iterator[Share]:
    """Yield OpenAI's batches in an answer, one or a list of them, that are over and say what they used."""
    if not isinstance(body, dict):
        return
    listed = body.get("data") if body.get("object") == "list" else [body]
    for each in listed if isinstance(listed, list) else ():
        if not isinstance(each, dict) or each.get("object") != "batch" or each.get("status") not in OVER:
            continue
        usage, id, model = reported(each), each.get("id"), each.get("model")
        if isinstance(id, str) and isinstance(model, str) and usage is not None and usage.as_dict():
            begun = each.get("created_at")
            yield Share(id, id, model, usage, begun=float(begun) if type(begun) is int else 0.0)


def _settle(gateway: Gateway, call: Call, provider: Provider, share: Share, id: str) -> None:
    name = share.batch.encode("ascii", "replace").decode()[:128]
    made = gateway.receive(call.grant, surface="batch", request_id=id, client_request_id=name, size=0)
    for usage, tier in ((share.usage, BATCH_SUM), (share.long, BATCH)):
        if usage.as_dict():
            attempt = _attempt(gateway, provider, share, number=len(made.entry.attempts) + 1)
            made.entry.attempts.append(attempt)
            settle.price_attempt(gateway, attempt, replace(usage, service_tier=tier), "provider")
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
