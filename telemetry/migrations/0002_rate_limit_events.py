"""Rate-limit events in the legacy system's shape, so that its table is adopted as it is.

The range checks are part of the new table from the start, because on SQLite they cannot be added without building the
table anew. What an adopted table lacks is made up for in 0006.
"""

import django.db.models.functions.datetime
import django.utils.timezone
from django.db import migrations, models

from telemetry.migrations._operations import AdoptModel
from telemetry.models import LegacyNamedIndex


class Migration(migrations.Migration):
    # The second of two: a legacy database of before rate-limit telemetry has only the table of 0001.
    initial = True

    dependencies = [("telemetry", "0001_executions")]

    operations = [
        AdoptModel(
            name="RateLimitEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        default=django.utils.timezone.now,
                        editable=False,
                    ),
                ),
                ("delivery_id", models.TextField(blank=True, null=True)),
                ("repo", models.TextField(help_text="owner/name")),
                ("pr_number", models.IntegerField(blank=True, null=True, verbose_name="pull request")),
                ("event_type", models.TextField(help_text="<event>.<action> of the delivery")),
                (
                    "cache_hit_rate",
                    models.FloatField(
                        help_text="Share of this run's Search lookups that the Search cache answered, 0 to 1."
                    ),
                ),
                ("skipped_queries", models.IntegerField(help_text="Search queries abandoned.")),
                ("retry_attempts", models.IntegerField(help_text="Search retries made.")),
                (
                    "degradation_path",
                    models.TextField(
                        choices=[
                            ("none", "None"),
                            ("search-api-rate-limit", "Search Rate Limit"),
                            ("search-api-error", "Search Error"),
                        ]
                    ),
                ),
            ],
            options={
                "verbose_name": "rate-limit event",
                "db_table": "rate_limit_events",
                "ordering": ["-id"],
                "indexes": [LegacyNamedIndex(fields=["repo", "created_at"], name="idx_rate_limit_events_repo_created")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("delivery_id__isnull", False)),
                        fields=("delivery_id",),
                        name="idx_rate_limit_events_delivery",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("cache_hit_rate__range", (0, 1))),
                        name="rate_limit_events_cache_hit_rate_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("skipped_queries__gte", 0)),
                        name="rate_limit_events_skipped_queries_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("retry_attempts__gte", 0)),
                        name="rate_limit_events_retry_attempts_range",
                    ),
                ],
            },
        ),
    ]
