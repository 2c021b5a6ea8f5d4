"""Telemetry in the admin: to be read, never changed, and usable at a million rows."""

from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from telemetry.models import Execution, RateLimitEvent

BOUND = 10_000
"""Rows that a page of the admin counts, pages through or looks at for the choices of a filter, at most."""
CHOICES = 100
"""Choices that a filter offers, at most."""

# Pages of apps that telemetry knows by address only; where there is none, the delivery id is shown without a link.
REVIEWS_PAGE = "admin:reviews_review_changelist"
DELIVERIES_PAGE = "admin:reviews_delivery_changelist"


class AtLeast(int):
    """A count that was given up on: the number with a plus sign behind it."""

    def __str__(self) -> str:
        return f"{int(self)}+"


class BoundedPaginator(Paginator):
    """Counts and pages no further than `BOUND` rows, so that no page counts the whole table."""

    object_list: QuerySet[Any]

    @cached_property
    def count(self) -> int:
        found = self.object_list.order_by()[: BOUND + 1].count()
        return AtLeast(BOUND) if found > BOUND else found


class RecentValuesFilter(admin.SimpleListFilter):
    """Choices are values that the latest `BOUND` rows have; the address takes any other value as well."""

    parameter_name: str

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        latest = model_admin.get_queryset(request).order_by("-pk").values_list(self.parameter_name, flat=True)[:BOUND]
        return [(value, value) for value in sorted(set(latest))[:CHOICES]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.parameter_name: self.value()}) if self.value() else queryset


class RepoFilter(RecentValuesFilter):
    title = "repository"
    parameter_name = "repo"


class EventTypeFilter(RecentValuesFilter):
    title = "event type"
    parameter_name = "event_type"


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that only Kodiai writes; usable at a million of them."""

    # The order of ids is the order of time, and the only one that does not sort the whole table.
    ordering = ["-id"]
    sortable_by = ["id"]
    paginator = BoundedPaginator
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class TelemetryAdmin(ReadOnlyAdmin):
    """What both tables have in common."""

    actions = None
    # An exact match, which the identity's index answers; Django's `=` would be case-insensitive and read every row.
    search_fields = ["delivery_id__exact"]
    search_help_text = "Delivery id"

    @admin.display(description="pull request")
    def pull_request(self, row: RateLimitEvent | Execution) -> str:
        return row.repo if row.pr_number is None else f"{row.repo}#{row.pr_number}"

    @admin.display(description="review")
    def review(self, row: RateLimitEvent | Execution) -> SafeString | str:
        return _link("review", REVIEWS_PAGE, q=row.delivery_id)

    @admin.display(description="delivery")
    def delivery(self, row: RateLimitEvent | Execution) -> SafeString | str:
        return _link(row.delivery_id, DELIVERIES_PAGE, q=row.delivery_id)


@admin.register(RateLimitEvent)
class RateLimitEventAdmin(TelemetryAdmin):
    readonly_fields = ("created_at", "legacy_delivery_id", "delivery", "review", "execution")
    list_display = (
        "id",
        "created_at",
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
    list_filter = ("degradation_path", EventTypeFilter, "created_at", RepoFilter)

    @admin.display(description="execution")
    def execution(self, row: RateLimitEvent) -> SafeString | str:
        return _link_to_same_identity("execution", "admin:telemetry_execution_changelist", row)


@admin.register(Execution)
class ExecutionAdmin(TelemetryAdmin):
    readonly_fields = ("created_at", "legacy_delivery_id", "delivery", "review", "rate_limit_event")
    list_display = (
        "id",
        "created_at",
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
    list_filter = ("conclusion", EventTypeFilter, "created_at", RepoFilter)

    @admin.display(description="rate-limit event")
    def rate_limit_event(self, row: Execution) -> SafeString | str:
        return _link_to_same_identity("rate-limit event", "admin:telemetry_ratelimitevent_changelist", row)


def _link_to_same_identity(text: str, page: str, row: RateLimitEvent | Execution) -> SafeString | str:
    return _link(text, page, delivery_id__exact=row.delivery_id, event_type=row.event_type)


def _link(text: str | None, page: str, **query: Any) -> SafeString | str:
    """A link to the rows of `page` that `query` finds: a dash without a delivery id, the bare text without a page."""
    if text is None or None in query.values():
        return "-"
    try:
        return format_html('<a href="{}?{}">{}</a>', reverse(page), urlencode(query), text)
    except NoReverseMatch:
        return text
