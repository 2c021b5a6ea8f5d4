"""The legacy index on the delivery id alone goes: a delivery may leave a row for each of its event types.

Going back, every row is kept, but only the earliest of a delivery can keep the delivery id; the others' moves to
`legacy_delivery_id`. Going forward again, a row gets it back if no other row has taken its identity meanwhile.
"""

from importlib import import_module

from django.apps.registry import Apps
from django.db import IntegrityError, migrations, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Exists, F, Model, OuterRef, QuerySet

from telemetry.migrations._indexes import drop_index, ensure_index, require_index

# A module whose name begins with a digit cannot be imported by statement.
identity = import_module("telemetry.migrations.0004_identity")


def event_rows(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> QuerySet[Model]:
    model = apps.get_model("telemetry", "RateLimitEvent")
    return model._base_manager.using(schema_editor.connection.alias).all()


def drop(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    require_index(schema_editor.connection, identity.EVENT_IDENTITY)
    drop_index(schema_editor, identity.LEGACY_EVENT_IDENTITY.name)
    give_back_delivery_ids(event_rows(apps, schema_editor))


def undrop(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    ensure_index(schema_editor, identity.LEGACY_EVENT_IDENTITY, event_rows(apps, schema_editor))


def give_back_delivery_ids(rows: QuerySet[Model]) -> None:
    taken = rows.filter(delivery_id=OuterRef("legacy_delivery_id"), event_type=OuterRef("event_type"))
    moved = rows.filter(delivery_id__isnull=True, legacy_delivery_id__isnull=False).exclude(Exists(taken))
    for pk in list(moved.order_by("created_at", "id").values_list("pk", flat=True)):
        try:
            with transaction.atomic(using=rows.db):
                rows.filter(pk=pk).update(delivery_id=F("legacy_delivery_id"), legacy_delivery_id=None)
        except IntegrityError:
            # An earlier row, or one just written, has this identity.
            continue


class Migration(migrations.Migration):
    # As in 0004: CONCURRENTLY, and every step may be run again.
    atomic = False

    dependencies = [("telemetry", "0004_identity")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(drop, undrop)],
            state_operations=[
                migrations.RemoveConstraint(model_name="ratelimitevent", name=identity.LEGACY_EVENT_IDENTITY.name)
            ],
        )
    ]
