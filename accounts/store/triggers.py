"""Settled money never changes: the database itself refuses an UPDATE of a record, an attempt or an adjustment."""

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


def install(connection: BaseDatabaseWrapper) -> None:
    """Put the triggers in place; harmless where they are. Needed again after SQLite has rebuilt a table."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(POSTGRES_FUNCTION.format(sentence=SENTENCE))
        for table in TABLES:
            create = POSTGRES if connection.vendor == "postgresql" else SQLITE
            cursor.execute(create.format(table=table, sentence=SENTENCE))


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the tables whose trigger is gone."""
    catalogue = (
        "SELECT tgname FROM pg_trigger"
        if connection.vendor == "postgresql"
        else "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    )
    with connection.cursor() as cursor:
        cursor.execute(catalogue)
        there = {row[0] for row in cursor.fetchall()}
    return [table for table in TABLES if f"{table}_settled" not in there]


def after_migrate(using: str, **kwargs: Any) -> None:
    """Receiver of `post_migrate`: a migration that rebuilt a table on SQLite has dropped its trigger."""
    from django.db import connections

    connection = connections[using]
    if set(TABLES) <= set(connection.introspection.table_names()):
        install(connection)
