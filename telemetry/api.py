"""Read-only REST API for telemetry: rate-limit events and executions. docs/api.md describes it for callers.

A user may read a model here who has Django's view permission for it. `telemetry.filters` has the query parameters,
`telemetry.problems` the errors.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any

from django.core.cache import caches
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.http import ConditionalGetMiddleware
from django.utils.cache import get_conditional_response, patch_cache_control, set_response_etag
from django.utils.decorators import decorator_from_middleware, method_decorator
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import authentication, permissions, serializers, throttling, viewsets
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from telemetry.fields import LegacyFloatField, LegacyIntegerField
from telemetry.filters import (
    CursorPagination,
    ExecutionFilter,
    PageQuery,
    RateLimitEventFilter,
    StrictFilterBackend,
)
from telemetry.models import Execution, RateLimitEvent
from telemetry.timeouts import database_timeout

MAX_CONCURRENT_READS = 2
"""Fewer than pages and API have threads (3, in kodiai.asgi): a store that hangs leaves one to the pages."""
READ_TIMEOUT_MS = 3000
"""For a query on PostgreSQL, and for SQLite's lock."""
TURN_SECONDS = 1.0
"""For which a request waits for one of the reads before it to end."""

_reads = BoundedSemaphore(MAX_CONCURRENT_READS)


@contextmanager
def limited_read(using: str) -> Iterator[None]:
    """Limit how many requests read a database at once, and for how long. Raises OperationalError."""
    if not _reads.acquire(timeout=TURN_SECONDS):
        raise OperationalError("too many requests are reading")
    try:
        with database_timeout(using, postgresql_ms=READ_TIMEOUT_MS, sqlite_ms=READ_TIMEOUT_MS):
            yield
    finally:
        _reads.release()


class BearerAuthentication(authentication.TokenAuthentication):
    """`Authorization: Bearer TOKEN` (RFC 6750), and `Token TOKEN`, as clients of Django REST framework send it."""

    keyword = "Bearer"

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Return the user and the token; None without a token. Raises AuthenticationFailed for an invalid one."""
        return super().authenticate(request) or authentication.TokenAuthentication().authenticate(request)


class ViewPermission(permissions.DjangoModelPermissions):
    """Require Django's view permission for the model; answer 405 to methods that are not listed here."""

    perms_map = {method: ["%(app_label)s.view_%(model_name)s"] for method in ("GET", "HEAD")}


class UserThrottle(throttling.UserRateThrottle):
    """Count requests in this process, so that a shared cache that fails does not stop the API."""

    cache = caches["throttles"]


class AnonymousThrottle(throttling.AnonRateThrottle):
    """The same by address, for the schema, which is public."""

    cache = caches["throttles"]


class LegacySerializer(serializers.ModelSerializer[Any]):
    """Rows that other programs may have written: a number that cannot be read is null."""

    def build_standard_field(self, field_name: str, model_field: Any) -> Any:
        """Return the class of a field, and its arguments."""
        field_class, options = super().build_standard_field(field_name, model_field)
        may_be_null = model_field.null or isinstance(model_field, LegacyIntegerField | LegacyFloatField)
        return field_class, {**options, "allow_null": True} if may_be_null else options


class RateLimitEventSerializer(LegacySerializer):
    created_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="First write of this identity; null if unreadable."
    )
    # Not an enumeration, because adopted tables hold other values.
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


class ExecutionSerializer(LegacySerializer):
    created_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="First write of this identity; null if unreadable."
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


class _ConditionalMiddleware(ConditionalGetMiddleware):
    """Django's, for HEAD too: these views render the body of GET, and the server leaves it out later."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if request.method == "HEAD" and isinstance(response, HttpResponse):
            set_response_etag(response)
            return get_conditional_response(request, etag=response.get("ETag"), response=response) or response
        return super().process_response(request, response)


@method_decorator(decorator_from_middleware(_ConditionalMiddleware), name="dispatch")
class ConditionalView(APIView):
    """Answers with an ETag, and 304 to who has that answer already."""

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        # Kept by who asked, and asked for again each time: then the ETag saves the body.
        patch_cache_control(response, private=True, no_cache=True)
        return response


class ReadOnlyViewSet(ConditionalView, viewsets.ReadOnlyModelViewSet[Any]):
    """Lists and rows of a model for those who may view it, page by page."""

    http_method_names = ["get", "head"]
    authentication_classes = (BearerAuthentication, authentication.SessionAuthentication)
    permission_classes = (ViewPermission,)
    throttle_classes = (UserThrottle,)
    filter_backends = (StrictFilterBackend,)
    pagination_class = CursorPagination
    lookup_value_converter = "int"

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with limited_read(self.get_queryset().db):
            return super().list(request, *args, **kwargs)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with limited_read(self.get_queryset().db):
            return super().retrieve(request, *args, **kwargs)


@extend_schema_view(
    list=extend_schema(summary="List rate-limit events", parameters=[PageQuery]),
    retrieve=extend_schema(summary="Get one rate-limit event"),
)
class RateLimitEventViewSet(ReadOnlyViewSet):
    """Cost of GitHub's rate limits to each run: one row for each delivery and event type."""

    queryset = RateLimitEvent.objects.all()
    serializer_class = RateLimitEventSerializer
    filterset_class = RateLimitEventFilter


@extend_schema_view(
    list=extend_schema(summary="List executions", parameters=[PageQuery]),
    retrieve=extend_schema(summary="Get one execution"),
)
class ExecutionViewSet(ReadOnlyViewSet):
    """How each run ended, and what it used."""

    queryset = Execution.objects.all()
    serializer_class = ExecutionSerializer
    filterset_class = ExecutionFilter
