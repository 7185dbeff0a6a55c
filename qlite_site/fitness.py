"""What must be so before a process may serve: the database is as the code expects it, and credentials can be read."""

from collections.abc import Iterator

from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from routing.store import check_credentials

ROOMS = ("accounts", "proxy", "qlite_site", "routing")


def problems() -> Iterator[str]:
    """Yield a sentence for each reason not to start. Raises a database error where the database is away."""
    waiting = sorted(_pending())
    if waiting:
        yield f"the database lacks {', '.join(waiting)}: run `qlite setup`"
        return
    yield from check_credentials()


def _pending() -> set[str]:
    """Return the migrations that have not been applied, by their files: loading them all would delay every start."""
    recorder = MigrationRecorder(connection)
    applied = set(recorder.applied_migrations()) if recorder.has_table() else set()
    files = {(room, path.stem) for room in ROOMS for path in (settings.ROOT / room / "migrations").glob("0*.py")}
    return {f"{room}.{name}" for room, name in files - applied}
