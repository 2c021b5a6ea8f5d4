"""`/api/v1/aggregates/…`: figures of a range of time, by repository, event type, author, model, tier and rule."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import router
from django.db.models import Count, F, FloatField, Func, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import authentication, exceptions, permissions, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from reviews.models import ReportedFinding, Review
from reviews.publishing.rule_statistics import statistics_of_rules
from telemetry import report
from telemetry.api import BearerAuthentication, ConditionalView, UserThrottle, limited_read
from telemetry.filters import CountField
from telemetry.models import Execution

MAX_DAYS = 31
"""Range of time of an answer, whose cost grows with the rows in it."""
MAX_GROUPS = 500


class RangeQuery(serializers.Serializer[Any]):
    """Range of time, and what is left out."""

    created_before = serializers.DateTimeField(
        required=False, help_text="End of the range, which is not part of it: now, unless given."
    )
    days = CountField(required=False, min_value=1, max_value=MAX_DAYS, default=7, help_text="Length of the range.")
    repo = serializers.CharField(required=False, trim_whitespace=False, help_text="Only this repository, `owner/name`.")
    limit = CountField(
        required=False, min_value=1, max_value=MAX_GROUPS, default=50, help_text="Groups, those with most runs first."
    )


class RuleQuery(RangeQuery):
    """The same for rules, which are judged over a longer time."""

    days = CountField(required=False, min_value=1, max_value=366, default=90, help_text="Length of the range.")


@dataclass(frozen=True)
class Range:
    """What an answer is about."""

    since: datetime
    until: datetime
    repo: str
    limit: int


class FiguresSerializer(serializers.Serializer[Any]):
    """Figures of a group of runs. Times are in milliseconds."""

    name = serializers.CharField()
    runs = serializers.IntegerField()
    conclusions = serializers.DictField(child=serializers.IntegerField(), help_text="Runs by conclusion.")
    duration_p50_ms = serializers.FloatField(allow_null=True, help_text="Null without runs.")
    duration_p95_ms = serializers.FloatField(allow_null=True)


class TelemetryFiguresSerializer(FiguresSerializer):
    """Figures of a group of executions and rate-limit events."""

    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    cache_read_tokens = serializers.IntegerField()
    cache_creation_tokens = serializers.IntegerField()
    cost_usd = serializers.FloatField()
    events = serializers.IntegerField(help_text="Rate-limit events.")
    degraded = serializers.DictField(child=serializers.IntegerField(), help_text="Events of degraded runs, by reason.")
    cache_hit_rate = serializers.FloatField(allow_null=True, help_text="Mean of the events; null without them.")
    skipped_queries = serializers.IntegerField()
    retry_attempts = serializers.IntegerField()


class TierFiguresSerializer(FiguresSerializer):
    """Figures of the runs for authors of a tier; the name is empty for runs that ended before it was known."""

    published = serializers.IntegerField(help_text="Runs that have published a review.")
    webhook_to_published_p50_ms = serializers.FloatField(allow_null=True, help_text="Null without published runs.")
    webhook_to_published_p95_ms = serializers.FloatField(allow_null=True)


class IntervalSerializer(serializers.Serializer[Any]):
    """A share, and its interval of 95 % (Wilson)."""

    share = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class RuleSerializer(serializers.Serializer[Any]):
    """What became of the findings of a rule."""

    engine = serializers.CharField()
    rule = serializers.CharField()
    severity = serializers.CharField(help_text="The most severe one of its findings.")
    reported = serializers.IntegerField(help_text="Findings, each once for a pull request.")
    fixed = serializers.IntegerField()
    resolved = serializers.IntegerField(help_text="By a person, and not fixed.")
    ignored = serializers.IntegerField(help_text="By a comment.")
    disliked = serializers.IntegerField(help_text="Comments with a thumbs down.")
    fixed_share = IntervalSerializer()
    unwanted_share = IntervalSerializer(help_text="Ignored or disliked.")
    proposed_for_info = serializers.BooleanField(help_text="Whether so few are fixed that `info` would do.")


class _Answer(serializers.Serializer[Any]):
    created_after = serializers.DateTimeField()
    created_before = serializers.DateTimeField()


class TelemetryAggregateSerializer(_Answer):
    results = TelemetryFiguresSerializer(many=True)


class TierAggregateSerializer(_Answer):
    results = TierFiguresSerializer(many=True)


class RuleAggregateSerializer(_Answer):
    results = RuleSerializer(many=True)


class RowPermissions(permissions.BasePermission):
    """Require what `permissions_of` of the view names for its action."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the user may view every table that the answer is made from."""
        if not request.user or not request.user.is_authenticated:
            return False
        if request.method not in ("GET", "HEAD"):
            raise exceptions.MethodNotAllowed(request.method or "")
        return request.user.has_perms(AggregateViewSet.needs.get(view.action, TELEMETRY))  # type: ignore[attr-defined]


TELEMETRY = ["telemetry.view_execution", "telemetry.view_ratelimitevent"]


class AggregateViewSet(ConditionalView, viewsets.ViewSet):
    """Figures of groups of runs. A user needs the permission to view the rows that they are made from."""

    http_method_names = ["get", "head"]
    authentication_classes = (BearerAuthentication, authentication.SessionAuthentication)
    permission_classes = (RowPermissions,)
    throttle_classes = (UserThrottle,)
    needs = {"author_tiers": ["reviews.view_review"], "rules": ["reviews.view_reportedfinding"]}
    """Permissions by action, where they are not those of telemetry."""

    @extend_schema(summary="Figures by repository", parameters=[RangeQuery], responses=TelemetryAggregateSerializer)
    @action(detail=False)
    def repositories(self, request: Request) -> Response:
        """Runs, durations, tokens, cost and degradations of each repository, from telemetry."""
        return _telemetry(request, "repo")

    @extend_schema(summary="Figures by event type", parameters=[RangeQuery], responses=TelemetryAggregateSerializer)
    @action(detail=False, url_path="event-types")
    def event_types(self, request: Request) -> Response:
        """The same of each event type."""
        return _telemetry(request, "event-type")

    @extend_schema(summary="Figures by author", parameters=[RangeQuery], responses=TelemetryAggregateSerializer)
    @action(detail=False)
    def authors(self, request: Request) -> Response:
        """The same of each author of pull requests."""
        return _telemetry(request, "author")

    @extend_schema(summary="Figures by model", parameters=[RangeQuery], responses=TelemetryAggregateSerializer)
    @action(detail=False)
    def models(self, request: Request) -> Response:
        """The same of each language model; `analyzers` where none was asked."""
        return _telemetry(request, "model")

    @extend_schema(summary="Figures by author tier", parameters=[RangeQuery], responses=TierAggregateSerializer)
    @action(detail=False, url_path="author-tiers")
    def author_tiers(self, request: Request) -> Response:
        """Runs that ended in the range by tier of the author, with the time from webhook to published review."""
        asked = range_of(request)
        runs = Review.objects.filter(finished_at__gte=asked.since, finished_at__lt=asked.until)
        if asked.repo:
            runs = runs.filter(repo=asked.repo)
        with limited_read(runs.db):
            return answer(asked, TierFiguresSerializer, _by_tier(runs.order_by()))

    @extend_schema(summary="Figures by rule", parameters=[RuleQuery], responses=RuleAggregateSerializer)
    @action(detail=False)
    def rules(self, request: Request) -> Response:
        """What became of the findings of each rule that were reported in the range, 90 days unless given."""
        asked = range_of(request, RuleQuery)
        with limited_read(ReportedFinding.objects.db):
            rules = statistics_of_rules(asked.since, asked.until, asked.repo)
        return answer(asked, RuleSerializer, rules)


def range_of(request: Request, query_of: type[RangeQuery] = RangeQuery) -> Range:
    """Read the query. Raises ValidationError, also for parameters that are unknown or empty."""
    given = request.query_params.dict()
    errors = {name: ["Unknown parameter."] for name in given if name not in query_of().fields}
    errors |= {
        name: ["A filter may not be empty."] for name, value in given.items() if not value and name not in errors
    }
    if errors:
        raise exceptions.ValidationError(errors)
    query = query_of(data=given)
    query.is_valid(raise_exception=True)
    values = query.validated_data
    until = values.get("created_before") or timezone.now()
    try:
        since = until - timedelta(days=values["days"])
    except OverflowError:
        since = datetime.min.replace(tzinfo=UTC)
    return Range(since, until, values.get("repo", ""), values["limit"])


def answer(asked: Range, figures: type[serializers.Serializer[Any]], groups: Iterable[Any]) -> Response:
    """Return the first groups, with the range that they are of."""
    results = figures(list(groups)[: asked.limit], many=True).data
    return Response({**_Answer({"created_after": asked.since, "created_before": asked.until}).data, "results": results})


def _telemetry(request: Request, grouped_by: str) -> Response:
    asked = range_of(request)
    with limited_read(router.db_for_read(Execution)):
        groups = report.groups_of(asked.since, asked.until, grouped_by, asked.repo)
    return answer(asked, TelemetryFiguresSerializer, groups)


class _Milliseconds(Func):
    """The time from the second expression to the first."""

    output_field = FloatField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(
            compiler, connection, template="(EXTRACT(EPOCH FROM %(expressions)s) * 1000)", arg_joiner=" - "
        )

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        # Not Django's own difference of times, which is Python, called for each row.
        template = "((julianday(%(expressions)s)) * 86400000.0)"
        return self.as_sql(compiler, connection, template=template, arg_joiner=") - julianday(")


def _by_tier(runs: QuerySet[Review]) -> list[dict[str, Any]]:
    groups: dict[str, dict[str, Any]] = {}
    counted = runs.values("author_tier", "conclusion").annotate(runs=Count("pk"), published=Count("published_at"))
    for row in counted:
        group = groups.setdefault(row["author_tier"], {**_NO_TIMES, "runs": 0, "conclusions": {}, "published": 0})
        group["name"] = row["author_tier"]
        group["runs"] += row["runs"]
        group["conclusions"][row["conclusion"]] = row["runs"]
        group["published"] += row["published"]
    for what, end, start in _TIMES:
        timed = runs.filter(**{f"{end}__isnull": False, f"{start}__isnull": False})
        timed = timed.annotate(group=F("author_tier"), duration_ms=_Milliseconds(F(end), F(start)))
        for name, times in report.percentiles(timed):
            groups[name] |= {
                f"{what}_p{round(100 * share)}_ms": time for share, time in zip(report.PERCENTILES, times, strict=True)
            }
    return sorted(groups.values(), key=lambda group: (-group["runs"], group["name"]))


_TIMES = (
    ("duration", "finished_at", "started_at"),
    ("webhook_to_published", "published_at", "delivery__received_at"),
)
"""Names of times, and from when to when they are."""
_NO_TIMES = {f"{what}_p{round(100 * share)}_ms": None for what, _, _ in _TIMES for share in report.PERCENTILES}
