"""Take over `telemetry_events`, where the legacy system's later versions keep executions on PostgreSQL.

Its rows are copied behind those of `executions`. An identity stays with the row that has it, or else goes to the
earliest, as in 0004. The table is kept as `telemetry_events_copied`; a view has its name from then on, through which
the legacy system reads and writes `executions`.
"""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from telemetry.migrations._operations import column_defaults, limit_lock_wait

COLUMNS = (
    "created_at, repo, pr_number, pr_author, event_type, provider, model, input_tokens, output_tokens, "
    "cache_read_tokens, cache_creation_tokens, duration_ms, cost_usd, conclusion, session_id, num_turns, stop_reason"
)
# By way of text 0.1 stays 0.1: the legacy column is of single precision.
VALUES = COLUMNS.replace("cost_usd", "cost_usd::text::double precision")
STATEMENTS = [
    # Writers wait for the copy, readers do not.
    "LOCK TABLE telemetry_events, executions IN SHARE ROW EXCLUSIVE MODE",
    f"""
    INSERT INTO executions (id, delivery_id, legacy_delivery_id, {COLUMNS})
    SELECT id + (SELECT coalesce(max(id), 0) FROM executions),
        CASE WHEN first THEN delivery_id END, CASE WHEN NOT first THEN delivery_id END, {VALUES}
    FROM (
        SELECT *, row_number() OVER (PARTITION BY delivery_id, event_type ORDER BY created_at, id) = 1 AND NOT EXISTS (
            SELECT FROM executions AS e WHERE e.delivery_id = t.delivery_id AND e.event_type = t.event_type
        ) AS first
        FROM telemetry_events AS t
    ) AS numbered
    """,  # noqa: S608
    "SELECT setval(pg_get_serial_sequence('executions', 'id'), max(id)) FROM executions HAVING max(id) > 0",
    "ALTER TABLE telemetry_events RENAME TO telemetry_events_copied",
    f"CREATE VIEW telemetry_events AS SELECT id, delivery_id, {COLUMNS} FROM executions",  # noqa: S608
]


def take_over(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    connection = schema_editor.connection
    if connection.vendor != "postgresql" or "telemetry_events" not in connection.introspection.table_names():
        return
    columns = column_defaults(connection, "telemetry_events").keys()
    if not columns >= {"id", "delivery_id", *COLUMNS.split(", ")}:
        # Another program's table of that name.
        return
    limit_lock_wait(schema_editor)
    for statement in STATEMENTS:
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0007_legacy_defaults")]

    # Going back, copies and view stay, so that going forward copies nothing twice.
    operations = [migrations.RunPython(take_over, migrations.RunPython.noop)]
