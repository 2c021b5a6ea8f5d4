"""Executions in the legacy system's shape, so that its table is adopted as it is."""

import django.db.models.functions.datetime
import django.utils.timezone
from django.db import migrations, models

from telemetry.migrations._operations import AdoptModel


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        AdoptModel(
            name="Execution",
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
                ("pr_author", models.TextField(blank=True, null=True, verbose_name="author")),
                ("event_type", models.TextField(help_text="<event>.<action> of the delivery")),
                (
                    "provider",
                    models.TextField(
                        db_default="anthropic",
                        default="kodiai",
                        help_text="kodiai for the analyzers, or that of the language model",
                    ),
                ),
                ("model", models.TextField()),
                ("input_tokens", models.IntegerField(db_default=0, default=0)),
                ("output_tokens", models.IntegerField(db_default=0, default=0)),
                ("cache_read_tokens", models.IntegerField(db_default=0, default=0)),
                ("cache_creation_tokens", models.IntegerField(db_default=0, default=0)),
                ("duration_ms", models.IntegerField(db_default=0, default=0, verbose_name="duration (ms)")),
                ("cost_usd", models.FloatField(db_default=0.0, default=0.0, verbose_name="cost (USD)")),
                (
                    "conclusion",
                    models.TextField(
                        choices=[
                            ("success", "Success"),
                            ("partial", "Partial"),
                            ("skipped", "Skipped"),
                            ("superseded", "Superseded"),
                            ("error", "Error"),
                            ("timeout", "Timeout"),
                        ]
                    ),
                ),
                ("session_id", models.TextField(blank=True, null=True)),
                ("num_turns", models.IntegerField(blank=True, null=True)),
                ("stop_reason", models.TextField(blank=True, null=True)),
            ],
            options={
                "db_table": "executions",
                "ordering": ["-id"],
                "indexes": [
                    models.Index(fields=["created_at"], name="idx_executions_created_at"),
                    models.Index(fields=["repo"], name="idx_executions_repo"),
                ],
            },
        ),
    ]
