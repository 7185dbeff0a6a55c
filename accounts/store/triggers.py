"""Settled money never changes: the database itself refuses an UPDATE of a record, an attempt or an adjustment."""

from collections.abc import Iterable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

TABLES = ("accounts_requestrecord", "accounts_attemptrecord", "accounts_adjustment")
SENTENCE = "settled rows never change; book an adjustment"

SQLITE = """
    CREATE TRIGGER IF NOT EXISTS {table}_settled BEFORE UPDATE ON {table}
    BEGIN SELECT RAISE(ABORT, '{sentence}'); END
"""
POSTGRES_FUNCTION = """
    CREATE OR REPLACE FUNCTION accounts_refuse_update() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION '{sentence}' USING ERRCODE = 'integrity_constraint_violation'; END $$
"""
POSTGRES = """
    CREATE OR REPLACE TRIGGER {table}_settled BEFORE UPDATE ON {table}
    FOR EACH ROW EXECUTE FUNCTION accounts_refuse_update()
"""
# A trigger of a table is there once more, with the same name, on each of its partitions.
LACKING = {
    "sqlite": """
        SELECT name FROM sqlite_master WHERE type = 'table'
        AND name || %s NOT IN (SELECT name FROM sqlite_master WHERE type = 'trigger')""",
    "postgresql": """
        SELECT COALESCE(root.relname, c.relname) FROM pg_class c
        LEFT JOIN pg_inherits ON inhrelid = c.oid LEFT JOIN pg_class root ON root.oid = inhparent
        WHERE c.relkind IN ('r', 'p') AND NOT EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = c.oid
            AND tgname = COALESCE(root.relname, c.relname) || %s AND tgenabled IN ('O', 'A'))""",
}


def install(connection: BaseDatabaseWrapper) -> None:
    """Put the triggers in place; harmless where they are. Needed again after SQLite has rebuilt a table."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(POSTGRES_FUNCTION.format(sentence=SENTENCE))
        for table in TABLES:
            create = POSTGRES if connection.vendor == "postgresql" else SQLITE
            cursor.execute(create.format(table=table, sentence=SENTENCE))


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the tables whose trigger is gone, or switched off on them or on a partition of theirs."""
    return lacking(connection, "_settled", TABLES)


def lacking(connection: BaseDatabaseWrapper, ending: str, tables: Iterable[str]) -> list[str]:
    """Return those of the tables without their trigger, whose name is theirs and this ending."""
    with connection.cursor() as cursor:
        cursor.execute(LACKING[connection.vendor], [ending])
        without = {row[0] for row in cursor.fetchall()}
    return [table for table in tables if table in without]


def after_migrate(using: str, **kwargs: Any) -> None:
    """Receiver of `post_migrate`: a migration that rebuilt a table on SQLite has dropped its trigger."""
    from django.db import connections

    connection = connections[using]
    if set(TABLES) <= set(connection.introspection.table_names()):
        install(connection)
