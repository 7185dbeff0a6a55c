"""What must be so before a process may serve: the database is as the code expects it, and credentials can be read."""

import logging
import sqlite3
import time
from collections.abc import Iterator

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder

from routing.store import check_credentials

log = logging.getLogger("qlite.start")
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
ROOMS = ("accounts", "proxy", "qlite_site", "routing")


def problems() -> Iterator[str]:
    """Yield a sentence for each reason not to start. Raises a database error where the database is away."""
    known, applied = _migrations()
    if waiting := sorted(known - applied):
        yield f"the database lacks {', '.join(waiting)}: run `qlite setup`"
        return
    if newer := sorted(applied - known):
        log.warning("the database is of a newer qlite, going back is not tested: it has %s", ", ".join(newer))
    yield from check_credentials()


def damage(seconds: float = 1.0) -> str:
    """Return what is wrong with the file of SQLite, "" where nothing was found in this time or there is no such file.

    A file of a few hundred megabytes is looked through whole; `qlite ledger verify` takes the time for any.
    """
    deadline = time.monotonic() + seconds
    try:
        connection.ensure_connection()
        connection.connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
        with connection.cursor() as cursor:
            finding: str = cursor.execute("PRAGMA quick_check(1)").fetchone()[0]
            return "" if finding == "ok" else finding.splitlines()[-1]
    except DatabaseError as error:  # also where the time is up, or where somebody holds it, which the start waits for
        return str(error) if getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF in DAMAGED else ""
    finally:
        connection.close()  # before the workers are forked


def _migrations() -> tuple[set[str], set[str]]:
    """Return our migrations and those applied here. Ours by their files: loading them all would delay every start."""
    recorder = MigrationRecorder(connection)
    applied = recorder.applied_migrations() if recorder.has_table() else {}
    files = {f"{room}.{path.stem}" for room in ROOMS for path in (settings.ROOT / room / "migrations").glob("0*.py")}
    return files, {f"{room}.{name}" for room, name in applied if room in ROOMS}
