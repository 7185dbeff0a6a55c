"""What a serving process does without."""

import sys

POSTGRES_FIELDS = "django.contrib.postgres.fields"


def load_unfold() -> None:
    """Load unfold without its looks for PostgreSQL's own fields, of which we have none.

    Asking for them would load psycopg, 10 MB, where the database is SQLite too. unfold goes on without them.
    """
    if POSTGRES_FIELDS in sys.modules:
        return
    sys.modules[POSTGRES_FIELDS] = None  # type: ignore[assignment]  # to import it is an ImportError
    try:
        import unfold.overrides  # noqa: F401
    finally:
        del sys.modules[POSTGRES_FIELDS]
