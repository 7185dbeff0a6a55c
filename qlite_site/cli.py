"""The console script `qlite`: Django's commands and ours under one name."""

import errno
import os
import sys

from qlite_site import __version__

OF_THE_MACHINE = {errno.EACCES, errno.EDQUOT, errno.ENOSPC, errno.EPERM, errno.EROFS}


def main() -> None:
    if sys.argv[1:] in (["version"], ["--version"]):  # Django would tell its own
        sys.stdout.write(f"qlite {__version__}\n")
        return
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "qlite_site.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    try:
        execute_from_command_line(sys.argv)
        sys.stdout.flush()  # here, where its failure is told
    except ImproperlyConfigured as error:
        sys.exit(f"qlite cannot start: {error}")
    except OperationalError as error:
        sys.exit(f"qlite cannot use the database (DATABASE_URL): {error}")
    except OSError as error:
        if error.errno not in OF_THE_MACHINE:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still to be written fails no second time, at the exit
        sys.exit(f"qlite cannot go on: {error}")
