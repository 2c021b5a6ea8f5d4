"""Give every column the default that it has in the legacy tables, and tables of old files the column they lack.

A table that Kodiai made before had no defaults in the database, and refused rows that the legacy system wrote without
`created_at`. Files of the legacy system's first versions have no `pr_author`.
"""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from telemetry.migrations._operations import AdoptField, column_defaults, limit_lock_wait


def add_defaults(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    for model in apps.get_app_config("telemetry").get_models():
        table = model._meta.db_table
        present = column_defaults(schema_editor.connection, table)
        for field in model._meta.local_fields:
            if not field.has_db_default() or present[field.name] is not None:
                continue
            sql, params = schema_editor.db_default_sql(field)
            default = sql % tuple(schema_editor.quote_value(param) for param in params) if params else sql
            if schema_editor.connection.vendor == "postgresql":
                limit_lock_wait(schema_editor)
                schema_editor.execute(f"ALTER TABLE {table} ALTER {field.name} SET DEFAULT {default}")
            else:
                column = f'"{field.name}" {field.db_type(schema_editor.connection)}'
                rewrite(schema_editor, table, f"{column} NOT NULL", f"{column} DEFAULT {default} NOT NULL")


def rewrite(schema_editor: BaseDatabaseSchemaEditor, table: str, old: str, new: str) -> None:
    """Change the text of a table's definition in SQLite, which knows no ALTER COLUMN, without building it anew.

    Source: SQLite documentation, ALTER TABLE, "Making Other Kinds Of Table Schema Changes": the procedure for adding
    default values, which do not touch what is on disk.
    """
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("PRAGMA schema_version")
        (version,) = cursor.fetchone()
        cursor.execute("PRAGMA writable_schema = ON")
        cursor.execute(
            "UPDATE sqlite_master SET sql = replace(sql, %s, %s) WHERE type = 'table' AND name = %s", [old, new, table]
        )
        # Connections that are open read the definition again.
        cursor.execute(f"PRAGMA schema_version = {version + 1}")
        cursor.execute("PRAGMA writable_schema = OFF")


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0006_adopted_range_checks")]

    operations = [
        AdoptField("execution", "pr_author", models.TextField("author", blank=True, null=True)),
        # Going back, they stay: a default more does no harm.
        migrations.RunPython(add_defaults, migrations.RunPython.noop),
    ]
