import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reviews", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="PeriodicTask",
            fields=[
                ("name", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("due_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "held_until",
                    models.DateTimeField(blank=True, help_text="Until then no other process runs it", null=True),
                ),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, help_text="When it went well last", null=True)),
                ("outcome", models.CharField(blank=True, help_text="What it did then", max_length=255)),
                ("failed_at", models.DateTimeField(blank=True, help_text="When it failed last", null=True)),
                ("failure", models.TextField(blank=True, help_text="Why, with the traceback")),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.AddField(
            model_name="delivery",
            name="task_id",
            field=models.CharField(
                blank=True, help_text="Its latest task, as the queue calls it", max_length=64, null=True
            ),
        ),
        migrations.CreateModel(
            name="MissedDelivery",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("delivery_id", models.CharField(help_text="GitHub's guid of it, X-GitHub-Delivery", max_length=255)),
                ("event_type", models.CharField(help_text="<event>.<action>", max_length=255)),
                (
                    "delivered_at",
                    models.DateTimeField(help_text="When GitHub sent it last, as far as GitHub's list told"),
                ),
                (
                    "status_code",
                    models.PositiveIntegerField(help_text="What GitHub was answered then; 0 where nothing came back"),
                ),
                (
                    "requests",
                    models.PositiveIntegerField(default=0, help_text="Times that GitHub was asked to send it again"),
                ),
                ("requested_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name_plural": "missed deliveries",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("delivery_id", "event_type"), name="reviews_missed_delivery_identity"
                    )
                ],
            },
        ),
    ]
