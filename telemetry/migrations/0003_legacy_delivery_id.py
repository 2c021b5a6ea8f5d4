"""A place for the delivery ids of rows that turn out to be duplicates. Stays in the database when going back."""

from django.db import migrations, models

from telemetry.migrations._operations import AdoptField


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0002_rate_limit_events")]

    operations = [
        AdoptField(
            model_name="execution",
            name="legacy_delivery_id",
            field=models.TextField(blank=True, editable=False, null=True),
        ),
        AdoptField(
            model_name="ratelimitevent",
            name="legacy_delivery_id",
            field=models.TextField(blank=True, editable=False, null=True),
        ),
    ]
