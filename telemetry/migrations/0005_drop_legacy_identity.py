"""Drop the legacy unique index on the delivery id alone: a delivery may leave a row for each of its event types.

Going back, every row is kept, but only the earliest of a delivery can keep the delivery id; the others' moves to
`legacy_delivery_id`. Going forward again, a row gets it back if no other row has taken its identity meanwhile.
"""

from django.db import migrations

from telemetry.migrations._operations import RemoveIdentity


class Migration(migrations.Migration):
    # As in 0004: CONCURRENTLY, and every step may be run again.
    atomic = False

    dependencies = [("telemetry", "0004_identity")]

    operations = [
        RemoveIdentity(
            "ratelimitevent",
            "idx_rate_limit_events_delivery",
            instead="idx_rate_limit_events_delivery_event",
        )
    ]
