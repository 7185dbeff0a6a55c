"""What stays reserved for batches while they run, after the call that made one has ended. Amounts are nano-USD.

A hold comes into the database with the record of the call that made the batch, and goes with the record of a call that
saw it over: so no crash loses either. It counts on every budget that covers that call, in whichever window is now.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from django.db.backends.utils import CursorWrapper

from accounts.budgets.limits import Limit
from accounts.models import BudgetHold

LASTS = 7 * 86_400  # seconds; Groq lets a batch run so long, the others a day or two
TABLE = BudgetHold._meta.db_table
KEEP = (
    f"INSERT INTO {TABLE} (key, team, key_id, route, amount_nano, until) "  # noqa: S608  our own table name
    "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (key) DO NOTHING"
)
FREE = f"DELETE FROM {TABLE} WHERE key = %s OR until < %s"  # noqa: S608


def note(cursor: CursorWrapper, bodies: Iterable[Mapping[str, Any]]) -> None:
    """Keep and free what these records say, in the transaction that brings them into the ledger."""
    said = [(body, key[:64], amount) for body in bodies for key, amount in (body.get("holds") or {}).items()]
    for body, key, amount in said:
        if amount:
            until = int(body["at"]) + LASTS
            place = (body["team"][:64], body["key_id"][:8], body["route"][:200])
            cursor.execute(KEEP, [key, *place, amount, until])
    for _, key, amount in said:
        if not amount:
            cursor.execute(FREE, [key, int(time.time())])


def of(body: Mapping[str, Any]) -> int:
    """Return what a record keeps beyond its cost."""
    return sum((body.get("holds") or {}).values())


def out(cursor: CursorWrapper, limit: Limit) -> int:
    """Return what is held on this limit."""
    given = [(name, value) for name in ("team", "key_id", "route") if (value := getattr(limit, name))]
    where = "".join(f" AND {name} = %s" for name, _ in given)
    cursor.execute(
        f"SELECT COALESCE(SUM(amount_nano), 0) FROM {TABLE} WHERE until >= %s{where}",  # noqa: S608  our own texts
        [int(time.time()), *(value for _, value in given)],
    )
    return int(cursor.fetchone()[0])
