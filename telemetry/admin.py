"""Telemetry in the admin: read-only, and fast at a million rows."""

from datetime import datetime

from django.contrib import admin
from django.utils.safestring import SafeString

from telemetry.models import Execution, RateLimitEvent
from telemetry.read_only_admin import (
    ReadOnlyAdmin,
    RecentValuesFilter,
    delivery_link,
    execution_link,
    rate_limit_event_link,
    review_link,
)

Row = RateLimitEvent | Execution


class TelemetryAdmin(ReadOnlyAdmin):
    """What both tables have in common."""

    actions = None
    # An exact match, which the identity's index answers; Django's `=` is case-insensitive and reads every row.
    search_fields = ["delivery_id__exact"]
    search_help_text = "Delivery id"

    @admin.display(description="created at", ordering="created_at")
    def recorded_at(self, row: Row) -> datetime | str:
        """Adopted SQLite files can hold times that no parser reads."""
        return row.created_at or "unreadable"

    @admin.display(description="pull request")
    def pull_request(self, row: Row) -> str:
        return row.repo if row.pr_number is None else f"{row.repo}#{row.pr_number}"

    @admin.display(description="delivery")
    def delivery(self, row: Row) -> SafeString | str:
        return delivery_link(row.delivery_id)

    @admin.display(description="review")
    def review(self, row: Row) -> SafeString | str:
        return review_link(row.delivery_id)

    @admin.display(description="rate-limit event")
    def rate_limit_event(self, row: Row) -> SafeString | str:
        return rate_limit_event_link(row.delivery_id, row.event_type)

    @admin.display(description="execution")
    def execution(self, row: Row) -> SafeString | str:
        return execution_link(row.delivery_id, row.event_type)


@admin.register(RateLimitEvent)
class RateLimitEventAdmin(TelemetryAdmin):
    readonly_fields = ("recorded_at", "legacy_delivery_id", "delivery", "review", "execution")
    list_display = (
        "id",
        "recorded_at",
        "pull_request",
        "event_type",
        "degradation_path",
        "cache_hit_rate",
        "skipped_queries",
        "retry_attempts",
        "delivery",
        "review",
        "execution",
    )
    list_filter = ("degradation_path", ("event_type", RecentValuesFilter), "created_at", ("repo", RecentValuesFilter))


@admin.register(Execution)
class ExecutionAdmin(TelemetryAdmin):
    readonly_fields = ("recorded_at", "legacy_delivery_id", "delivery", "review", "rate_limit_event")
    list_display = (
        "id",
        "recorded_at",
        "pull_request",
        "pr_author",
        "event_type",
        "conclusion",
        "provider",
        "model",
        "duration_ms",
        "cost_usd",
        "delivery",
        "review",
        "rate_limit_event",
    )
    list_filter = ("conclusion", ("event_type", RecentValuesFilter), "created_at", ("repo", RecentValuesFilter))
