"""A row in one form, whichever database it stands in, and the digest of that form.

What is empty (0, "", null, false, {}) is left out, so that a column added later leaves old digests as they are.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson

JSON = frozenset(("tags", "amounts"))  # columns whose text may be spelled in several ways
PLAIN = frozenset((str, int))
ID, DIGEST = 16, 8  # bytes of each in a link's members
MEMBER = ID + DIGEST
Row = Sequence[Any]
Part = tuple[tuple[str, ...], Row]  # names of columns, and their values


def digest(parts: Iterable[Part]) -> bytes:
    """Return the SHA-256 of a record and its attempts, or of an adjustment."""
    said = [_said(names, row) for names, row in parts]
    return sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).digest()


def member(id: str, digest: bytes) -> bytes:
    """Return what a link keeps of a row."""
    return short(id) + digest[:DIGEST]


def short(id: str) -> bytes:
    """Return an id as 16 bytes: those of the UUID, or a digest of whatever else it is."""
    try:
        return UUID(id).bytes
    except ValueError:
        return sha256(id.encode()).digest()[:ID]


def shown(short: bytes) -> str:
    """Return an id of 16 bytes as people look for it."""
    return str(UUID(bytes=short)) if any(short[: ID // 2]) else str(int.from_bytes(short, "big"))


def numbered(id: int) -> bytes:
    return id.to_bytes(ID, "big")


def chained(previous: str, day: date, number: int, kind: str, rows: int, digest: str) -> str:
    """Return the head of a link."""
    return sha256(f"{previous} {day} {number} {kind} {rows} {digest}".encode()).hexdigest()


def _said(names: Sequence[str], row: Row) -> dict[str, Any]:
    said = {
        name: value if type(value) in PLAIN else plain(value)
        for name, value in zip(names, row, strict=True)
        if value and value != "{}"
    }
    for name in JSON:
        if name in said:
            said[name] = orjson.loads(said[name])
    return said


def moment(value: datetime) -> str:
    """Return a time in UTC as SQLite keeps it. What SQLite gives back says no zone and is in UTC already."""
    return (value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)).isoformat(" ")


def plain(value: Any) -> Any:
    """Return a value as SQLite keeps it."""
    kind = type(value)
    if kind is bool:
        return int(value)
    if kind is datetime:
        return moment(value)
    return value.isoformat() if kind is date else value
