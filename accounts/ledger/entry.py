"""One request as the ledger will know it, and its attempts: built up while the request runs, kept as JSON.

Amounts are nano-USD, usage is counts by unit class (`accounts.prices.UNITS`), times are epoch seconds, durations
microseconds.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import orjson

from accounts.prices import Charge


@dataclass(slots=True)
class Attempt:
    """One call of a provider. status: open, settled, interrupted, failed; cost_status: none, priced, free, unpriced."""

    number: int
    target: str
    provider: str
    kind: str
    model: str
    started_at: float
    status: str = "open"
    http_status: int | None = None
    error: str = ""
    usage: dict[str, int] | None = None
    usage_source: str = "none"
    price_id: int | None = None
    cost_status: str = "none"
    cost_nano: int = 0
    latency_us: int | None = None
    service_tier: str = ""  # as the answer says, or, where it says nothing, as it was asked for
    amounts: Mapping[str, int] = field(default_factory=dict)  # nano-USD by unit class, together cost_nano

    def charged(self, charge: Charge) -> None:
        """Put on it what the price book said."""
        self.price_id, self.cost_status = charge.price_id, charge.status
        self.cost_nano, self.amounts = charge.cost_nano, charge.amounts


@dataclass(slots=True)
class Entry:
    """One request. status: open, settled, interrupted, failed, cached.

    `provider` and `model` are those that served it; `totals` takes them from the last attempt, a cache hit sets them
    from the stored answer.
    """

    id: str
    client_request_id: str
    at: float
    surface: str
    team: str
    cost_centre: str
    owner: str
    key_id: str
    key_label: str
    route: str
    model_asked: str
    revision: int
    stream: bool
    status: str = "open"
    provider: str = ""
    model: str = ""
    cached: bool = False
    attempts: list[Attempt] = field(default_factory=list)
    prompt_bytes: int = 0
    features: int = 0  # what was asked for: see proxy/features.py
    session: int = 0  # a mark of what its route keeps together, 0 for nothing: see routing/decide.py
    http_status: int | None = None
    error: str = ""
    usage: dict[str, int] = field(default_factory=dict)
    usage_source: str = "none"
    cost_status: str = "none"
    cost_nano: int = 0
    saved_nano: int = 0
    tokens_saved: int = 0
    client_gone: bool = False
    latency_us: int | None = None
    first_token_us: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    reserved_nano: int = 0  # on its budgets, while it was open
    leases: list[str] = field(default_factory=list)  # of budgets, that its cost counts against
    once: str = ""  # names what it bills, where several may see that: the ledger keeps the first
    holds: dict[str, int] = field(default_factory=dict)  # what stays reserved for batches, by their key; 0 frees it


def totals(entry: Entry) -> None:
    """Sum the attempts into the request. The doubtful wins: one estimate makes the whole estimated."""
    usage: dict[str, int] = {}
    for attempt in entry.attempts:
        for unit, count in (attempt.usage or {}).items():
            usage[unit] = usage.get(unit, 0) + count
    entry.usage = usage
    entry.cost_nano = sum(attempt.cost_nano for attempt in entry.attempts)
    entry.usage_source = _first_of(("estimated", "provider"), {attempt.usage_source for attempt in entry.attempts})
    entry.cost_status = _first_of(("unpriced", "priced", "free"), {attempt.cost_status for attempt in entry.attempts})
    if entry.attempts:
        entry.provider, entry.model = entry.attempts[-1].provider, entry.attempts[-1].model


def to_json(entry: Entry) -> bytes:
    """One line of JSON. Never fails on what a caller or provider sent: lone surrogates are replaced."""
    try:
        return orjson.dumps(entry)
    except TypeError:  # a lone surrogate, or an integer beyond 64 bits
        return json.dumps(_cleaned(asdict(entry)), separators=(",", ":")).encode()


def from_json(raw: bytes) -> Entry:
    """Read what `to_json` wrote, also by a newer version: what we do not know is left out. Raises ValueError."""
    body = orjson.loads(raw)
    try:
        attempts = [Attempt(**_known(Attempt, each)) for each in body["attempts"]]
        return Entry(**{**_known(Entry, body), "attempts": attempts})
    except (TypeError, KeyError) as error:
        raise ValueError(f"not an entry: {error}") from error


KNOWN: dict[type, frozenset[str]] = {
    shape: frozenset(each.name for each in fields(shape)) for shape in (Attempt, Entry)
}


def _known(shape: type, body: dict[str, Any]) -> dict[str, Any]:
    known = KNOWN[shape]
    return {name: value for name, value in body.items() if name in known}


def _first_of(order: Iterable[str], present: set[str]) -> str:
    return next((each for each in order if each in present), "none")


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_cleaned(each) for each in value]
    return value
