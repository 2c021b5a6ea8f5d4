"""Telemetry over HTTP: rate-limit events and executions, read-only. docs/api.md is for those who call it.

Who may view a model in Django's permissions may read it here. Pages follow a cursor on the id, so that rows which are
written meanwhile neither repeat nor hide others. Every error is a problem of RFC 9457.
"""

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.core.cache import caches
from django.core.exceptions import ValidationError as InvalidValue
from django.db.models import Model, QuerySet
from django_filters import rest_framework as filters
from django_filters.fields import IsoDateTimeField
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import authentication, exceptions, pagination, permissions, serializers, throttling, viewsets
from rest_framework.request import Request

from telemetry.models import Execution, RateLimitEvent

MAX_PAGE_SIZE = 500


# Who may ask, and how often


class BearerAuthentication(authentication.TokenAuthentication):
    """`Authorization: Bearer TOKEN`. Source: RFC 6750."""

    keyword = "Bearer"


class MayView(permissions.DjangoModelPermissions):
    """Django's own view permission of the model. A method that is not listed here is answered with 405."""

    perms_map = {method: ["%(app_label)s.view_%(model_name)s"] for method in ("GET", "HEAD")}


class UserThrottle(throttling.UserRateThrottle):
    """Counts in this process: a shared cache that fails must not fail the API."""

    cache = caches["throttles"]


class AnonymousThrottle(throttling.AnonRateThrottle):
    """The same for the schema, which needs no authentication; by address."""

    cache = caches["throttles"]


# Filters and pages


def _text(description: str) -> filters.CharFilter:
    """An exact match. PostgreSQL's text holds no NUL, so none is accepted."""
    schema = {"type": "string", "pattern": r"^[^\u0000]+$", "description": description}
    return extend_schema_field(schema)(filters.CharFilter(strip=False))


class IntegerFilter(filters.NumberFilter):
    field_class = forms.IntegerField


class _TimeField(IsoDateTimeField):
    def clean(self, value: Any) -> datetime | None:
        """The time in UTC. Raises ValidationError also for one that has no equivalent in UTC."""
        try:
            time: datetime | None = super().clean(value)
            return time and time.astimezone(UTC)
        except OverflowError:
            raise InvalidValue(self.error_messages["invalid"], code="invalid") from None


class TimeFilter(filters.IsoDateTimeFilter):
    field_class = _TimeField


class TelemetryFilter(filters.FilterSet):
    """What both resources are filtered by."""

    repo = _text("Repository, as `owner/name`.")
    pr_number = IntegerFilter(help_text="Number of the pull request.")
    event_type = _text("`<event>.<action>` of the delivery, such as `pull_request.opened`.")
    delivery_id = _text("Id of the webhook delivery.")
    created_after = TimeFilter("created_at", "gte", help_text="Written at this time or later. UTC without an offset.")
    created_before = TimeFilter("created_at", "lt", help_text="Written before this time. UTC without an offset.")


class RateLimitEventFilter(TelemetryFilter):
    degradation_path = _text("`none`, `search-api-rate-limit`, `search-api-error`, or a word of an adopted table.")


class ExecutionFilter(TelemetryFilter):
    conclusion = _text(
        "`success`, `partial`, `skipped`, `superseded`, `error`, `timeout`, or a word of an adopted table."
    )


class PageQuery(serializers.Serializer[Any]):
    """What a page of a list is asked for with, beside filters and cursor."""

    page_size = serializers.IntegerField(min_value=1, max_value=MAX_PAGE_SIZE, default=50, help_text="Rows of a page.")
    ordering = serializers.ChoiceField(
        ["-id", "id"], default="-id", help_text="Latest or earliest first: ids are given in the order of writing."
    )


class StrictFilterBackend(filters.DjangoFilterBackend):
    """Refuses a filter that is misspelt or empty: it would answer with every row."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Model], view: Any) -> Any:
        known = view.filterset_class.base_filters
        others = {*PageQuery().fields, CursorPagination.cursor_query_param}
        errors = {}
        for name, value in request.query_params.items():
            if name not in known and name not in others:
                errors[name] = ["There is no such parameter."]
            elif name in known and not value:
                errors[name] = ["A filter may not be empty."]
        if errors:
            raise exceptions.ValidationError(errors)
        return super().filter_queryset(request, queryset, view)


class CursorPagination(pagination.CursorPagination):
    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        # A dict, because what an HTML form leaves empty counts as not given, and this is none.
        query = PageQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        self.page_size, self.ordering = query.validated_data["page_size"], query.validated_data["ordering"]
        return super().paginate_queryset(queryset, request, view)

    def decode_cursor(self, request: Request) -> Any:
        """The cursor, whose position is an id. Raises NotFound for one that this API did not give."""
        cursor = super().decode_cursor(request)
        try:
            int(cursor.position if cursor and cursor.position is not None else 0)
        except ValueError:
            raise exceptions.NotFound(self.invalid_cursor_message) from None
        return cursor

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": ["string", "null"], "format": "uri"}
        fields = {"next": link, "previous": link, "results": schema}
        return {"type": "object", "properties": fields, "required": [*fields]}


# The resources


class RateLimitEventSerializer(serializers.ModelSerializer[RateLimitEvent]):
    created_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="When this identity was first written; null where it is unreadable."
    )
    # Any text, because adopted tables hold other words than DegradationPath has.
    degradation_path = serializers.CharField(read_only=True, help_text="`none`, or why the run degraded.")

    class Meta:
        model = RateLimitEvent
        fields = (
            "id",
            "created_at",
            "delivery_id",
            "event_type",
            "repo",
            "pr_number",
            "cache_hit_rate",
            "skipped_queries",
            "retry_attempts",
            "degradation_path",
        )
        read_only_fields = fields


class ExecutionSerializer(serializers.ModelSerializer[Execution]):
    created_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="When this identity was first written; null where it is unreadable."
    )
    conclusion = serializers.CharField(read_only=True, help_text="How the run ended.")

    class Meta:
        model = Execution
        fields = (
            "id",
            "created_at",
            "delivery_id",
            "event_type",
            "repo",
            "pr_number",
            "pr_author",
            "provider",
            "model",
            "input_tokens",
            "output_tokens",
            "cache_read_tokens",
            "cache_creation_tokens",
            "duration_ms",
            "cost_usd",
            "conclusion",
        )
        read_only_fields = fields


class TelemetryViewSet(viewsets.ReadOnlyModelViewSet[Any]):
    http_method_names = ["get", "head"]
    authentication_classes = (BearerAuthentication, authentication.SessionAuthentication)
    permission_classes = (MayView,)
    throttle_classes = (UserThrottle,)
    filter_backends = (StrictFilterBackend,)
    pagination_class = CursorPagination
    lookup_value_converter = "int"


@extend_schema_view(
    list=extend_schema(summary="List rate-limit events", parameters=[PageQuery]),
    retrieve=extend_schema(summary="One rate-limit event"),
)
class RateLimitEventViewSet(TelemetryViewSet):
    """What GitHub's limits cost each run: one row for each delivery and event type."""

    queryset = RateLimitEvent.objects.all()
    serializer_class = RateLimitEventSerializer
    filterset_class = RateLimitEventFilter


@extend_schema_view(
    list=extend_schema(summary="List executions", parameters=[PageQuery]),
    retrieve=extend_schema(summary="One execution"),
)
class ExecutionViewSet(TelemetryViewSet):
    """How each run ended, and what it used."""

    queryset = Execution.objects.all()
    serializer_class = ExecutionSerializer
    filterset_class = ExecutionFilter
