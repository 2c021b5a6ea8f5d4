"""Read-only pages of the admin that stay fast at a million rows, and links between the rows of an identity."""

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

MAX_ROWS = 10_000
"""Rows that a page counts, pages through, or reads for the choices of a filter."""
MAX_CHOICES = 100
"""Choices of a filter."""


class AtLeast(int):
    """A lower bound, shown with a plus sign."""

    def __str__(self) -> str:
        return f"{int(self)}+"


class BoundedPaginator(Paginator):
    """Count and page through `MAX_ROWS` rows at most, so that no page counts the whole table."""

    object_list: QuerySet[Any]

    @cached_property
    def count(self) -> int:
        found = self.object_list.order_by()[: MAX_ROWS + 1].count()
        return AtLeast(MAX_ROWS) if found > MAX_ROWS else found


class RecentValuesFilter(admin.AllValuesFieldListFilter):
    """Offer the values of the latest `MAX_ROWS` rows; the address accepts any other value too."""

    def __init__(
        self, field: Any, request: HttpRequest, params: Any, model: Any, model_admin: Any, field_path: str
    ) -> None:
        super().__init__(field, request, params, model, model_admin, field_path)
        latest = model_admin.get_queryset(request).order_by("-pk").values_list(field_path, flat=True)[:MAX_ROWS]
        self.lookup_choices = sorted(set(latest))[:MAX_CHOICES]  # type: ignore[assignment]


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that only Kodiai writes."""

    # The order of ids is the order of time, and the only order that does not sort the whole table.
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


# Links. `telemetry` knows the pages of other apps by address only.


def delivery_link(delivery_id: str | None, text: str | None = None) -> SafeString | str:
    """Link to the deliveries of a delivery id."""
    return _link(text or delivery_id, "admin:reviews_delivery_changelist", q=delivery_id)


def review_link(delivery_id: str | None) -> SafeString | str:
    """Link to the review of a delivery."""
    return _link("review", "admin:reviews_review_changelist", q=delivery_id)


def rate_limit_event_link(delivery_id: str | None, event_type: str) -> SafeString | str:
    """Link to the rate-limit event of an identity."""
    page = "admin:telemetry_ratelimitevent_changelist"
    return _link("rate-limit event", page, delivery_id__exact=delivery_id, event_type=event_type)


def execution_link(delivery_id: str | None, event_type: str) -> SafeString | str:
    """Link to the execution of an identity."""
    page = "admin:telemetry_execution_changelist"
    return _link("execution", page, delivery_id__exact=delivery_id, event_type=event_type)


def _link(text: str | None, page: str, **query: Any) -> SafeString | str:
    """Link to the rows of `page` that `query` selects; a dash without a delivery id, bare text without such a page."""
    if text is None or None in query.values():
        return "-"
    try:
        return format_html('<a href="{}?{}">{}</a>', reverse(page), urlencode(query), text)
    except NoReverseMatch:
        return text
