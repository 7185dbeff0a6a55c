"""Daily totals: summed from request rows as they arrive, so that no page has to count the ledger."""

from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any

from django.db.backends.utils import CursorWrapper

from accounts.models import DailyTotal, RequestRecord
from accounts.prices import TOKENS_IN, TOKENS_OUT
from accounts.store.rows import REQUEST, Row

TABLE = DailyTotal._meta.db_table
DIMENSIONS, SUMS = DailyTotal.DIMENSIONS, DailyTotal.SUMS
Key = tuple[Any, ...]
Sums = dict[Key, list[int]]

_dimensions = itemgetter(*(REQUEST.index(name) for name in DIMENSIONS))
_facts = itemgetter(*(REQUEST.index(name) for name in ("status", "cost_status", "usage_source", "cost_nano")))
_savings = itemgetter(*(REQUEST.index(name) for name in ("saved_nano", "tokens_saved")))
_tokens_in = itemgetter(*(REQUEST.index(name) for name in TOKENS_IN))
_tokens_out = itemgetter(*(REQUEST.index(name) for name in TOKENS_OUT))


def tally(rows: Iterable[Row], sums: Sums) -> Iterator[Row]:
    """Pass request rows on, adding them up by dimensions, into values in the order of SUMS."""
    for row in rows:
        key, parts = _dimensions(row), _parts(row)
        known = sums.get(key)
        sums[key] = parts if known is None else [old + new for old, new in zip(known, parts, strict=True)]
        yield row


def add(cursor: CursorWrapper, sums: Sums) -> None:
    """Add to the stored totals; in a fixed order, so that two writers cannot wait for each other."""
    _upsert(cursor, SUMS, [(*key, *sums[key]) for key in sorted(sums)])


def add_adjusted(cursor: CursorWrapper, deltas: Mapping[Key, int]) -> None:
    """Book adjusted nano-USD by dimensions."""
    _upsert(cursor, ("adjusted_nano",), [(*key, deltas[key]) for key in sorted(deltas) if deltas[key]])


def add_repriced(cursor: CursorWrapper, counts: Mapping[Key, int]) -> None:
    """Note how many requests without a price have got one since, by dimensions."""
    _upsert(cursor, ("repriced",), [(*key, counts[key]) for key in sorted(counts)])


def key_of(record: RequestRecord) -> Key:
    """Return the dimensions that a record was counted under when it came in."""
    return tuple(getattr(record, name) for name in DIMENSIONS)


def _parts(row: Row) -> list[int]:
    status, cost_status, usage_source, cost = _facts(row)
    return [
        1,
        int(status == "cached"),
        int(status == "failed"),
        int(status == "interrupted"),
        int(cost_status == "unpriced"),
        sum(_tokens_in(row)),
        sum(_tokens_out(row)),
        cost,
        cost if usage_source == "estimated" else 0,
        *_savings(row),
    ]


def _upsert(cursor: CursorWrapper, names: tuple[str, ...], rows: list[Row]) -> None:
    columns = (*DIMENSIONS, *SUMS, "adjusted_nano", "repriced")
    values = ", ".join("%s" if column in (*DIMENSIONS, *names) else "0" for column in columns)
    added = ", ".join(f"{name} = {TABLE}.{name} + excluded.{name}" for name in names)
    cursor.executemany(
        f"INSERT INTO {TABLE} ({', '.join(columns)}) VALUES ({values}) "  # noqa: S608  our own column names
        f"ON CONFLICT ({', '.join(DIMENSIONS)}) DO UPDATE SET {added}",
        rows,
    )
