"""Read-only pages of the admin that stay fast at a million rows, and links between the rows of an identity."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import build_q_object_from_lookup_parameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connections
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponseBadRequest, HttpResponseNotAllowed, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.text import capfirst, slugify

from telemetry.exporting import FORMATS

MAX_ROWS = 10_000
"""Latest rows that are read for the choices of a filter."""
LOOKUPS = {"", "exact", "gte", "lt", "isnull", "year"}
"""What filters and links ask for. Others can be slow, or fail on rows that other programs wrote."""
MAX_CHOICES = 100
"""Choices of a filter."""
BEFORE, AFTER = "before", "after"
"""Parameters of a page: rows older, or newer, than the one with this id."""


class NewestFirst(ChangeList):
    """A list that pages by id, newest first: it has no last page that cannot be reached, and it counts nothing."""

    older: str | None
    """Query string of the page of older rows; None if there are none."""
    newer: str | None
    model_admin: "ReadOnlyAdmin"

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        """Return the filtered rows, of all pages."""
        for name in (BEFORE, AFTER):
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        return super().get_queryset(request, exclude_parameters)

    def get_results(self, request: HttpRequest) -> None:
        """Read one page and one row more, which shows whether another follows."""
        size = self.list_per_page
        before, after = _id_in(request, BEFORE), _id_in(request, AFTER)
        matching = self.queryset.defer(*self.model_admin.list_defer)
        if after is not None:
            found = list(matching.filter(pk__gt=after).order_by("pk")[: size + 1])
            rows, follows, has_newer = found[:size][::-1], True, len(found) > size
        else:
            page = matching if before is None else matching.filter(pk__lt=before)
            found = list(page[: size + 1])
            rows, follows, has_newer = found[:size], len(found) > size, before is not None
        self.older = self.get_query_string({BEFORE: rows[-1].pk}) if rows and follows else None
        self.newer = self.get_query_string({AFTER: rows[0].pk}) if rows and has_newer else None
        self.result_list = rows
        self.result_count = len(rows)
        self.full_result_count = None
        self.show_full_result_count = self.can_show_all = self.multi_page = False
        self.show_admin_actions = bool(rows)
        self.paginator = self.model_admin.get_paginator(request, self.queryset, size)

    @property
    def first_page(self) -> str:
        """Query string of the newest rows."""
        return self.get_query_string()


def _id_in(request: HttpRequest, name: str) -> int | None:
    try:
        return int(request.GET[name]) if name in request.GET else None
    except ValueError as error:
        raise IncorrectLookupParameters from error


class RecentValuesFilter(admin.AllValuesFieldListFilter):
    """Offer the values of the latest `MAX_ROWS` rows; the address accepts any other value too."""

    def __init__(
        self, field: Any, request: HttpRequest, params: Any, model: Any, model_admin: Any, field_path: str
    ) -> None:
        super().__init__(field, request, params, model, model_admin, field_path)
        self.lookup_choices = recent_values(model_admin.get_queryset(request), field_path)  # type: ignore[assignment]


def recent_values(rows: QuerySet[Any], column: str) -> list[Any]:
    """Return values of a column in the latest `MAX_ROWS` rows, in order and without the empty one."""
    latest = rows.order_by("-pk").values_list(column, flat=True)[:MAX_ROWS]
    return sorted(set(latest) - {""})[:MAX_CHOICES]


class IndexedValuesFilter(RecentValuesFilter):
    """The same for a column whose index is led by it."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the value."""
        if not self.used_parameters:
            return queryset
        parameters: dict[str, Any] = self.used_parameters
        try:
            return by_index(queryset, build_q_object_from_lookup_parameters(parameters))
        except (ValueError, ValidationError) as error:
            raise IncorrectLookupParameters from error


def by_index(rows: QuerySet[Any], condition: Q) -> QuerySet[Any]:
    """Filter by a condition that an index answers, for a list that shows the newest rows.

    SQLite keeps no statistics: it would read and sort all rows of a frequent value, or prefer the index of another
    condition. So it collects keys from the index first, and then reads rows in their order until the page is full.
    """
    if connections[rows.db].vendor != "sqlite":
        return rows.filter(condition)
    keys = rows.model._base_manager.using(rows.db).filter(condition).values("pk")
    return rows.filter(pk__in=keys)


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that only Kodiai writes."""

    # The order of ids is the order of time, and the only order that does not sort the whole table.
    ordering = ["-id"]
    sortable_by = ()
    show_full_result_count = False
    # Each count reads the whole table.
    show_facets = admin.ShowFacets.NEVER
    list_max_show_all = 0
    exports = True
    not_exported: tuple[str, ...] = ()
    list_defer: tuple[str, ...] = ()
    when_column = "created_at"
    change_list_template = "admin/rows.html"
    change_form_template = "admin/row.html"

    @admin.display(description="where")
    def where(self, row: Any) -> str:
        return pull_request(row.repo, row.pr_number)

    @admin.display(description="when")
    def when(self, row: Any) -> SafeString | str:
        return moment(getattr(row, self.when_column))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return NewestFirst

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        query = request.GET.copy()
        for name in (BEFORE, AFTER):
            query.pop(name, None)
        export_links = [
            {"name": name, "href": f"{self._address('export', extension)}?{query.urlencode()}"}
            for extension, (name, _, _) in FORMATS.items()
            if self.exports
        ]
        title = capfirst(self.opts.verbose_name_plural)
        return super().changelist_view(request, {"title": title, "export_links": export_links, **(extra_context or {})})

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.export)
        pattern = path("export.<str:extension>", view, name=f"{self.opts.app_label}_{self.opts.model_name}_export")
        return [pattern, *super().get_urls()] if self.exports else super().get_urls()

    def export(self, request: HttpRequest, extension: str) -> HttpResponseBase:
        """Send all rows that the list's filters select, as a file."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if extension not in FORMATS:
            raise Http404
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET"])
        _, content_type, write = FORMATS[extension]
        try:
            rows = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return HttpResponseBadRequest("The query is not one of this list.", content_type="text/plain")
        columns = [field.attname for field in self.opts.concrete_fields if field.name not in self.not_exported]
        answer = StreamingHttpResponse(write(rows.select_related(None), columns), content_type=content_type)
        answer["Content-Disposition"] = (
            f'attachment; filename="{slugify(str(self.opts.verbose_name_plural))}.{extension}"'
        )
        return answer

    def _address(self, page: str, *args: Any) -> str:
        return reverse(f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_{page}", args=args)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Return whether a query string may filter by this: a column of the table, compared with a value."""
        return lookup.partition("__")[2] in LOOKUPS and super().lookup_allowed(lookup, value, request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


# Cells


def moment(time: datetime | None) -> SafeString | str:
    """A time with seconds and zone; adopted SQLite files can hold times that no parser reads."""
    if time is None:
        return "unreadable"
    return format_html('<time datetime="{}">{}</time>', time.isoformat(), date_format(time, "DATETIME_FORMAT"))


def badge(value: str, *, text: str = "") -> SafeString | str:
    """A status, a conclusion or a degradation, in the colour of its kind."""
    return format_html('<span class="badge {}">{}</span>', BADGES.get(value, "neutral"), text or value) if value else ""


BADGES = {
    "success": "good",
    "done": "good",
    "none": "good",
    "partial": "warn",
    "queued": "busy",
    "received": "busy",
    "running": "busy",
    "waiting": "busy",
    "deferred": "warn",
    "search-api-rate-limit": "warn",
    "search-api-error": "warn",
    "error": "bad",
    "timeout": "bad",
    "failed": "bad",
}
"""Kinds of values; all others are neutral."""


def pull_request(repo: str, number: int | None) -> str:
    """A pull request as GitHub writes it."""
    return repo if number is None else f"{repo}#{number}"


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
