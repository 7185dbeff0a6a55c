"""Journal rows into the main database: once each, in batches, and none is dropped.

Saving a row again does nothing, so whoever is unsure whether a batch has arrived sends it again. A row that the
database refuses goes to quarantine with everything it says; trouble with the database itself is raised, and the rows
stay in the journal.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

from django.db import DataError, IntegrityError, connection, transaction
from django.db.backends.utils import CursorWrapper

from accounts.ledger.journal import Journal
from accounts.ledger.recover import Orphan, orphans, recover
from accounts.models import AttemptRecord, BilledOnce, LedgerQuarantine, RequestRecord
from accounts.store import holds, leases, totals
from accounts.store.prices import load_book
from accounts.store.rows import ATTEMPT, LARGEST, REQUEST, Body, Row, attempt_row, read, request_row, stamp_for

T = TypeVar("T")
BATCH = 200
# Into SQLite with one statement, by an old one's limit. At each this thread gives the interpreter away, and has to get
# it back from the event loop's.
VALUES_AT_ONCE = 999
POISON = (IntegrityError, DataError, ValueError, TypeError, KeyError, AttributeError, OverflowError)
REQUESTS, ATTEMPTS = RequestRecord._meta.db_table, AttemptRecord._meta.db_table
CLAIM = (
    f"INSERT INTO {BilledOnce._meta.db_table} (key, request_id) VALUES (%s, %s)"  # noqa: S608  our own table name
    " ON CONFLICT (key) DO NOTHING"
)


def save_entries(raws: list[bytes]) -> None:
    """Write entries with their attempts and add them to the daily totals, in one transaction.

    Raises django.db.Error other than for a bad row: then nothing was written.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            _save(cursor, raws)
    except POISON as error:
        if len(raws) == 1:
            _quarantine(raws[0], error)
        else:
            middle = len(raws) // 2
            save_entries(raws[:middle])
            save_entries(raws[middle:])


def drain(journal: Journal, at_most: int = BATCH) -> int:
    """Move the oldest settled rows of our own journal. Returns how many; raises as `save_entries` does."""
    rows = journal.ready(at_most)
    if rows:
        save_entries([raw for _, raw in rows])
        journal.forget([id for id, _ in rows])
    return len(rows)


def adopt(folder: Path, own: Journal | None = None) -> int:
    """Move all rows of dead processes' journals, open ones as interrupted, and delete the files. Returns how many.

    Raises as `save_entries` does, and OSError; what is left is for the next call.
    """
    count, trouble = 0, None
    for orphan in orphans(folder):
        if own is not None and orphan.name == own.name:
            orphan.release()
            continue
        try:
            count += _adopt(orphan)
        except OSError as error:
            orphan.release()
            trouble = error
        except BaseException:
            orphan.release()
            raise
    if trouble is not None:
        raise trouble
    return count


def known(ids: list[str]) -> set[str]:
    """Return those ids that the ledger has, in quarantine or not."""
    with connection.cursor() as cursor:
        there = _there(cursor, ids)
    return there | set(LedgerQuarantine.objects.filter(request_id__in=ids).values_list("request_id", flat=True))


def batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def _adopt(orphan: Orphan) -> int:
    count = 0
    with orphan.scan() as held:
        rows = recover(held, load_book(), alive_at=orphan.alive_at) if held.rows else ()
        for batch in batches(rows):
            save_entries(batch)
            count += len(batch)
    for line in held.damaged:
        _quarantine(line, ValueError("an unreadable line of a journal"))
    orphan.remove()
    return count


def _save(cursor: CursorWrapper, raws: list[bytes]) -> None:
    bodies = {body["id"]: body for body in map(read, raws)}
    for id in _there(cursor, list(bodies)):
        del bodies[id]
    for id in _billed_before(cursor, bodies):
        del bodies[id]
    stamp = stamp_for(connection.vendor)
    sums: totals.Sums = {}
    # Made a few at a time, while the database writes: the event loop's thread is never kept waiting for a whole batch.
    rows = (request_row(body, stamp) for body in bodies.values())
    attempts = (attempt_row(id, each, stamp) for id, body in bodies.items() for each in body["attempts"])
    _insert(cursor, REQUESTS, REQUEST, totals.tally(rows, sums))
    _insert(cursor, ATTEMPTS, ATTEMPT, attempts)
    totals.add(cursor, sums)
    holds.note(cursor, bodies.values())
    leases.drained(cursor, bodies.values())


def _there(cursor: CursorWrapper, ids: list[str]) -> set[str]:
    if not ids:
        return set()
    marks = ", ".join(["%s"] * len(ids))
    cursor.execute(f"SELECT id FROM {REQUESTS} WHERE id IN ({marks})", ids)  # noqa: S608  our own table name
    return {row[0] for row in cursor.fetchall()}


def _billed_before(cursor: CursorWrapper, bodies: Mapping[str, Body]) -> list[str]:
    """Claim what is billed once, such as a batch; return the ids of those who come too late."""
    claims = sorted((str(body["once"])[:64], id) for id, body in bodies.items() if body.get("once"))
    late = []
    for once, id in claims:  # in a fixed order, so that two writers cannot wait for each other
        cursor.execute(CLAIM, [once, id])
        if not cursor.rowcount:
            late.append(id)
    return late


def _insert(cursor: CursorWrapper, table: str, columns: tuple[str, ...], rows: Iterable[Row]) -> None:
    if connection.vendor == "postgresql":
        with connection.wrap_database_errors, cursor.copy(f"COPY {table} ({_names(columns)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    else:
        # By sqlite3 itself, since Django would look through the whole statement each time.
        with connection.wrap_database_errors:
            for batch in batches(rows, VALUES_AT_ONCE // len(columns)):
                connection.connection.execute(_statement(table, columns, len(batch)), [*chain.from_iterable(batch)])


@lru_cache
def _statement(table: str, columns: tuple[str, ...], rows: int) -> str:
    row = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO {table} ({_names(columns)}) VALUES {', '.join([row] * rows)}"  # noqa: S608  our own names


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _quarantine(raw: bytes, error: Exception) -> None:
    """Keep a refused row whole, once. A row that somebody else has saved meanwhile needs no quarantine."""
    text = raw.decode("utf-8", "replace").replace("\0", "�")
    id, cost = _identity(raw)
    if id and RequestRecord.objects.filter(pk=id).exists():
        return
    if not LedgerQuarantine.objects.filter(request_id=id, raw=text).exists():
        reason = f"{type(error).__name__}: {error}".replace("\0", "�")[:1000]
        LedgerQuarantine.objects.create(raw=text, error=reason, request_id=id, cost_nano=cost)


def _identity(raw: bytes) -> tuple[str, int | None]:
    try:
        body: Body = read(raw)
    except ValueError:
        found = re.search(rb'"id":"([0-9a-zA-Z-]{1,64})"', raw)
        return (found[1].decode() if found else ""), None
    cost = body.get("cost_nano")
    return body["id"][:64], cost if type(cost) is int and 0 <= cost <= LARGEST else None
