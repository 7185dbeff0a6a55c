"""Entries and rows for the tests of this room."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from accounts.ledger.entry import Attempt, Entry, to_json, totals
from accounts.ledger.ids import uuid7
from accounts.ledger.journal import Journal

MIB = 1024 * 1024
NOON = 1_763_640_000.0  # 2025-11-20 12:00 UTC
_numbers = count(1)


def attempt(**changes: Any) -> Attempt:
    facts: dict[str, Any] = {
        "number": 1,
        "target": "openai/gpt-4o",
        "provider": "openai",
        "kind": "openai",
        "model": "gpt-4o",
        "started_at": NOON,
        "status": "settled",
        "http_status": 200,
        "usage": {"input": 1000, "output": 200},
        "usage_source": "provider",
        "price_id": 1,
        "cost_status": "priced",
        "cost_nano": 4_500_000,
        "latency_us": 1200,
    }
    return Attempt(**{**facts, **changes})


def under_way(**changes: Any) -> Attempt:
    """An attempt as it stands in the journal while the provider is at work."""
    blank = {"status": "open", "http_status": None, "usage": None, "usage_source": "none", "price_id": None}
    return attempt(**{**blank, "cost_status": "none", "cost_nano": 0, "latency_us": None, **changes})


def entry(*attempts: Attempt, **changes: Any) -> Entry:
    """A settled request, unless told otherwise; its sums are those of its attempts."""
    facts: dict[str, Any] = {
        "id": uuid7(changes.get("at", NOON), lambda n: next(_numbers).to_bytes(n, "big")),
        "client_request_id": "",
        "at": NOON,
        "surface": "chat",
        "team": "red",
        "cost_centre": "r1",
        "owner": "ann",
        "key_id": "abcd1234",
        "key_label": "laptop",
        "route": "gpt-4o",
        "model_asked": "gpt-4o",
        "revision": 1,
        "stream": False,
        "status": "settled",
        "http_status": 200,
        "latency_us": 1500,
    }
    made = Entry(**{**facts, "attempts": list(attempts)})
    totals(made)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def settled(**changes: Any) -> Entry:
    return entry(attempt(), **changes)


def opened(**changes: Any) -> Entry:
    return entry(under_way(), **{"status": "open", "prompt_bytes": 4001, **changes})


def cached(**changes: Any) -> Entry:
    hit = {"status": "cached", "cached": True, "provider": "openai", "model": "gpt-4o"}
    return entry(**{**hit, "saved_nano": 4_500_000, "tokens_saved": 1200, **changes})


def raw(*entries: Entry) -> list[bytes]:
    return [to_json(each) for each in entries]


@contextmanager
def journal(folder: Path, *, cap_bytes: int = 8 * MIB) -> Iterator[Journal]:
    made = Journal(folder, cap_bytes=cap_bytes)
    try:
        yield made
    finally:
        made.close()
