from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reviews", "0003_config"),
    ]

    operations = [
        migrations.AddField(
            model_name="review",
            name="check_run_due_at",
            field=models.DateTimeField(
                blank=True, help_text="When it is told, or tried again; empty where none is owed", null=True
            ),
        ),
        migrations.AddField(
            model_name="review",
            name="check_run_posting_at",
            field=models.DateTimeField(
                blank=True, help_text="Set before it is posted: from then on GitHub may have it", null=True
            ),
        ),
        migrations.AddField(
            model_name="review",
            name="check_run_reported_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="delivery",
            name="ignore_reason",
            field=models.CharField(
                blank=True,
                choices=[
                    ("event-not-handled", "Event"),
                    ("action-not-handled", "Action"),
                    ("own-event", "Own Event"),
                    ("bot-sender", "Bot Sender"),
                    ("draft", "Draft"),
                    ("no-mention", "No Mention"),
                    ("not-a-pull-request", "Not A Pull Request"),
                    ("check-of-another-app", "Check Of Another App"),
                    ("no-pull-request", "No Pull Request"),
                ],
                max_length=32,
            ),
        ),
        migrations.AddIndex(
            model_name="review",
            index=models.Index(
                condition=models.Q(("check_run_due_at__isnull", False)),
                fields=["check_run_due_at"],
                name="reviews_owing_check_run_idx",
            ),
        ),
    ]
