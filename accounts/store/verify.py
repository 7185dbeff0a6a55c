"""Proof that the ledger is sound: each check names the rows that are not. It reads, and changes nothing.

The invariants are those of docs/reliability.md: a request costs what its attempts cost, totals are the sums of their
rows, amounts are integers, nothing is there twice, nothing waits in quarantine.
"""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.db import DatabaseError, connection

from accounts.models import Adjustment, AttemptRecord, DailyTotal, LedgerDay, LedgerQuarantine, RequestRecord, TagTotal
from accounts.prices import UNITS
from accounts.store import audit, kept, recount, triggers
from accounts.store.months import OTHERS
from accounts.store.pending import Pending
from accounts.store.rows import ID_OFF

NAMED = 20
LINKS = 25  # looked through at once
AMOUNTS = {
    RequestRecord: ("cost_nano", "saved_nano"),
    AttemptRecord: ("cost_nano",),
    Adjustment: ("cost_nano_delta",),
    DailyTotal: ("cost_nano", "estimated_nano", "saved_nano", "adjusted_nano"),
    TagTotal: ("cost_nano", "estimated_nano", "saved_nano", "adjusted_nano"),
}
# Sentence, and the query for ids of rows it is true of. Each is one statement, so a drain in the middle cannot be seen.
FAULTS = {
    "request {}: its cost is not the sum of its attempts": """
        SELECT r.id FROM accounts_requestrecord r LEFT JOIN accounts_attemptrecord a ON a.request_id = r.id
        GROUP BY r.id, r.cost_nano HAVING r.cost_nano <> COALESCE(SUM(a.cost_nano), 0)""",
    "request {}: an attempt is missing": """
        SELECT request_id FROM accounts_attemptrecord
        GROUP BY request_id HAVING COUNT(*) <> MAX(number) OR MIN(number) <> 1""",
    "request {}: settled without an attempt": """
        SELECT r.id FROM accounts_requestrecord r WHERE r.status IN ('settled', 'interrupted')
        AND NOT EXISTS (SELECT 1 FROM accounts_attemptrecord a WHERE a.request_id = r.id)""",
    "request {}: is there more than once": """
        SELECT id FROM accounts_requestrecord GROUP BY id HAVING COUNT(*) > 1""",
    "request {}: an attempt is there more than once": """
        SELECT request_id FROM accounts_attemptrecord GROUP BY request_id, number HAVING COUNT(*) > 1""",
    "request {}: came from the cache and yet has a cost": """
        SELECT id FROM accounts_requestrecord WHERE status = 'cached' AND cost_nano <> 0""",
    "request {}: its status is none that a record can have": """
        SELECT id FROM accounts_requestrecord
        WHERE status NOT IN ('settled', 'interrupted', 'failed', 'cached')""",
    "attempt of request {}: there is no such request": """
        SELECT a.request_id FROM accounts_attemptrecord a LEFT JOIN accounts_requestrecord r ON r.id = a.request_id
        WHERE r.id IS NULL""",
}

# Whether the amounts of an attempt by class are not its cost, as the database reads them, whatever stands there.
# Attempts that cost nothing have none.
UNSOUND = {
    "sqlite": """CASE WHEN json_valid(a.amounts) = 0 THEN 1 WHEN a.amounts = '{}' THEN 0
        ELSE a.cost_nano <> (SELECT COALESCE(SUM(value), 0) FROM json_each(a.amounts)) END""",
    "postgresql": """CASE WHEN a.amounts = '{}'::jsonb THEN false
        WHEN jsonb_typeof(a.amounts) <> 'object' THEN true
        WHEN jsonb_path_exists(a.amounts, 'strict $.* ? (@.type() <> "number")') THEN true
        ELSE a.cost_nano <> (SELECT SUM(value::numeric) FROM jsonb_each_text(a.amounts)) END""",
}

TAGLESS = "request {}: its tags are none"
TAGS = {
    "sqlite": "SELECT id FROM accounts_requestrecord WHERE tags <> '{}' AND json_type(tags) <> 'object'",
    "postgresql": "SELECT id FROM accounts_requestrecord WHERE jsonb_typeof(tags) <> 'object'",
}
# What SQLite would take for the others, whose columns can hold nothing else.
ODD = {
    "request {}: its day is none": "SELECT id FROM accounts_requestrecord WHERE day IS NOT date(day)",
    "request {}: what it used is not counted in integers": f"""
        SELECT id FROM accounts_requestrecord WHERE {" OR ".join(f"typeof({unit}) <> 'integer'" for unit in UNITS)}""",  # noqa: S608
    "request {}: what an attempt used is not counted in integers": f"""
        SELECT request_id FROM accounts_attemptrecord
        WHERE {" OR ".join(f"typeof({unit}) <> 'integer'" for unit in UNITS)}""",  # noqa: S608
}

# What is looked for by time is looked for by id too (accounts/store/months.py). Checks keep it true in each month.
AWAY = f"""
    SELECT id FROM accounts_requestrecord_{OTHERS} WHERE CASE WHEN id ~ '^[0-9a-f]{{8}}-[0-9a-f]{{4}}-7' THEN abs(
        ('x' || substr(id, 1, 8) || substr(id, 10, 4))::bit(48)::bigint - extract(epoch FROM at) * 1000
    ) > {ID_OFF * 1000 + 1} ELSE true END"""  # noqa: S608


def verify(journals: Path) -> list[str]:
    """Return what is wrong, a sentence for each row or fault; nothing when all is well."""
    checks: list[Callable[[], Iterator[str]]] = [
        _file,
        _triggers,
        _faults,
        _floats,
        recount.totals,
        recount.tagged,
        recount.adjusted,
        _sealed,
    ]
    # A row may be named by two checks in the same words.
    problems = list(dict.fromkeys(problem for check in checks for problem in _carried_out(check)))
    return [*problems, *_quarantine(), *_journals(journals)]


def _carried_out(check: Callable[[], Iterator[str]]) -> Iterator[str]:
    """Yield what a check finds. Who has changed rows may have left anything there, which must not end all checks."""
    try:
        yield from check()
    except (TypeError, ValueError, AttributeError) as error:
        yield f"a check could not be carried out ({check.__name__.strip('_')}): {error}"
    except DatabaseError as error:
        damaged = getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CORRUPT
        if not damaged and "integer overflow" not in str(error):  # where a single amount is beyond all measure
            raise
        yield f"a check could not be carried out ({check.__name__.strip('_')}): {error}"


def counts(journals: Path) -> dict[str, int]:
    """How many rows of each sort there are, in the ledger and still in the journals."""
    pending = Pending(journals)
    pending.close()
    return {
        "requests": RequestRecord.objects.count(),
        "attempts": AttemptRecord.objects.count(),
        "adjustments": Adjustment.objects.count(),
        "quarantined": LedgerQuarantine.objects.count(),
        "undrained": pending.settled,
        "open": pending.open,
    }


def _file() -> Iterator[str]:
    if connection.vendor == "sqlite":
        for (finding,) in _select("PRAGMA quick_check(5)"):
            if finding != "ok":
                yield f"the database file is damaged: {finding}"


def _triggers() -> Iterator[str]:
    for table in triggers.missing(connection):
        yield f"{table}: the trigger that keeps settled rows from changing is gone"
    for table in kept.missing(connection):
        yield f"{table}: the trigger that keeps rows from being deleted is gone"


def _faults() -> Iterator[str]:
    parts = f"SELECT request_id FROM accounts_attemptrecord a WHERE {UNSOUND[connection.vendor]}"  # noqa: S608
    queries = {**FAULTS, "request {}: an attempt's amounts are not its cost": parts, TAGLESS: TAGS[connection.vendor]}
    if connection.vendor == "postgresql":
        queries["request {}: its id is of another day than it is"] = AWAY
    for sentence, query in queries.items():
        yield from _named(sentence, query)


def _sealed() -> Iterator[str]:
    for day in LedgerDay.objects.filter(sealed_at__isnull=False).order_by("day").values_list("day", flat=True):
        yield from (finding for finding in audit.confirmed(day, LINKS) if finding is not None)


def _floats() -> Iterator[str]:
    if connection.vendor != "sqlite":
        return  # the columns are BIGINT and can hold nothing else
    for sentence, query in ODD.items():
        yield from _named(sentence, query)
    for model, columns in AMOUNTS.items():
        table = model._meta.db_table
        for column in columns:
            query = f"SELECT {model._meta.pk_fields[0].column} FROM {table} WHERE typeof({column}) <> 'integer'"  # noqa: S608
            yield from _named(f"{table} {{}}: {column} is not an integer", query)


def _quarantine() -> Iterator[str]:
    for row in LedgerQuarantine.objects.order_by("id")[:NAMED]:
        yield f"quarantine {row.pk}: request {row.request_id or 'without id'} could not be stored: {row.error}"
    rest = LedgerQuarantine.objects.count() - NAMED
    if rest > 0:
        yield f"quarantine: {rest} more"


def _journals(folder: Path) -> Iterator[str]:
    pending = Pending(folder)
    pending.close()
    if pending.damaged:
        yield f"journals: {pending.damaged} lines cannot be read"


def _named(sentence: str, query: str) -> Iterator[str]:
    """Name the first rows and count the others."""
    found = [row[0] for row in _select(f"SELECT * FROM ({query}) AS found LIMIT {NAMED + 1}")]  # noqa: S608
    yield from (sentence.format(id) for id in found[:NAMED])
    if len(found) > NAMED:
        ((count,),) = _select(f"SELECT COUNT(*) FROM ({query}) AS found")  # noqa: S608
        yield sentence.format(f"and {count - NAMED} more")


def _select(query: str) -> Iterator[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        yield from cursor.fetchall()
