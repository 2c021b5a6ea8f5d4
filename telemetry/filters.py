"""Query parameters of the API: filters, page size, order and cursor. What is misspelt, empty or invalid is refused."""

import re
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError as InvalidValue
from django.db.models import Model, QuerySet
from django_filters import rest_framework as filters
from django_filters.fields import IsoDateTimeField
from drf_spectacular.utils import extend_schema_field
from rest_framework import exceptions, pagination, serializers
from rest_framework.request import Request

MAX_PAGE_SIZE = 500


def text_filter(description: str, field: str | None = None) -> filters.CharFilter:
    """Match a text exactly, by default in the field of the filter's name.

    NUL is refused, because PostgreSQL cannot store it.
    """
    schema = {"type": "string", "pattern": r"^[^\u0000]+$", "description": description}
    return extend_schema_field(schema)(filters.CharFilter(field, strip=False))


def refuse_other_digits(value: Any) -> None:
    """Raise ValidationError unless a number is written as JSON does: Python also reads `1_0` and digits of others."""
    if not re.fullmatch(r"\s*-?[0-9]*\s*", str(value)):
        raise InvalidValue("Enter a whole number.", code="invalid")


class _WholeNumberField(forms.IntegerField):
    def to_python(self, value: Any) -> int | None:
        """Return the number. Raises ValidationError."""
        refuse_other_digits(value or "")
        return super().to_python(value)


class IntegerFilter(filters.NumberFilter):
    """A whole number."""

    field_class = _WholeNumberField


class _TimeField(IsoDateTimeField):
    def clean(self, value: Any) -> datetime | None:
        """Return the time in UTC. Raises ValidationError also for a time that UTC has no year for."""
        try:
            time: datetime | None = super().clean(value)
            return time and time.astimezone(UTC)
        except OverflowError:
            raise InvalidValue(self.error_messages["invalid"], code="invalid") from None


class TimeFilter(filters.IsoDateTimeFilter):
    """A time in ISO 8601; UTC without an offset."""

    field_class = _TimeField


class TelemetryFilter(filters.FilterSet):
    """Filters that both resources have."""

    repo = text_filter("Repository, as `owner/name`.")
    pr_number = IntegerFilter(help_text="Number of the pull request.")
    event_type = text_filter("`<event>.<action>` of the delivery, such as `pull_request.opened`.")
    delivery_id = text_filter("Id of the webhook delivery.")
    created_after = TimeFilter("created_at", "gte", help_text="Created at this time or later; UTC without an offset.")
    created_before = TimeFilter("created_at", "lt", help_text="Created before this time; UTC without an offset.")


class RateLimitEventFilter(TelemetryFilter):
    """Filters of rate-limit events."""

    degradation_path = text_filter(
        "`none`, `search-api-rate-limit`, `search-api-error`, or a value of an adopted table."
    )


class ExecutionFilter(TelemetryFilter):
    """Filters of executions."""

    conclusion = text_filter(
        "`success`, `partial`, `skipped`, `superseded`, `error`, `timeout`, or a value of an adopted table."
    )


class CountField(serializers.IntegerField):
    """A number in a query, in ASCII digits alone."""

    def to_internal_value(self, data: Any) -> int:
        """Return the number. Raises ValidationError."""
        try:
            refuse_other_digits(data)
        except InvalidValue:
            self.fail("invalid")
        return super().to_internal_value(data)


class PageQuery(serializers.Serializer[Any]):
    """Page size and order of a list."""

    page_size = CountField(min_value=1, max_value=MAX_PAGE_SIZE, default=50, help_text="Rows per page.")
    ordering = serializers.ChoiceField(
        ["-id", "id"], default="-id", help_text="Newest or oldest first: ids are assigned in the order of writing."
    )


class StrictFilterBackend(filters.DjangoFilterBackend):
    """Refuse a filter that is misspelt or empty, which would otherwise return every row."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Model], view: Any) -> Any:
        """Filter the rows. Raises ValidationError for unknown and empty parameters."""
        known = view.filterset_class.base_filters
        others = {*PageQuery().fields, CursorPagination.cursor_query_param}
        errors = {}
        for name, value in request.query_params.items():
            if name not in known and name not in others:
                errors[name] = ["Unknown parameter."]
            elif name in known and not value:
                errors[name] = ["A filter may not be empty."]
        if errors:
            raise exceptions.ValidationError(errors)
        return super().filter_queryset(request, queryset, view)


class CursorPagination(pagination.CursorPagination):
    """Pages that follow the id, so that rows written meanwhile are neither repeated nor skipped."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        """Return one page. Raises ValidationError for an invalid size or ordering."""
        # As a dict: in a QueryDict an empty value counts as a form field that was not filled in.
        query = PageQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        self.page_size, self.ordering = query.validated_data["page_size"], query.validated_data["ordering"]
        return super().paginate_queryset(queryset, request, view)

    def decode_cursor(self, request: Request) -> Any:
        """Return the cursor. Raises NotFound unless its position is an id."""
        cursor = super().decode_cursor(request)
        # Those that were given name a position, or an offset from the first row.
        if cursor and cursor.position is None and not cursor.offset:
            raise exceptions.NotFound(self.invalid_cursor_message)
        if cursor and cursor.position is not None and not re.fullmatch("-?[0-9]{1,20}", str(cursor.position)):
            raise exceptions.NotFound(self.invalid_cursor_message)
        return cursor

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Describe a page for the OpenAPI schema."""
        link = {"type": ["string", "null"], "format": "uri"}
        fields = {"next": link, "previous": link, "results": schema}
        return {"type": "object", "properties": fields, "required": [*fields]}
