"""An index of rate-limit events by time, for the dashboard, the lists and the API. It is built without a lock."""

from django.db import migrations, models

from telemetry.migrations._operations import BuildIndexes

INDEX = models.Index(fields=["created_at", "degradation_path", "cache_hit_rate"], name="idx_rate_limit_events_created")


class Migration(migrations.Migration):
    # CREATE INDEX CONCURRENTLY runs in no transaction.
    atomic = False

    dependencies = [("telemetry", "0008_telemetry_events")]

    operations = [
        migrations.SeparateDatabaseAndState(state_operations=[migrations.AddIndex("ratelimitevent", INDEX)]),
        BuildIndexes("RateLimitEvent"),
    ]
