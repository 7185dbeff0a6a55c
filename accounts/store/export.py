"""The ledger as plain rows, one per request, complete while the gateway runs: what journals still hold comes last."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db.models import Q

from accounts.models import Adjustment, AttemptRecord, RequestRecord
from accounts.prices import UNITS
from accounts.store.pending import Pending
from accounts.store.rows import Body, read

CHUNK = 500
FACTS = (
    "status",
    "usage_source",
    "cost_status",
    "cost_nano",
)
REQUEST = (
    "id",
    "client_request_id",
    "surface",
    "team",
    "cost_centre",
    "owner",
    "key_id",
    "key_label",
    "route",
    "model_asked",
    "provider",
    "model",
    "revision",
    "stream",
    "cached",
    "http_status",
    "error",
    "saved_nano",
    "tokens_saved",
    "client_gone",
    "latency_us",
    "first_token_us",
    "tags",
    *FACTS,
)
ATTEMPT = (
    "number",
    "provider",
    "kind",
    "model",
    "target",
    "http_status",
    "error",
    "price_id",
    "service_tier",
    "amounts",
    "latency_us",
    *FACTS,
)
ADJUSTMENT = ("author", "reason", "external_ref", "cost_nano_delta", "team", "cost_centre", "owner")


def rows(journals: Path, since: datetime | None = None) -> Iterator[Body]:
    """Yield every request since then, as it is now: from the ledger, then open and settled ones from the journals.

    Each comes once, also when it is drained in the middle of this. Memory stays flat.
    """
    pending = Pending(journals)
    try:
        for chunk in _chunks(since):
            yield from _with_parts([record for record in chunk if record["id"] not in pending.ids])
        for raw in pending:
            body = read(raw)
            if since is None or body["at"] >= since.timestamp():
                yield _from_journal(body)
    finally:
        pending.close()


def _chunks(since: datetime | None) -> Iterator[list[Body]]:
    """Page through the ledger by time and id: no long transaction, no cursor to keep."""
    records = RequestRecord.objects.order_by("at", "id").values("at", *REQUEST, *UNITS)
    page = records.filter(at__gte=since) if since else records
    while chunk := list(page[:CHUNK]):
        yield chunk
        at, id = chunk[-1]["at"], chunk[-1]["id"]
        page = records.filter(at__gte=at).filter(Q(at__gt=at) | Q(id__gt=id))


def _with_parts(records: list[Body]) -> Iterator[Body]:
    ids = [record["id"] for record in records]
    attempts = _by_request(AttemptRecord.objects.filter(request__in=ids).values("request_id", *ATTEMPT, *UNITS))
    adjustments = _by_request(Adjustment.objects.filter(request__in=ids).values("request_id", "at", *ADJUSTMENT))
    for record in records:
        id = record["id"]
        yield _row(
            record,
            at=record["at"],
            tokens=record,
            attempts=[_attempt(each, each) for each in attempts[id]],
            adjustments=[{**_part(each, ADJUSTMENT), "at": each["at"].isoformat()} for each in adjustments[id]],
        )


def _from_journal(body: Body) -> Body:
    return _row(
        body,
        at=datetime.fromtimestamp(body["at"], UTC),
        tokens=body["usage"],
        attempts=[_attempt(each, each["usage"] or {}) for each in body["attempts"]],
        adjustments=[],
    )


def _row(record: Body, *, at: datetime, tokens: Body, attempts: list[Body], adjustments: list[Body]) -> Body:
    return {
        **_part(record, REQUEST),
        "at": at.isoformat(),
        "key": record["key_id"],
        "tokens": _units(tokens),
        "attempts": attempts,
        "adjustments": adjustments,
    }


def _attempt(attempt: Body, tokens: Body) -> Body:
    return {**_part(attempt, ATTEMPT), "tokens": _units(tokens)}


def _part(body: Body, names: Iterable[str]) -> Body:
    return {name: body[name] for name in names}


def _units(counts: Body) -> dict[str, int]:
    return {unit: counts.get(unit, 0) for unit in UNITS}


def _by_request(parts: Iterable[Any]) -> defaultdict[str, list[Any]]:
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for part in parts:
        found[part["request_id"]].append(part)
    return found
