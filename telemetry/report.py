"""Figures of the telemetry tables over a range of time: rates, percentiles, limits, conclusions, tokens and cost.

Everything is summed up in the database. Duplicates that were adopted or imported (`legacy_delivery_id`) are left out:
their run has its row already.
"""

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connections
from django.db.models import Aggregate, Count, F, FloatField, Func, OuterRef, Q, QuerySet, Subquery, Sum, TextField
from django.db.models.functions import Coalesce

from telemetry.models import DegradationPath, Execution, RateLimitEvent

DAYS_BY_DAY = 92
"""Days up to which a chart has one column for each; with more it has one for each month."""
UNKNOWN = "(unknown)"
"""Group of rows without a value, such as an author, or without an execution that has one."""
PERCENTILES = (0.5, 0.95)

GROUPINGS = {"repo": "repo", "event-type": "event_type", "author": "pr_author", "model": "model"}
"""What a report can be divided by, and the column."""


@dataclass
class Figures:
    """The figures of one group, or of all rows."""

    name: str
    runs: int = 0
    conclusions: dict[str, int] = field(default_factory=dict)
    duration_p50_ms: float | None = None
    duration_p95_ms: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_creation_tokens: int = 0
    cost_usd: float = 0.0
    events: int = 0
    degraded: dict[str, int] = field(default_factory=dict)
    """Events of degraded runs, by reason."""
    cache_hit_rate: float | None = None
    """Mean of the events."""
    skipped_queries: int = 0
    retry_attempts: int = 0

    @property
    def degraded_share(self) -> float | None:
        """Share of the events whose run was degraded."""
        return sum(self.degraded.values()) / self.events if self.events else None


@dataclass
class Period:
    """A day, or a month, of the range."""

    name: str
    conclusions: dict[str, int] = field(default_factory=dict)
    cost_usd: float = 0.0
    events: int = 0
    degraded: int = 0


@dataclass(frozen=True)
class Report:
    """The telemetry of a range of time."""

    since: datetime | None
    until: datetime
    grouped_by: str | None
    total: Figures
    groups: list[Figures]
    """The groups, those with most runs first."""
    periods: list[Period]
    """Days, or months with rows, in order."""

    @property
    def is_empty(self) -> bool:
        """Return whether there are no rows in the range."""
        return not self.total.runs and not self.total.events


def build(since: datetime | None, until: datetime, grouped_by: str | None = None) -> Report:
    """Sum up the rows created from `since` until `until`; all if `since` is None. `grouped_by` is of `GROUPINGS`."""
    executions, events = _rows(since, until)
    by_day = since is not None and until - since <= timedelta(days=DAYS_BY_DAY)
    groups = [] if grouped_by is None else _groups(executions, events, grouped_by)
    everything = Func(template="'all'", output_field=TextField())
    total = _figures(executions.annotate(group=everything), events.annotate(group=everything))
    return Report(
        since,
        until,
        grouped_by,
        total[0] if total else Figures("all"),
        groups,
        _periods(executions, events, since if by_day else None, until),
    )


def groups_of(since: datetime, until: datetime, grouped_by: str, repo: str = "") -> list[Figures]:
    """Return the figures of each group, those with most runs first; only of `repo` (owner/name) if that is given."""
    executions, events = _rows(since, until)
    if repo:
        executions, events = executions.filter(repo=repo), events.filter(repo=repo)
    return _groups(executions, events, grouped_by)


def _rows(since: datetime | None, until: datetime) -> tuple[QuerySet[Any], QuerySet[Any]]:
    in_range = Q(legacy_delivery_id__isnull=True)
    if since is not None:
        # Without it, rows whose time cannot be read belong to the report too.
        in_range &= Q(created_at__gte=since, created_at__lt=until)
    return Execution.objects.filter(in_range).order_by(), RateLimitEvent.objects.filter(in_range).order_by()


def _groups(executions: QuerySet[Any], events: QuerySet[Any], grouped_by: str) -> list[Figures]:
    column = GROUPINGS[grouped_by]
    return _figures(
        executions.annotate(group=Coalesce(F(f"{column}__readable"), _unknown(), output_field=TextField())),
        events.annotate(group=_group_of_event(column)),
    )


def _unknown() -> Func:
    # As SQL, not as a parameter: PostgreSQL takes two parameters in SELECT and GROUP BY for two expressions.
    return Func(template=f"'{UNKNOWN}'", output_field=TextField())


def _group_of_event(column: str) -> Coalesce:
    """The group of an event: what only executions have is that of the same identity."""
    if column in ("repo", "event_type"):
        return Coalesce(F(f"{column}__readable"), _unknown(), output_field=TextField())
    same = Execution.objects.filter(delivery_id=OuterRef("delivery_id"), event_type=OuterRef("event_type")).order_by()
    return Coalesce(Subquery(same.values(f"{column}__readable")[:1]), _unknown(), output_field=TextField())


def _figures(executions: QuerySet[Any], events: QuerySet[Any]) -> list[Figures]:
    groups: dict[str, Figures] = {}

    def group(name: str) -> Figures:
        return groups.setdefault(name, Figures(name))

    sums = {
        name: Sum(f"{name}__readable")
        for name in ("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens", "cost_usd")
    }
    for row in executions.values("group", "conclusion").annotate(runs=Count("pk"), **sums):
        figures = group(row["group"])
        figures.runs += row["runs"]
        _add(figures.conclusions, row["conclusion"], row["runs"])
        for name in sums:
            setattr(figures, name, getattr(figures, name) + (row[name] or 0))
    for name, durations in percentiles(executions.filter(duration_ms__readable__isnull=False)):
        group(name).duration_p50_ms, group(name).duration_p95_ms = durations
    found = events.values("group", "degradation_path").annotate(
        events=Count("pk"),
        rated=Count("cache_hit_rate__readable"),
        rates=Sum("cache_hit_rate__readable"),
        skipped=Sum("skipped_queries__readable"),
        retries=Sum("retry_attempts__readable"),
    )
    rated: Counter[str] = Counter()
    for row in found:
        figures = group(row["group"])
        if row["rated"]:
            known = rated[figures.name] * (figures.cache_hit_rate or 0.0)
            rated[figures.name] += row["rated"]
            figures.cache_hit_rate = (known + row["rates"]) / rated[figures.name]
        figures.events += row["events"]
        figures.skipped_queries += row["skipped"] or 0
        figures.retry_attempts += row["retries"] or 0
        if row["degradation_path"] != DegradationPath.NONE:
            _add(figures.degraded, row["degradation_path"], row["events"])
    return sorted(groups.values(), key=lambda figures: (-figures.runs, -figures.events, figures.name))


def _add(counts: dict[str, int], name: str, count: int) -> None:
    """Add to the count of a name, which several values that are no text may be read as."""
    counts[name] = counts.get(name, 0) + count


# Percentiles


class _Percentile(Aggregate):
    """PostgreSQL's `percentile_cont`."""

    function = "percentile_cont"
    template = "%(function)s(%(fraction)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


def percentiles(executions: QuerySet[Any]) -> Iterable[tuple[str, tuple[float, ...]]]:
    """Yield each `group` of the rows with its `PERCENTILES` of `duration_ms`."""
    connection = connections[executions.db]
    if connection.vendor == "postgresql":
        wanted = {f"p{index}": _Percentile("duration_ms", fraction=f) for index, f in enumerate(PERCENTILES)}
        for row in executions.values("group").annotate(**wanted):
            yield row["group"], tuple(row[name] for name in wanted)
        return
    # SQLite has no such function. Its window functions sort all rows twice, which takes three times as long.
    durations: dict[str, array[float]] = {}
    for name, duration in executions.values_list("group", "duration_ms").iterator():
        durations.setdefault(name, array("d")).append(duration)
    for name, values in durations.items():
        ordered = sorted(values)
        yield name, tuple(_interpolated(ordered, fraction * (len(ordered) - 1)) for fraction in PERCENTILES)


def _interpolated(ordered: list[float], position: float) -> float:
    """Return the value at a position between two values, as `percentile_cont` does."""
    below = int(position)
    above = ordered[min(below + 1, len(ordered) - 1)]
    return ordered[below] + (above - ordered[below]) * (position - below)


# Periods


class _Date(Func):
    """The date of a time in UTC, as text, up to the day or the month."""

    output_field = TextField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        date = "left(to_char(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD'), %(length)s)"
        return self.as_sql(compiler, connection, template=date, **context)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        # Times are text there. Django's own function is Python, called for each row.
        return self.as_sql(compiler, connection, template="substr(%(expressions)s, 1, %(length)s)", **context)


def _periods(executions: QuerySet[Any], events: QuerySet[Any], since: datetime | None, until: datetime) -> list[Period]:
    """Return each day from `since` on, also those without rows; without `since` each month that has rows."""
    date = _Date(F("created_at__readable"), length=7 if since is None else 10)
    periods: dict[str, Period] = {}

    def period(name: str | None) -> Period:
        return periods.setdefault(name or UNKNOWN, Period(name or UNKNOWN))

    if since is not None:
        for day in range((until.date() - since.date()).days + 1):
            period((since.date() + timedelta(days=day)).isoformat())
    runs = executions.annotate(date=date).values("date", "conclusion")
    for row in runs.annotate(runs=Count("pk"), cost=Sum("cost_usd__readable")):
        _add(period(row["date"]).conclusions, row["conclusion"], row["runs"])
        period(row["date"]).cost_usd += row["cost"] or 0
    degraded = Count("pk", filter=~Q(degradation_path=DegradationPath.NONE))
    for row in events.annotate(date=date).values("date").annotate(events=Count("pk"), degraded=degraded):
        period(row["date"]).events = row["events"]
        period(row["date"]).degraded = row["degraded"]
    return sorted(periods.values(), key=lambda each: each.name)
