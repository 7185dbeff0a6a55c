"""The console script `qlite`: Django's commands and ours under one name."""

import errno
import os
import sqlite3
import sys

from qlite_site import __version__

OF_THE_MACHINE = {errno.EACCES, errno.EDQUOT, errno.ENOSPC, errno.EPERM, errno.EROFS}

DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
NO_SUCH_TABLE = "42P01"  # as PostgreSQL says it


def main() -> None:
    if sys.argv[1:] in (["version"], ["--version"]):  # Django would tell its own
        sys.stdout.write(f"qlite {__version__}\n")
        return
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "qlite_site.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import DatabaseError

    try:
        execute_from_command_line(sys.argv)
        sys.stdout.flush()  # here, where its failure is told
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell tells it
    except ImproperlyConfigured as error:
        sys.exit(f"qlite cannot start: {error}")
    except DatabaseError as error:
        if (told := _told(error)) is None:
            raise
        sys.exit(f"qlite cannot use the database (DATABASE_URL): {told}")
    except OSError as error:
        if error.errno not in OF_THE_MACHINE:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still to be written fails no second time, at the exit
        sys.exit(f"qlite cannot go on: {error}")


def _told(error: Exception) -> str | None:
    """Return a sentence about a database that is away, damaged or not set up; None where it is neither."""
    from django.db import OperationalError

    if getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF in DAMAGED:
        return f"{error}; its file has to be put back from a backup, see docs/operating.md"
    if getattr(error.__cause__, "sqlstate", "") == NO_SUCH_TABLE or str(error).startswith("no such table"):
        return "it has not been set up: run `qlite setup`"
    return str(error) if isinstance(error, OperationalError) else None
