"""Daily totals: summed from request rows as they arrive, so that no page has to count the ledger."""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any

import orjson
from django.db.backends.utils import CursorWrapper

from accounts.models import DailyTotal, RequestRecord, TagTotal
from accounts.prices import TOKENS_IN, TOKENS_OUT
from accounts.store.rows import REQUEST, Row

TABLES = (DailyTotal, TagTotal)  # told apart by how many dimensions a key has
DIMENSIONS, SUMS = DailyTotal.DIMENSIONS, DailyTotal.SUMS
ADJUSTED = ("adjusted_nano", "repriced")
TAGS = REQUEST.index("tags")
Key = tuple[Any, ...]
Sums = dict[Key, list[int]]

_dimensions = itemgetter(*(REQUEST.index(name) for name in DIMENSIONS))
_facts = itemgetter(*(REQUEST.index(name) for name in ("status", "cost_status", "usage_source", "cost_nano")))
_savings = itemgetter(*(REQUEST.index(name) for name in ("saved_nano", "tokens_saved")))
_tokens_in = itemgetter(*(REQUEST.index(name) for name in TOKENS_IN))
_tokens_out = itemgetter(*(REQUEST.index(name) for name in TOKENS_OUT))


def tally(rows: Iterable[Row], sums: Sums) -> Iterator[Row]:
    """Pass request rows on, adding them up by dimensions and by tags, into values in the order of SUMS."""
    for row in rows:
        key, parts = _dimensions(row), _parts(row)
        for each in spread(key, orjson.loads(row[TAGS])) if row[TAGS] != "{}" else (key,):
            known = sums.get(each)
            sums[each] = parts if known is None else [old + new for old, new in zip(known, parts, strict=True)]
        yield row


def spread(key: Key, tags: Mapping[str, Any]) -> Iterator[Key]:
    """Yield `key`, of a daily total, and the key of the total of each tag beside it."""
    yield key
    day, *rest = key
    yield from {(day, name[:64], str(value)[:256], *rest): None for name, value in tags.items()}


def add(cursor: CursorWrapper, sums: Sums) -> None:
    """Add to the stored totals; in a fixed order, so that two writers cannot wait for each other."""
    _upsert(cursor, SUMS, sums)


def add_adjusted(cursor: CursorWrapper, deltas: Mapping[Key, int]) -> None:
    """Book adjusted nano-USD by dimensions."""
    _upsert(cursor, ("adjusted_nano",), {key: [delta] for key, delta in deltas.items() if delta})


def add_repriced(cursor: CursorWrapper, counts: Mapping[Key, int]) -> None:
    """Note how many requests without a price have got a cost since, by dimensions."""
    _upsert(cursor, ("repriced",), {key: [count] for key, count in counts.items()})


def keys_of(record: RequestRecord) -> Iterator[Key]:
    """Yield the dimensions that a record was counted under when it came in."""
    return spread(tuple(getattr(record, name) for name in DIMENSIONS), record.tags)


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


def _upsert(cursor: CursorWrapper, names: tuple[str, ...], sums: Mapping[Key, list[int]]) -> None:
    for model in TABLES:
        rows = [(*key, *sums[key]) for key in sorted(key for key in sums if len(key) == len(model.DIMENSIONS))]
        if rows:
            cursor.executemany(_statement(model, names), rows)


@lru_cache
def _statement(model: type[DailyTotal] | type[TagTotal], names: tuple[str, ...]) -> str:
    table = model._meta.db_table
    columns = (*model.DIMENSIONS, *SUMS, *ADJUSTED)
    values = ", ".join("%s" if column in (*model.DIMENSIONS, *names) else "0" for column in columns)
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in names)
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values}) "  # noqa: S608  our own column names
        f"ON CONFLICT ({', '.join(model.DIMENSIONS)}) DO UPDATE SET {added}"
    )
