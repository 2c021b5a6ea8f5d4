"""The identity becomes unique: (delivery id, event type), in both tables.

The legacy index on the delivery id alone is still there when the new one is built, so there is no moment at which a
duplicate is accepted. Duplicates, which only a table that never had an index can hold, keep their rows; all but the
earliest lose their delivery id to `legacy_delivery_id`. Indexes that an adopted table lacks are built as well.
"""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from telemetry.migrations._indexes import TableIndex, drop_index, ensure_index, require_index, unique_index

EVENT_IDENTITY = unique_index("idx_rate_limit_events_delivery_event", "rate_limit_events", "delivery_id", "event_type")
EXECUTION_IDENTITY = unique_index("idx_executions_delivery_event", "executions", "delivery_id", "event_type")
LEGACY_EVENT_IDENTITY = unique_index("idx_rate_limit_events_delivery", "rate_limit_events", "delivery_id")
OTHERS = {
    "RateLimitEvent": [TableIndex("idx_rate_limit_events_repo_created", "rate_limit_events", ("repo", "created_at"))],
    "Execution": [
        TableIndex("idx_executions_created_at", "executions", ("created_at",)),
        TableIndex("idx_executions_repo", "executions", ("repo",)),
    ],
}


def build(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    for model, identity in [("RateLimitEvent", EVENT_IDENTITY), ("Execution", EXECUTION_IDENTITY)]:
        rows = apps.get_model("telemetry", model)._base_manager.using(schema_editor.connection.alias)
        for index in [identity, *OTHERS[model]]:
            ensure_index(schema_editor, index, rows.all())


def unbuild(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    require_index(schema_editor.connection, LEGACY_EVENT_IDENTITY)
    drop_index(schema_editor, EVENT_IDENTITY.name)
    drop_index(schema_editor, EXECUTION_IDENTITY.name)


class Migration(migrations.Migration):
    # PostgreSQL builds an index CONCURRENTLY only outside a transaction. Every step may be run again.
    atomic = False

    dependencies = [("telemetry", "0003_legacy_delivery_id")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(build, unbuild)],
            state_operations=[
                migrations.AddConstraint(
                    model_name=model_name,
                    constraint=models.UniqueConstraint(
                        condition=models.Q(("delivery_id__isnull", False)),
                        fields=("delivery_id", "event_type"),
                        name=identity.name,
                    ),
                )
                for model_name, identity in [("ratelimitevent", EVENT_IDENTITY), ("execution", EXECUTION_IDENTITY)]
            ],
        )
    ]
