"""How the ledger's two large tables are made: on PostgreSQL cut by ranges of ids, with room for what has no month."""

from typing import Any

from django.db.migrations import CreateModel

from accounts.store.months import KEYS, OTHERS


class CreateByMonth(CreateModel):
    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        table, plain = f"{app_label}_{self.name_lower}", schema_editor.sql_create_table
        schema_editor.sql_create_table = f"{plain} PARTITION BY RANGE ({KEYS[table]})"
        super().database_forwards(app_label, schema_editor, from_state, to_state)
        schema_editor.sql_create_table = plain
        # Django adds an index for LIKE, which a column that is compared by bytes does not need.
        schema_editor.deferred_sql = [
            each
            for each in schema_editor.deferred_sql
            if not (each.references_table(table) and "varchar_pattern_ops" in str(each))
        ]
        schema_editor.execute(f"CREATE TABLE {table}_{OTHERS} PARTITION OF {table} DEFAULT")
