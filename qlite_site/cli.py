"""The console script `qlite`: Django's commands and ours under one name."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "qlite_site.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"qlite cannot start: {error}")
    except OperationalError as error:
        sys.exit(f"qlite cannot use the database (DATABASE_URL): {error}")
