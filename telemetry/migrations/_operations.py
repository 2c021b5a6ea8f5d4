"""Operations that accept a table or a column that is already there, and give back nothing that holds data."""

from typing import Any

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState


def limit_lock_wait(schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Let this migration fail, to be run again, rather than queue for a table and hold up all who come after it."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("SET LOCAL lock_timeout = '5s'")


class AdoptModel(migrations.CreateModel):
    """Create the table unless it is there; going back, drop it only if it has no rows.

    A table that is there is taken as it is: what it lacks is the business of the migrations that follow. It is a
    `CreateModel`, so that `migrate --fake-initial` recognises it.
    """

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        table = to_state.apps.get_model(app_label, self.name)._meta.db_table
        if table not in schema_editor.connection.introspection.table_names():
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        connection = schema_editor.connection
        model = from_state.apps.get_model(app_label, self.name)
        if not self.allow_migrate_model(connection.alias, model):
            return
        if connection.vendor == "postgresql":
            # No row may come in between the look and the drop. SQLite's transaction sees to that by itself.
            limit_lock_wait(schema_editor)
            schema_editor.execute(
                f"LOCK TABLE {connection.ops.quote_name(model._meta.db_table)} IN ACCESS EXCLUSIVE MODE"
            )
        if not model._base_manager.using(connection.alias).exists():
            super().database_backwards(app_label, schema_editor, from_state, to_state)


class AdoptField(migrations.AddField):
    """Add a nullable column unless it is there; going back, leave it, because it may hold what is nowhere else."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        connection = schema_editor.connection
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(connection.alias, model):
            return
        with connection.cursor() as cursor:
            columns = connection.introspection.get_table_description(cursor, model._meta.db_table)
        if self.name not in [column.name for column in columns]:
            limit_lock_wait(schema_editor)
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, *args: Any) -> None:
        """Nothing: whoever goes back does not lose the delivery ids of duplicates, and going forward finds them."""
