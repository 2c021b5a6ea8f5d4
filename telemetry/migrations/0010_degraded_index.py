"""An index of degraded runs' events by reason: the rows of the others, which are most, are not in it."""

from django.db import migrations, models

from telemetry.migrations._operations import BuildIndexes

INDEX = models.Index(
    fields=["degradation_path", "id"],
    condition=models.Q(("degradation_path", "none"), _negated=True),
    name="idx_rate_limit_events_degraded",
)


class Migration(migrations.Migration):
    # CREATE INDEX CONCURRENTLY runs in no transaction.
    atomic = False

    dependencies = [("telemetry", "0009_time_index")]

    operations = [
        migrations.SeparateDatabaseAndState(state_operations=[migrations.AddIndex("ratelimitevent", INDEX)]),
        BuildIndexes("RateLimitEvent"),
    ]
