"""Batches of OpenAI's API: billed once, when an answer shows for the first time that one is over and what it used.

A batch has a record of its own, under an id that follows from the batch's: whoever looks again, in whichever process,
writes the same id, and the ledger keeps the first. Whose key sees it first pays, with the batch's prices. What the
provider tells is the sum over all answers, so none of it is priced as a long prompt.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from accounts.ledger.entry import Attempt
from accounts.rates import BATCH_SUM
from proxy import settle
from proxy.call import Call
from proxy.native.usage import reported
from routing.snapshot import Provider

if TYPE_CHECKING:
    from proxy.gateway import Gateway

OVER = frozenset({"completed", "expired", "cancelled"})
REMEMBERED = 4096


def bill(gateway: "Gateway", call: Call, provider: Provider, body: Any) -> None:
    """Record the batches in `body` that are over and not known yet. Raises Unavailable."""
    for batch in _over(body):
        told = f"{provider.name} {batch['id']}".encode("utf-8", "replace")
        id = f"batch-{hashlib.sha256(told).hexdigest()[:30]}"
        if id in gateway.batches:
            continue
        _settle(gateway, call, provider, batch, id)
        if len(gateway.batches) >= REMEMBERED:
            gateway.batches.clear()
        gateway.batches.add(id)


def _over(body: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the batches of an answer, one or a list of them, that are over and say what they used."""
    if not isinstance(body, dict):
        return
    listed = body.get("data") if body.get("object") == "list" else [body]
    for each in listed if isinstance(listed, list) else ():
        if not isinstance(each, dict) or each.get("object") != "batch" or each.get("status") not in OVER:
            continue
        if isinstance(each.get("id"), str) and isinstance(each.get("model"), str):
            yield each


def _settle(gateway: "Gateway", call: Call, provider: Provider, batch: Mapping[str, Any], id: str) -> None:
    usage = reported(batch)
    if usage is None or not usage.as_dict():
        return
    name = batch["id"].encode("ascii", "replace").decode()[:128]
    made = gateway.receive(call.grant, surface="batch", request_id=id, client_request_id=name, size=0)
    model, begun = batch["model"][:200], batch.get("created_at")
    now = gateway.clock()
    attempt = Attempt(
        number=1,
        target=f"{provider.name}/{model}",
        provider=provider.name,
        kind=provider.kind,
        model=model,
        started_at=float(begun) if type(begun) is int and 0 < begun < now else now,
        status="settled",
        http_status=200,
        cost_status="free" if provider.free else "none",
        service_tier=BATCH_SUM,
    )
    made.entry.attempts.append(attempt)
    made.entry.model_asked, made.entry.route = model, call.entry.route
    settle.price_attempt(gateway, attempt, usage, "provider")
    settle.close(gateway, made, status="settled", http_status=200)
