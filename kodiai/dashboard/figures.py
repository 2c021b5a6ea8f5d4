"""The figures of the dashboard: counted in the database, by indexes, whatever the number of rows.

Figures of a range are read from indexes alone, because a run's row holds a whole report; so rows are counted with `*`,
not by an id that PostgreSQL's indexes lack. Those of now are read from partial indexes, which hold what is pending.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from statistics import quantiles
from typing import Any

from django.db import DatabaseError, InterfaceError, connections
from django.db.models import Aggregate, Count, Func, Q, QuerySet, Sum, TextField, Value
from django.db.models.functions import Right
from django.utils import timezone

from kodiai.dashboard.charts import Chart, Series
from kodiai.dashboard.ranges import Range
from reviews.models import CLAIMED, Delivery, DeliveryStatus, GitHubLimit, GitHubOutage, Review
from reviews.redaction import visible
from telemetry.models import Conclusion, DegradationPath, Execution, RateLimitEvent

MAX_DURATIONS = 2000
"""Published reviews of the range, the latest ones, of which the percentiles are taken."""
MAX_FAILURES = 500
"""Failed deliveries, the latest ones, that are grouped."""
MAX_GROUPS = 8
"""Groups of equal failures that are shown, those with most deliveries."""
MAX_DEFERRED = 5
"""Deferred deliveries that are named, those that are due first."""
MAX_PENDING = 1000
"""Runs with pending telemetry, of each kind, of which the oldest is looked for."""
MAX_MODELS = 8
"""Models that are shown, those that cost most."""
MAX_LIMITS = 30
"""Limits that are shown, those that were seen last."""
UNFINISHED = "not finished"
_ALIKE = re.compile(r"(?<=/repos/)[^/\s]+/[^/\s]+|\b[0-9a-f-]{7,}\b|\d+")
"""What differs between reasons that are equal to people: repositories, hashes, ids, numbers."""


class Column(Func):
    """The hour or the day of a time in UTC, whose first characters in ISO format are the name of its column."""

    output_field = TextField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Write it for PostgreSQL, which writes a time as text much more slowly than it cuts it off."""
        unit = "hour" if self.extra["digits"] == 13 else "day"
        template = f"date_trunc('{unit}', %(expressions)s AT TIME ZONE 'UTC')"
        return self.as_sql(compiler, connection, template=template, **context)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Write it for SQLite, whose times are text. Django's own function is Python, called for each row."""
        return self.as_sql(compiler, connection, template="substr(%(expressions)s, 1, %(digits)s)", **context)


@dataclass(frozen=True)
class Runs:
    """Deliveries and runs of the range."""

    deliveries: int
    ignored: int
    runs: int
    conclusions: dict[str, int]
    p50: float | None
    """Seconds from the webhook to the published review, of the latest `MAX_DURATIONS`."""
    p95: float | None
    measured: int
    chart: Chart

    @property
    def succeeded(self) -> float | None:
        """Share of the finished runs that failed neither in part nor whole."""
        finished = self.runs - self.conclusions.get(UNFINISHED, 0)
        bad = sum(self.conclusions.get(name, 0) for name in (Conclusion.PARTIAL, Conclusion.ERROR, Conclusion.TIMEOUT))
        return (finished - bad) / finished if finished else None


@dataclass(frozen=True)
class Limits:
    """What GitHub's limits cost the runs of the range: their rate-limit events."""

    events: int
    reasons: dict[str, int]
    """Degraded runs by reason."""
    cache_hit_rate: float | None
    chart: Chart

    @property
    def degraded(self) -> float | None:
        """Share of degraded runs."""
        return sum(self.reasons.values()) / self.events if self.events else None


@dataclass(frozen=True)
class Model:
    """What a model cost in the range."""

    name: str
    runs: int
    tokens: int
    cost: float


@dataclass(frozen=True)
class Failure:
    """Failed deliveries with equal reasons."""

    reason: str
    count: int
    first: datetime
    last: datetime
    latest: int
    """Key of the latest of them."""


@dataclass(frozen=True)
class Now:
    """How things stand."""

    due: int
    oldest_due: datetime | None
    deferred: int
    next_deferred: list[tuple[int, str, datetime]]
    running: int
    failed: int
    failures: list[Failure]
    pending_events: int
    pending_executions: int
    pending_since: datetime | None
    outages: list[GitHubOutage]

    @property
    def pending(self) -> int:
        """Telemetry rows that are not known to be stored."""
        return self.pending_events + self.pending_executions


@dataclass(frozen=True)
class Dashboard:
    """All figures. `limits` and `models` are None where the telemetry store could not be read."""

    range: Range
    runs: Runs
    now: Now
    limits: Limits | None = None
    models: list[Model] = field(default_factory=list)
    cost: float = 0.0
    problem: str = ""


def figures(span: Range) -> Dashboard:
    """Return the figures of a range, and of now."""
    runs, now = _runs(span), _now()
    try:
        models = _models(span)
        return Dashboard(span, runs, now, _limits(span), models[:MAX_MODELS], sum(model.cost for model in models))
    except (DatabaseError, InterfaceError) as error:
        return Dashboard(span, runs, now, problem=f"The telemetry store could not be read: {error}")


def _runs(span: Range) -> Runs:
    received = Delivery.objects.filter(received_at__gte=span.since, received_at__lt=span.until)
    ignored = Count("status", filter=Q(status=DeliveryStatus.IGNORED))
    deliveries = received.aggregate(received=Count("*"), ignored=ignored)
    made = Review.objects.filter(created_at__gte=span.since, created_at__lt=span.until)
    counted = _by_column(Review.objects.all(), span, "conclusion", count=Count("*"))
    cells = {(column, conclusion or UNFINISHED): count for column, conclusion, count in counted}
    conclusions: dict[str, int] = {}
    for (_, conclusion), count in cells.items():
        conclusions[conclusion] = conclusions.get(conclusion, 0) + count
    names = [name for name in (*Conclusion.values, UNFINISHED) if name in conclusions]
    kinds = {UNFINISHED: "unfinished"}
    chart = _chart("Runs by how they ended", span, names, cells, kinds)
    latest = made.filter(published_at__isnull=False).order_by("-created_at").values_list("created_at", "published_at")
    durations = sorted(
        (published - created).total_seconds() for created, published in latest[:MAX_DURATIONS] if published
    )
    p50, p95 = _percentiles(durations)
    return Runs(
        deliveries["received"], deliveries["ignored"], sum(conclusions.values()), conclusions,
        p50, p95, len(durations), chart,
    )  # fmt: skip


def _by_column(rows: QuerySet[Any], span: Range, name: str, **sums: Aggregate) -> list[tuple[Any, ...]]:
    """Group the rows of the range by their column and `name`: both, and the sums, of each group.

    SQLite sorts what it groups. So there each day is a SELECT of one UNION, which reads a part of the index and has few
    rows to sort. PostgreSQL needs no order, and plans each SELECT for longer than it groups two months.
    """
    by_day = connections[rows.db].vendor == "sqlite" and span.digits == 10
    selects = []
    for day, since, until in span.parts if by_day else [("", span.since, span.until)]:
        column = Value(day, output_field=TextField()) if by_day else Column("created_at", digits=span.digits)
        found = rows.filter(created_at__gte=since, created_at__lt=until).order_by().annotate(column=column)
        selects.append(found.values_list("column", name).annotate(**sums))
    groups = selects[0].union(*selects[1:], all=True) if by_day else selects[0]
    # Other programs write times with a T.
    return [(str(column)[: span.digits].replace("T", " "), *group) for column, *group in groups]


def _percentiles(ordered: list[float]) -> tuple[float | None, float | None]:
    if len(ordered) < 2:
        return (ordered[0], ordered[0]) if ordered else (None, None)
    cuts = quantiles(ordered, n=20, method="inclusive")
    return cuts[9], cuts[18]


def _limits(span: Range) -> Limits:
    sums = {"count": Count("*"), "rates": Sum("cache_hit_rate__readable")}
    cells: dict[tuple[str, str], int] = {}
    reasons: dict[str, int] = {}
    total, hits = 0, 0.0
    for column, reason, count, rate in _by_column(RateLimitEvent.objects.all(), span, "degradation_path", **sums):
        total += count
        hits += rate or 0.0
        if reason != DegradationPath.NONE:
            cells[column, reason] = cells.get((column, reason), 0) + count
            reasons[reason] = reasons.get(reason, 0) + count
    kinds = {DegradationPath.SEARCH_RATE_LIMIT.value: "partial", DegradationPath.SEARCH_ERROR.value: "error"}
    chart = _chart("Degraded runs by reason", span, sorted(reasons), cells, kinds)
    return Limits(total, reasons, hits / total if total else None, chart)


def _models(span: Range) -> list[Model]:
    executions = Execution.objects.filter(created_at__gte=span.since, created_at__lt=span.until).order_by()
    tokens = Sum("input_tokens__readable", default=0) + Sum("output_tokens__readable", default=0)
    cost = Sum("cost_usd__readable", default=0.0)
    sums = executions.values_list("model").annotate(runs=Count("*"), tokens=tokens, cost=cost)
    return sorted((Model(*row) for row in sums), key=lambda model: (-model.cost, -model.runs, model.name))


def _chart(
    title: str, span: Range, names: Iterable[str], cells: dict[tuple[str, str], int], kinds: dict[str, str]
) -> Chart:
    columns = span.columns
    series = []
    for name in names:
        kind = kinds.get(name, name if name in Conclusion.values else "other")
        series.append(Series(name, kind, [cells.get((column, name), 0) for column in columns]))
    return Chart(title, columns, series)


def _now() -> Now:
    moment = timezone.now()
    due = Delivery.objects.due()
    deferred = Delivery.objects.waiting().filter(queued_at__gt=moment)
    waits = deferred.order_by("queued_at").values_list("pk", "repo", "pr_number", "queued_at")[:MAX_DEFERRED]
    events, executions = Review.objects.pending_rate_limit_event(), Review.objects.pending_execution()
    # Not MIN: SQLite would walk the index of times to the first row that is pending.
    pending = [
        at for rows in (events, executions) for at in rows.order_by().values_list("created_at", flat=True)[:MAX_PENDING]
    ]
    return Now(
        due=due.count(),
        oldest_due=Delivery.objects.oldest_due(),
        deferred=deferred.count(),
        next_deferred=[(pk, f"{repo}#{number}" if number else repo, at) for pk, repo, number, at in waits if at],
        running=Review.objects.filter(CLAIMED).count(),
        failed=Delivery.objects.filter(status=DeliveryStatus.FAILED).count(),
        failures=_failures(),
        pending_events=events.count(),
        pending_executions=executions.count(),
        pending_since=min(pending, default=None),
        outages=list(GitHubOutage.objects.current()),
    )


def _failures() -> list[Failure]:
    """Return groups of failed deliveries whose reasons are equal but for names, numbers and hashes."""
    failed = Delivery.objects.filter(status=DeliveryStatus.FAILED).order_by("-pk")
    latest = failed.annotate(end=Right("failure", 300)).values_list(
        "pk", "received_at", "end", "review__conclusion_reason"
    )[:MAX_FAILURES]
    groups: dict[str, list[tuple[datetime, int, str]]] = {}
    for pk, at, end, concluded in latest:
        reason = visible((end or concluded or "no reason kept").strip().rpartition("\n")[2])
        groups.setdefault(_ALIKE.sub("…", reason), []).append((at, pk, reason))
    found = [Failure(rows[0][2][:200], len(rows), rows[-1][0], rows[0][0], rows[0][1]) for rows in groups.values()]
    return sorted(found, key=lambda failure: (-failure.count, -failure.last.timestamp()))[:MAX_GROUPS]


def github_limits() -> list[GitHubLimit]:
    """Return what is left of GitHub's limits, as last seen: those with least left first."""
    limits = list(GitHubLimit.objects.order_by("-seen_at")[:MAX_LIMITS])
    return sorted(limits, key=lambda limit: (limit.remaining / max(1, limit.limit), limit.installation_id))
