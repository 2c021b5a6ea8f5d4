from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reviews", "0005_commands"),
    ]

    operations = [
        migrations.AddField(
            model_name="review",
            name="language_model_asked_at",
            field=models.DateTimeField(blank=True, help_text="When a budget paid for it last", null=True),
        ),
        migrations.AddField(
            model_name="review",
            name="language_model_paid",
            field=models.FloatField(
                blank=True,
                help_text="What the budgets count: the cost, or the most it can be where the provider did not tell",
                null=True,
                verbose_name="paid for the language model (USD)",
            ),
        ),
        migrations.AddField(
            model_name="review",
            name="language_model_usage",
            field=models.JSONField(
                blank=True, help_text="What the provider told: reviews.engines.llm.Usage", null=True
            ),
        ),
        migrations.AddIndex(
            model_name="review",
            index=models.Index(
                condition=models.Q(("language_model_asked_at__isnull", False)),
                fields=["language_model_asked_at"],
                name="reviews_language_model_idx",
            ),
        ),
    ]
