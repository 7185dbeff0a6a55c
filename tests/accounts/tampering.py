"""Damage done to the ledger behind its back, for the tests of what notices it."""

from typing import Any

from django.db import connection

from accounts.store import kept
from accounts.store.triggers import TABLES


def tamper(statement: str, *values: Any) -> None:
    """Run a statement with the triggers out of the way; they are back afterwards."""
    from accounts.store.triggers import install

    lift_triggers()
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
    install(connection)
    kept.install(connection)


def lift_triggers() -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in TABLES:
            on = f" ON {table}" if connection.vendor == "postgresql" else ""
            cursor.execute(f"DROP TRIGGER {table}_settled{on}")
    kept.lift(connection)
