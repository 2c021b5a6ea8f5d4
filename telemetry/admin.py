"""Telemetry in the admin: read-only, and fast at a million rows."""

from datetime import datetime

from django.contrib import admin
from django.utils.safestring import SafeString

from telemetry.date_ranges import DateRangeFilter
from telemetry.models import Execution, RateLimitEvent
from telemetry.read_only_admin import (
    IndexedValuesFilter,
    ReadOnlyAdmin,
    RecentValuesFilter,
    badge,
    delivery_link,
    execution_link,
    rate_limit_event_link,
    review_link,
)

Row = RateLimitEvent | Execution


class TelemetryAdmin(ReadOnlyAdmin):
    """What both tables have in common."""

    actions = None
    list_display = ("event_type", "where", "when", "ended", "why")
    # An exact match, which the identity's index answers; Django's `=` is case-insensitive and reads every row.
    search_fields = ["delivery_id__exact"]
    search_help_text = "Delivery id"

    @admin.display(description="created at")
    def recorded_at(self, row: Row) -> datetime | str:
        """Adopted SQLite files can hold times that no parser reads."""
        return row.created_at or "unreadable"

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
    list_filter = (
        "degradation_path",
        ("event_type", RecentValuesFilter),
        ("repo", IndexedValuesFilter),
        ("created_at", DateRangeFilter),
    )

    @admin.display(description="degradation")
    def ended(self, event: RateLimitEvent) -> SafeString | str:
        return badge(event.degradation_path)

    @admin.display(description="GitHub Search")
    def why(self, event: RateLimitEvent) -> str:
        rate = "unreadable" if event.cache_hit_rate is None else f"{event.cache_hit_rate * 100:.0f} %"
        parts = [f"{rate} from the cache"]
        parts += [f"{event.skipped_queries} skipped"] if event.skipped_queries else []
        parts += [f"{event.retry_attempts} retried"] if event.retry_attempts else []
        return ", ".join(parts)


@admin.register(Execution)
class ExecutionAdmin(TelemetryAdmin):
    readonly_fields = ("recorded_at", "legacy_delivery_id", "delivery", "review", "rate_limit_event")
    list_filter = (
        "conclusion",
        ("model", RecentValuesFilter),
        ("event_type", RecentValuesFilter),
        ("repo", IndexedValuesFilter),
        ("created_at", DateRangeFilter),
    )

    @admin.display(description="how it ended")
    def ended(self, execution: Execution) -> SafeString | str:
        return badge(execution.conclusion)

    @admin.display(description="what it took")
    def why(self, execution: Execution) -> str:
        duration = "unreadable" if execution.duration_ms is None else f"{execution.duration_ms / 1000:,.1f} s"
        parts = [execution.model, duration]
        parts += [f"${execution.cost_usd:,.4f}"] if execution.cost_usd else []
        return ", ".join(parts)
