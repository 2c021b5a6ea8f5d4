import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

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
        migrations.CreateModel(
            name="Delivery",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "delivery_id",
                    models.CharField(help_text="X-GitHub-Delivery: opaque, not always a UUID", max_length=255),
                ),
                ("event", models.CharField(help_text="X-GitHub-Event", max_length=255)),
                ("event_type", models.CharField(help_text="<event>.<action>", max_length=255)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("received", "Received"),
                            ("queued", "Queued"),
                            ("running", "Running"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                            ("ignored", "Ignored"),
                        ],
                        default="received",
                        max_length=16,
                    ),
                ),
                (
                    "ignore_reason",
                    models.CharField(
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
                ("repo", models.CharField(blank=True, help_text="owner/name", max_length=255)),
                ("pr_number", models.BigIntegerField(blank=True, null=True)),
                ("installation_id", models.BigIntegerField(blank=True, null=True)),
                (
                    "head_sha",
                    models.CharField(blank=True, help_text="Head commit at the time of the event", max_length=64),
                ),
                ("sender", models.CharField(blank=True, max_length=255)),
                ("addressed", models.BooleanField(default=False, help_text="Somebody asked for Kodiai by name")),
                (
                    "command",
                    models.CharField(
                        blank=True,
                        help_text="The word after the mention in a comment, known or not",
                        max_length=32,
                        null=True,
                    ),
                ),
                (
                    "comment_id",
                    models.BigIntegerField(blank=True, help_text="The comment that mentions Kodiai", null=True),
                ),
                (
                    "thread_id",
                    models.BigIntegerField(
                        blank=True, help_text="The comment that began its thread on lines", null=True
                    ),
                ),
                ("failure", models.TextField(blank=True, help_text="Why the last attempt failed, with its traceback")),
                ("received_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "queued_at",
                    models.DateTimeField(blank=True, help_text="When its latest task was to run first", null=True),
                ),
                (
                    "task_id",
                    models.CharField(
                        blank=True, help_text="Its latest task, as the queue calls it", max_length=64, null=True
                    ),
                ),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name_plural": "deliveries",
                "indexes": [models.Index(fields=["status", "received_at"], name="reviews_delivery_status_idx")],
                "constraints": [
                    models.UniqueConstraint(fields=("delivery_id", "event_type"), name="reviews_delivery_identity"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ["received", "queued", "running", "done", "failed", "ignored"])
                        ),
                        name="reviews_delivery_status",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="IgnoredFinding",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("repo", models.CharField(help_text="owner/name", max_length=255)),
                (
                    "content_hash",
                    models.CharField(
                        help_text="What was found: a digest of rule, message and the line's own text", max_length=32
                    ),
                ),
                (
                    "rule",
                    models.CharField(
                        blank=True, help_text="Empty where no report tells of it any more", max_length=100
                    ),
                ),
                ("message", models.TextField(blank=True)),
                ("path", models.TextField(blank=True, help_text="Where it was when it was ignored")),
                ("pr_number", models.BigIntegerField(verbose_name="pull request")),
                ("ignored_by", models.CharField(max_length=255)),
                ("ignored_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("repo", "content_hash"), name="reviews_ignored_finding")
                ],
            },
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
        migrations.CreateModel(
            name="Review",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("repo", models.CharField(help_text="owner/name", max_length=255)),
                ("pr_number", models.BigIntegerField(verbose_name="pull request")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "lease_owner",
                    models.CharField(blank=True, help_text="The claim under which it is run", max_length=100),
                ),
                ("lease_expires_at", models.DateTimeField(blank=True, null=True)),
                (
                    "attempts",
                    models.PositiveIntegerField(default=0, help_text="Attempts that failed; a deferral is not one"),
                ),
                (
                    "deferred_since",
                    models.DateTimeField(blank=True, help_text="When GitHub's limits put it off first", null=True),
                ),
                ("deferred_until", models.DateTimeField(blank=True, null=True)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                (
                    "command_applied_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When pause, resume or ignore took effect, in the same transaction",
                        null=True,
                    ),
                ),
                (
                    "answering_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="Set before the comment is answered: from then on GitHub may have the answer",
                        null=True,
                    ),
                ),
                ("answered_at", models.DateTimeField(blank=True, null=True)),
                ("loaded_at", models.DateTimeField(blank=True, null=True)),
                ("head_sha", models.CharField(blank=True, max_length=64)),
                ("pr_author", models.CharField(blank=True, max_length=255)),
                ("telemetry_enabled", models.BooleanField(default=True)),
                (
                    "config",
                    models.JSONField(
                        blank=True,
                        help_text="What .kodiai.yml settled then, where it differs: reviews.config.repository",
                        null=True,
                    ),
                ),
                ("enriched_at", models.DateTimeField(blank=True, null=True)),
                (
                    "author_tier",
                    models.CharField(
                        blank=True,
                        choices=[("first-time", "First Time"), ("regular", "Regular"), ("core", "Core")],
                        max_length=16,
                    ),
                ),
                ("cache_hit_rate", models.FloatField(default=0.0, help_text="0..1")),
                ("skipped_queries", models.IntegerField(default=0)),
                ("retry_attempts", models.IntegerField(default=0)),
                (
                    "degradation_path",
                    models.CharField(
                        choices=[
                            ("none", "None"),
                            ("search-api-rate-limit", "Search Rate Limit"),
                            ("search-api-error", "Search Error"),
                        ],
                        default="none",
                        max_length=64,
                    ),
                ),
                ("rate_limit_event_tried_at", models.DateTimeField(blank=True, null=True)),
                ("rate_limit_event_recorded_at", models.DateTimeField(blank=True, null=True)),
                ("analysed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "report",
                    models.JSONField(
                        blank=True, help_text="What the engines found: reviews.findings.Report", null=True
                    ),
                ),
                (
                    "language_model_asked_at",
                    models.DateTimeField(blank=True, help_text="When a budget paid for it last", null=True),
                ),
                (
                    "language_model_paid",
                    models.FloatField(
                        blank=True,
                        help_text="What the budgets count: the cost, or its upper bound where none was reported",
                        null=True,
                        verbose_name="paid for the language model (USD)",
                    ),
                ),
                (
                    "language_model_usage",
                    models.JSONField(
                        blank=True, help_text="What the provider told: reviews.engines.llm.Usage", null=True
                    ),
                ),
                (
                    "publishing_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="Set before the review is posted: from then on GitHub may have it",
                        null=True,
                    ),
                ),
                ("published_at", models.DateTimeField(blank=True, null=True)),
                ("github_review_id", models.BigIntegerField(blank=True, null=True)),
                ("github_review_url", models.CharField(blank=True, max_length=1024)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "conclusion",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("success", "Success"),
                            ("partial", "Partial"),
                            ("skipped", "Skipped"),
                            ("superseded", "Superseded"),
                            ("error", "Error"),
                            ("timeout", "Timeout"),
                        ],
                        max_length=16,
                    ),
                ),
                ("conclusion_reason", models.TextField(blank=True)),
                ("execution_recorded_at", models.DateTimeField(blank=True, null=True)),
                (
                    "check_run_due_at",
                    models.DateTimeField(
                        blank=True, help_text="When it is told, or tried again; empty where none is owed", null=True
                    ),
                ),
                (
                    "check_run_posting_at",
                    models.DateTimeField(
                        blank=True, help_text="Set before it is posted: from then on GitHub may have it", null=True
                    ),
                ),
                ("check_run_reported_at", models.DateTimeField(blank=True, null=True)),
                (
                    "delivery",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="review", to="reviews.delivery"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("lease_owner", ""), _negated=True),
                        fields=["lease_expires_at"],
                        name="reviews_lease_idx",
                    ),
                    models.Index(fields=["repo", "pr_number"], name="reviews_review_pull_idx"),
                    models.Index(
                        condition=models.Q(
                            ("enriched_at__isnull", False),
                            ("rate_limit_event_recorded_at__isnull", True),
                            ("telemetry_enabled", True),
                        ),
                        fields=["rate_limit_event_tried_at", "id"],
                        name="reviews_owing_event_idx",
                    ),
                    models.Index(
                        condition=models.Q(
                            ("execution_recorded_at__isnull", True),
                            ("finished_at__isnull", False),
                            ("telemetry_enabled", True),
                        ),
                        fields=["id"],
                        name="reviews_owing_execution_idx",
                    ),
                    models.Index(
                        condition=models.Q(("check_run_due_at__isnull", False)),
                        fields=["check_run_due_at"],
                        name="reviews_owing_check_run_idx",
                    ),
                    models.Index(
                        condition=models.Q(("language_model_asked_at__isnull", False)),
                        fields=["language_model_asked_at"],
                        name="reviews_language_model_idx",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("lease_owner", ""), _negated=True),
                        fields=("repo", "pr_number"),
                        name="reviews_one_run_per_pull_request",
                    )
                ],
            },
        ),
    ]
