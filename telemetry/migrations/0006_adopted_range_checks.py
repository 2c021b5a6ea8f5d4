"""The range checks of 0002 for tables that were adopted: new rows are held to them, old rows are kept as they are.

PostgreSQL gets the constraints NOT VALID, which does not read the table. SQLite could only get them by building the
table anew, so it gets triggers that say the same.
"""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from telemetry.migrations._operations import limit_lock_wait

TABLE = "rate_limit_events"
RANGES = {
    "cache_hit_rate": "BETWEEN 0 AND 1",
    "skipped_queries": ">= 0",
    "retry_attempts": ">= 0",
}


def add(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    limit_lock_wait(schema_editor)
    present = checks(schema_editor)
    for column, allowed in RANGES.items():
        name = f"{TABLE}_{column}_range"
        if name in present:
            continue
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"ALTER TABLE {TABLE} ADD CONSTRAINT {name} CHECK ({column} {allowed}) NOT VALID")
        else:
            # Only of this column: an old row out of range can still have its delivery id moved.
            for event, moment in [("insert", "INSERT"), ("update", f"UPDATE OF {column}")]:
                schema_editor.execute(
                    f"CREATE TRIGGER IF NOT EXISTS {name}_{event} BEFORE {moment} ON {TABLE} "
                    f"WHEN NOT (NEW.{column} {allowed}) "
                    f"BEGIN SELECT RAISE(ABORT, 'CHECK constraint failed: {name}'); END"
                )


def remove(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    limit_lock_wait(schema_editor)
    present = checks(schema_editor)
    for column in RANGES:
        name = f"{TABLE}_{column}_range"
        if schema_editor.connection.vendor == "postgresql":
            # One that is valid came with the table.
            if present.get(name) is False:
                schema_editor.execute(f"ALTER TABLE {TABLE} DROP CONSTRAINT {name}")
        else:
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}_insert")
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}_update")


def checks(schema_editor: BaseDatabaseSchemaEditor) -> dict[str, bool]:
    """The range checks that are part of the table, by name, and whether all rows are known to keep them."""
    with schema_editor.connection.cursor() as cursor:
        if schema_editor.connection.vendor == "postgresql":
            cursor.execute("SELECT conname, convalidated FROM pg_constraint WHERE conrelid = %s::regclass", [TABLE])
            return dict(cursor.fetchall())
        cursor.execute("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = %s", [TABLE])
        (sql,) = cursor.fetchone()
    return {f"{TABLE}_{column}_range": True for column in RANGES if f'"{TABLE}_{column}_range"' in sql}


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0005_drop_legacy_identity")]

    operations = [migrations.RunPython(add, remove)]
