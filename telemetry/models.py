"""Telemetry of a run: the cost of GitHub's limits (`RateLimitEvent`) and the result (`Execution`).

Both tables have the columns of the legacy system, so that its database files are adopted in place. The identity of a
run is the pair (delivery id, event type); it is unique in each table. What had a default in the legacy tables has the
same one here (`db_default`), so that the legacy system can write to tables that Kodiai made.
"""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from telemetry.fields import LegacyDateTimeField, LegacyFloatField, LegacyIntegerField, LegacyTextField


class DegradationPath(models.TextChoices):
    """Why a run went on without an enrichment. Rows of the legacy system may hold other values."""

    NONE = "none"
    SEARCH_RATE_LIMIT = "search-api-rate-limit"
    SEARCH_ERROR = "search-api-error"


class Conclusion(models.TextChoices):
    """How a run ended. Rows of the legacy system may hold other values."""

    SUCCESS = "success"
    PARTIAL = "partial"
    SKIPPED = "skipped"
    SUPERSEDED = "superseded"
    ERROR = "error"
    TIMEOUT = "timeout"


class LegacyNamedIndex(models.Index):
    """An index whose name comes from the legacy system and may be as long as PostgreSQL allows.

    Django's own limit of 30 characters (E034) is Oracle's; keeping the legacy name means that an adopted database
    needs no rename and no second index.
    """

    max_name_length = 63


class RateLimitEvent(models.Model):
    """The cost of GitHub's limits to one run: exactly one row per delivery and event type."""

    # Time of the first write of the identity; a replay does not change it. `None` if unreadable.
    created_at = LegacyDateTimeField(default=timezone.now, db_default=Now(), editable=False)
    # NULL, not "", for a run without a webhook: NULL has no identity.
    delivery_id = LegacyTextField(null=True, blank=True)
    # Delivery id of a row that was a duplicate when the identity was introduced. Such a row has no identity.
    legacy_delivery_id = LegacyTextField(null=True, blank=True, editable=False)
    repo = LegacyTextField(help_text="owner/name")
    pr_number = LegacyIntegerField("pull request", null=True, blank=True)
    event_type = LegacyTextField(help_text="<event>.<action> of the delivery")
    cache_hit_rate = LegacyFloatField(
        help_text="Share of this run's Search lookups that the Search cache answered, 0 to 1."
    )
    skipped_queries = LegacyIntegerField(help_text="Search queries abandoned.")
    retry_attempts = LegacyIntegerField(help_text="Search retries made.")
    degradation_path = LegacyTextField(choices=DegradationPath.choices)

    class Meta:
        db_table = "rate_limit_events"
        ordering = ["-id"]
        verbose_name = "rate-limit event"
        indexes = [
            LegacyNamedIndex(fields=["repo", "created_at"], name="idx_rate_limit_events_repo_created"),
            # All that the dashboard counts of a range of time.
            models.Index(
                fields=["created_at", "degradation_path", "cache_hit_rate"], name="idx_rate_limit_events_created"
            ),
            # Lists of one reason, which few rows have.
            models.Index(
                fields=["degradation_path", "id"],
                condition=~Q(degradation_path=DegradationPath.NONE),
                name="idx_rate_limit_events_degraded",
            ),
        ]
        constraints = [
            # The identity: each delivery has one row per event type, whoever writes it and however often.
            # Rows without a delivery id have no identity and are not limited.
            models.UniqueConstraint(
                fields=["delivery_id", "event_type"],
                condition=Q(delivery_id__isnull=False),
                name="idx_rate_limit_events_delivery_event",
            ),
            models.CheckConstraint(
                condition=Q(cache_hit_rate__range=(0, 1)), name="rate_limit_events_cache_hit_rate_range"
            ),
            models.CheckConstraint(condition=Q(skipped_queries__gte=0), name="rate_limit_events_skipped_queries_range"),
            models.CheckConstraint(condition=Q(retry_attempts__gte=0), name="rate_limit_events_retry_attempts_range"),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} of {self.repo}#{self.pr_number}: {self.degradation_path}"


class Execution(models.Model):
    """One finished run: its pull request, its usage and its conclusion."""

    created_at = LegacyDateTimeField(default=timezone.now, db_default=Now(), editable=False)
    delivery_id = LegacyTextField(null=True, blank=True)
    legacy_delivery_id = LegacyTextField(null=True, blank=True, editable=False)
    repo = LegacyTextField(help_text="owner/name")
    pr_number = LegacyIntegerField("pull request", null=True, blank=True)
    pr_author = LegacyTextField("author", null=True, blank=True)
    event_type = LegacyTextField(help_text="<event>.<action> of the delivery")
    provider = LegacyTextField(
        default="kodiai", db_default="anthropic", help_text="kodiai for the analyzers, or that of the language model"
    )
    model = LegacyTextField()
    input_tokens = LegacyIntegerField(default=0, db_default=0)
    output_tokens = LegacyIntegerField(default=0, db_default=0)
    cache_read_tokens = LegacyIntegerField(default=0, db_default=0)
    cache_creation_tokens = LegacyIntegerField(default=0, db_default=0)
    duration_ms = LegacyIntegerField("duration (ms)", default=0, db_default=0)
    cost_usd = LegacyFloatField("cost (USD)", default=0.0, db_default=0.0)
    conclusion = LegacyTextField(choices=Conclusion.choices)
    # Three columns that only the legacy system wrote.
    session_id = LegacyTextField(null=True, blank=True)
    num_turns = LegacyIntegerField(null=True, blank=True)
    stop_reason = LegacyTextField(null=True, blank=True)

    class Meta:
        db_table = "executions"
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["created_at"], name="idx_executions_created_at"),
            models.Index(fields=["repo"], name="idx_executions_repo"),
        ]
        constraints = [
            # The same identity as a rate-limit event's: a run that is finished twice has one row.
            models.UniqueConstraint(
                fields=["delivery_id", "event_type"],
                condition=Q(delivery_id__isnull=False),
                name="idx_executions_delivery_event",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} of {self.repo}#{self.pr_number}: {self.conclusion}"
