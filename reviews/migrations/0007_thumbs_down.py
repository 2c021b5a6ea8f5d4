import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reviews", "0006_language_model"),
    ]

    operations = [
        migrations.CreateModel(
            name="ThumbsDown",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("comment_id", models.BigIntegerField(help_text="GitHub's number of the comment", unique=True)),
                ("repo", models.CharField(help_text="owner/name", max_length=255)),
                ("pr_number", models.BigIntegerField(verbose_name="pull request")),
                ("path", models.TextField(blank=True)),
                (
                    "rule",
                    models.CharField(
                        blank=True, help_text="Empty where no report tells of it any more", max_length=100
                    ),
                ),
                ("people", models.PositiveIntegerField(help_text="Thumbs down")),
                ("seen_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "verbose_name_plural": "thumbs down",
            },
        ),
    ]
