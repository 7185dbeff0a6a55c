"""Journal entries as rows of the ledger's tables: checked, clipped to their columns, dated on our own clock."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from django.conf import settings

from accounts.ledger.ids import made_at
from accounts.prices import UNITS

# Far above any real amount (a million USD a request), far below where sums would leave 64 bits.
LARGEST = 10**15
# Seconds between a request's id and its `at`. One clock gives both, so it is moments; lists by time go by ids too.
ID_OFF = 86_400
INTEGER, INTEGER_OR_NOTHING = frozenset({int}), frozenset({int, type(None)})
ENDED = frozenset({"settled", "interrupted", "failed", "cached"})
REQUEST = (
    "id",
    "client_request_id",
    "at",
    "day",
    "status",
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
    *UNITS,
    "usage_source",
    "cost_status",
    "cost_nano",
    "saved_nano",
    "tokens_saved",
    "client_gone",
    "latency_us",
    "first_token_us",
    "tags",
    "prompt_bytes",
    "features",
    "session",
)
ATTEMPT = (
    "request_id",
    "number",
    "provider",
    "kind",
    "model",
    "target",
    "status",
    "http_status",
    "error",
    *UNITS,
    "usage_source",
    "cost_status",
    "price_id",
    "cost_nano",
    "started_at",
    "latency_us",
    "service_tier",
    "amounts",
)
Row = tuple[Any, ...]
Body = dict[str, Any]
Stamp = Callable[[datetime], Any]


class Unfit(ValueError):
    """The entry cannot stand in the ledger; the sentence says why."""


def stamp_for(vendor: str) -> Stamp:
    """Return what turns an aware UTC datetime into what the database keeps (Django's own form)."""
    return _naive_text if vendor == "sqlite" else _unchanged


def read(raw: bytes) -> Body:
    """Parse an entry. NUL, which no database's text can hold, becomes U+FFFD. Raises ValueError."""
    body = orjson.loads(raw)
    if not isinstance(body, dict) or not isinstance(body.get("id"), str):
        raise Unfit("not an entry")
    return _without_nul(body) if b"\\u0000" in raw else body


def request_row(body: Body, stamp: Stamp) -> Row:
    """Return the row's values in the order of REQUEST. Raises Unfit, KeyError, TypeError or AttributeError."""
    if body["status"] not in ENDED:
        raise Unfit(f"its status is {str(body['status'])[:20]!r}")
    at, usage = body["at"], body["usage"]
    if abs(made_at(body["id"]) - at) > ID_OFF:
        raise Unfit(f"it was admitted at {at}, and its id is of another day")
    units = [usage.get(unit, 0) for unit in UNITS]
    money = [body["cost_nano"], body["saved_nano"], body["tokens_saved"], body["revision"]]
    asked = [body.get("prompt_bytes", 0), body.get("features", 0), body.get("session", 0)]
    _check_whole(units, [*money, *asked], [body["http_status"], body["latency_us"], body["first_token_us"]])
    return (
        body["id"],
        body["client_request_id"][:128],
        stamp(datetime.fromtimestamp(at, UTC)),
        day_of(at),
        body["status"],
        body["surface"][:32],
        body["team"][:64],
        body["cost_centre"][:64],
        body["owner"][:200],
        body["key_id"][:8],
        body["key_label"][:200],
        body["route"][:200],
        body["model_asked"][:200],
        body["provider"][:64],
        body["model"][:200],
        money[3],
        bool(body["stream"]),
        bool(body["cached"]),
        body["http_status"],
        body["error"][:200],
        *units,
        body["usage_source"],
        body["cost_status"],
        money[0],
        money[1],
        money[2],
        bool(body["client_gone"]),
        body["latency_us"],
        body["first_token_us"],
        orjson.dumps(body["tags"]).decode(),
        *asked,
    )


def attempt_row(id: str, attempt: Body, stamp: Stamp) -> Row:
    """Return the row's values in the order of ATTEMPT. Raises as `request_row` does."""
    usage = attempt["usage"] or {}
    units = [usage.get(unit, 0) for unit in UNITS]
    maybe = [attempt["http_status"], attempt["price_id"], attempt["latency_us"]]
    amounts = attempt.get("amounts") or {}
    _check_whole([*units, *amounts.values()], [attempt["number"], attempt["cost_nano"]], maybe)
    return (
        id,
        attempt["number"],
        attempt["provider"][:64],
        attempt["kind"][:32],
        attempt["model"][:200],
        attempt["target"][:300],
        attempt["status"],
        attempt["http_status"],
        attempt["error"][:200],
        *units,
        attempt["usage_source"],
        attempt["cost_status"],
        attempt["price_id"],
        attempt["cost_nano"],
        stamp(datetime.fromtimestamp(attempt["started_at"], UTC)),
        attempt["latency_us"],
        attempt.get("service_tier", "")[:32],
        orjson.dumps(amounts).decode(),
    )


def day_of(at: float) -> date:
    """Return the day of `at` (epoch seconds) on the organisation's clock."""
    return _day_of_minute(int(at // 60), settings.TIME_ZONE)


@lru_cache(maxsize=64)
def _day_of_minute(minute: int, zone: str) -> date:
    return datetime.fromtimestamp(minute * 60, ZoneInfo(zone)).date()


def _check_whole(units: Sequence[Any], money: Sequence[Any], maybe: Sequence[Any]) -> None:
    counts = (*units, *money)
    if not {*map(type, counts)} <= INTEGER or min(counts) < 0 or max(counts) > LARGEST:
        raise Unfit(f"{str(counts)[:400]} has what is no count and no amount that the ledger can hold")
    if not {*map(type, maybe)} <= INTEGER_OR_NOTHING:
        raise Unfit(f"{str(maybe)[:400]} has what is no whole number")


def _naive_text(moment: datetime) -> str:
    return moment.isoformat(" ")[:-6]


def _unchanged(moment: datetime) -> datetime:
    return moment


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "�")
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_nul(each) for each in value]
    return value
