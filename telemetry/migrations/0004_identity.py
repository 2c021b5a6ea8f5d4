"""Make the identity, (delivery id, event type), unique in both tables. The legacy index stays until 0005."""

from django.db import migrations
from django.db.models import Q, UniqueConstraint

from telemetry.migrations._operations import AddIdentity, BuildIndexes


class Migration(migrations.Migration):
    # PostgreSQL builds an index CONCURRENTLY only outside a transaction. Every step may be run again.
    atomic = False

    dependencies = [("telemetry", "0003_legacy_delivery_id")]

    operations = [
        AddIdentity(
            "ratelimitevent",
            UniqueConstraint(
                fields=["delivery_id", "event_type"],
                condition=Q(delivery_id__isnull=False),
                name="idx_rate_limit_events_delivery_event",
            ),
            instead="idx_rate_limit_events_delivery",
        ),
        AddIdentity(
            "execution",
            UniqueConstraint(
                fields=["delivery_id", "event_type"],
                condition=Q(delivery_id__isnull=False),
                name="idx_executions_delivery_event",
            ),
        ),
        BuildIndexes("ratelimitevent"),
        BuildIndexes("execution"),
    ]
