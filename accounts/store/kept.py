"""Records stay: the database refuses to delete one, but of a day that was looked through and is being pruned.

Beside `accounts/store/triggers.py`, which refuses changes. On SQLite these triggers name other tables, which no
migration could rebuild while they are there; so they are lifted before one, and put back after it.
"""

from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from accounts.store.triggers import lacking

SENTENCE = "records of the ledger stay until their day is pruned"
PRUNED = "EXISTS (SELECT 1 FROM accounts_ledgerday WHERE day = {day} AND pruned_at IS NOT NULL)"
DAY_OF = "(SELECT day FROM accounts_requestrecord WHERE id = OLD.request_id)"
# What a row must be for it to go. Adjustments never do.
MAY_GO = {
    "accounts_requestrecord": PRUNED.format(day="OLD.day"),
    "accounts_attemptrecord": PRUNED.format(day=DAY_OF),
    "accounts_adjustment": "FALSE",
}
SQLITE = """
    CREATE TRIGGER IF NOT EXISTS {table}_kept BEFORE DELETE ON {table} WHEN NOT {may_go}
    BEGIN SELECT RAISE(ABORT, '{sentence}'); END
"""
POSTGRES_FUNCTION = """
    CREATE OR REPLACE FUNCTION {table}_keep() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF {may_go} THEN RETURN OLD; END IF;
        RAISE EXCEPTION '{sentence}' USING ERRCODE = 'integrity_constraint_violation';
    END $$
"""
POSTGRES = """
    CREATE OR REPLACE TRIGGER {table}_kept BEFORE DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION {table}_keep()
"""


def install(connection: BaseDatabaseWrapper) -> None:
    """Put the triggers in place; harmless where they are."""
    with connection.cursor() as cursor:
        for table, may_go in MAY_GO.items():
            for statement in (SQLITE,) if connection.vendor == "sqlite" else (POSTGRES_FUNCTION, POSTGRES):
                cursor.execute(statement.format(table=table, may_go=may_go, sentence=SENTENCE))


def lift(connection: BaseDatabaseWrapper) -> None:
    """Take the triggers away."""
    with connection.cursor() as cursor:
        for table in MAY_GO:
            on = f" ON {table}" if connection.vendor == "postgresql" else ""
            cursor.execute(f"DROP TRIGGER IF EXISTS {table}_kept{on}")


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the tables whose trigger is gone, or switched off on them or on a partition of theirs."""
    return lacking(connection, "_kept", MAY_GO)


def before_migrate(using: str, **kwargs: Any) -> None:
    """Receiver of `pre_migrate`."""
    if connections[using].vendor == "sqlite":
        lift(connections[using])


def after_migrate(using: str, **kwargs: Any) -> None:
    """Receiver of `post_migrate`."""
    tables = set(connections[using].introspection.table_names())
    if {*MAY_GO, "accounts_ledgerday"} <= tables:
        install(connections[using])
