"""Compare what is stored about runs with their telemetry rows, for `manage.py verify_telemetry`.

A run is the outbox of its rows, so it knows what they must say. Nothing is expected of a run whose repository turned
telemetry off, and no rate-limit event of one that ended before its enrichment. A pending row (`PENDING_…` in
`reviews.models`) is not lost: it is recorded in the next round. A row that a purge may have removed is not lost either;
whether one has cannot be known, so such a run proves nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import uuid4

from django.conf import settings
from django.db.models import Q

from reviews import enrichment
from reviews.github.client import Client
from reviews.maintenance.published_words import check_words
from reviews.models import Delivery, Review
from telemetry.models import Execution, RateLimitEvent
from telemetry.verification import Check, check_identities, check_ranges, digest, oldest_row

BATCH = 500
"""Runs that are compared with their rows at a time."""
CLOCK_SKEW = timedelta(minutes=1)
"""By which the clocks of two machines may differ."""
RUN_COLUMNS = (
    "pk",
    "delivery__delivery_id",
    "delivery__event_type",
    "repo",
    "pr_number",
    "pr_author",
    "created_at",
    "loaded_at",
    "telemetry_enabled",
    "enriched_at",
    "cache_hit_rate",
    "skipped_queries",
    "retry_attempts",
    "degradation_path",
    "rate_limit_event_recorded_at",
    "finished_at",
    "conclusion",
    "execution_recorded_at",
)
EVENT_VALUES = ("repo", "pr_number", "cache_hit_rate", "skipped_queries", "retry_attempts", "degradation_path")
EXECUTION_VALUES = ("repo", "pr_number", "pr_author", "conclusion")

Identity = tuple[str, str]


def verify(since: datetime | None, *, ask_github: bool) -> list[Check]:
    """Make all checks, over runs and rows since a time (None: all). Raises `DatabaseError` if a store cannot be read.

    `ask_github`: read published reviews; without, or if GitHub does not answer, what would be published is checked.
    """
    unique = check_identities(since)
    complete, first_write = check_rows(since, unique)
    return [
        complete,
        unique,
        check_ranges(since),
        first_write,
        check_words(since, ask_github=ask_github),
        check_search_cache(),
    ]


# Runs and rows


@dataclass(frozen=True)
class _Row:
    """A telemetry row, as far as it is compared."""

    identity: Identity
    created_at: datetime | None
    values: tuple[Any, ...]


def check_rows(since: datetime | None, unique: Check) -> tuple[Check, Check]:
    """Compare runs with their rows: whether they are there, and whether they say what the run stored.

    Rows of a run's delivery under another event type go into `unique`.
    """
    return _Comparison(oldest_row(), unique).compare(since)


class _Comparison:
    """One pass over the runs."""

    def __init__(self, purged_before: datetime, unique: Check) -> None:
        self.purged_before = purged_before
        self.unique = unique
        self.complete = Check("complete", "Every finished run has its rows.", has_data=False)
        self.first_write = Check("first-write", "The first write of a row stands.", has_data=False)
        self.runs = self.off = self.before_enrichment = self.compared = self.equal = 0
        self.older = self.overruled = 0
        self.pending = {RateLimitEvent: 0, Execution: 0}
        self.pending_since: datetime | None = None

    def compare(self, since: datetime | None) -> tuple[Check, Check]:
        for batch in _batches(since):
            identities = {(run.delivery__delivery_id, run.delivery__event_type) for run in batch}
            events = _rows(RateLimitEvent, identities, EVENT_VALUES)
            executions = _rows(Execution, identities, EXECUTION_VALUES)
            for run in batch:
                self._compare(run, events, executions)
            self._find_strays(identities, [*events.values(), *executions.values()])
        self._report()
        return self.complete, self.first_write

    def _compare(self, run: Any, events: dict[Identity, _Row], executions: dict[Identity, _Row]) -> None:
        identity = (run.delivery__delivery_id, run.delivery__event_type)
        self.runs += 1
        if not run.telemetry_enabled:
            self.off += 1
            if identity in events:
                self.complete.violate(f"{' '.join(identity)} has a rate-limit event, though telemetry is off there.")
            return
        if run.enriched_at is None:
            self.before_enrichment += 1
        elif row := self._row(run, identity, RateLimitEvent, events, run.enriched_at, run.rate_limit_event_recorded_at):
            values = tuple(getattr(run, name) for name in EVENT_VALUES)
            self._compare_values(run, row, EVENT_VALUES, values, run.rate_limit_event_recorded_at)
        if run.finished_at is not None and (
            row := self._row(run, identity, Execution, executions, run.finished_at, run.execution_recorded_at)
        ):
            values = (run.repo, run.pr_number, run.pr_author or None, run.conclusion)
            self._compare_values(run, row, EXECUTION_VALUES, values, run.execution_recorded_at)

    def _row(
        self,
        run: Any,
        identity: Identity,
        model: type[RateLimitEvent] | type[Execution],
        rows: dict[Identity, _Row],
        written_after: datetime,
        recorded_at: datetime | None,
    ) -> _Row | None:
        """Return the row that a run must have; None if it is pending, purged or lost, which is counted."""
        if recorded_at is None:
            self.pending[model] += 1
            self.pending_since = min(written_after, self.pending_since or written_after)
            return None
        row = rows.get(identity)
        if row is not None:
            self.compared += 1
            return row
        if written_after < self.purged_before:
            self.older += 1
        else:
            self.complete.violate(
                f"{' '.join(identity)} of {run.repo} has no row in {model._meta.db_table}; it was recorded "
                f"{recorded_at:%Y-%m-%d %H:%M:%S} UTC."
            )
        return None

    def _compare_values(
        self, run: Any, row: _Row, names: tuple[str, ...], values: tuple[Any, ...], recorded_at: datetime
    ) -> None:
        subject = f"{' '.join(row.identity)} of {run.repo}"
        if row.created_at is not None and row.created_at < run.created_at - CLOCK_SKEW:
            # Written by another system, or imported, before the run began: then that was the first write.
            self.overruled += 1
            return
        self.first_write.has_data = True
        ours, theirs = digest(*values), digest(*row.values)
        if ours != theirs:
            differences = ", ".join(
                f"{name} is {there!r}, was {here!r}"
                for name, here, there in zip(names, values, row.values, strict=True)
                if here != there
            )
            self.first_write.violate(f"{subject}: the row has digest {theirs}, the run {ours}: {differences}.")
        elif names is EVENT_VALUES and row.created_at is not None and row.created_at > recorded_at + CLOCK_SKEW:
            self.first_write.violate(f"{subject}: written {row.created_at}, after it was recorded {recorded_at}.")
        else:
            self.equal += 1

    def _find_strays(self, identities: set[Identity], rows: list[_Row]) -> None:
        """Find rows of these deliveries under an event type that no delivery has."""
        strays = {row.identity for row in rows} - identities
        if strays:
            known = Delivery.objects.filter(delivery_id__in={delivery_id for delivery_id, _ in strays})
            for delivery_id, event_type in sorted(strays - set(known.values_list("delivery_id", "event_type"))):
                self.unique.violate(f"{delivery_id} has a row for {event_type} too, and no run of that event type.")

    def _report(self) -> None:
        complete = self.complete
        complete.has_data = bool(self.compared)
        self.first_write.evidence.append(f"{self.equal:,} rows have the digest of what their run stored")
        complete.evidence.append(f"{self.runs:,} runs, {self.compared:,} of their rows found")
        pending = ", ".join(f"{model._meta.db_table} {count:,}" for model, count in self.pending.items() if count)
        if pending and self.pending_since is not None:
            complete.evidence.append(
                f"pending, to be recorded in the next round: {pending}; the oldest since "
                f"{self.pending_since:%Y-%m-%d %H:%M:%S} UTC"
            )
        for count, what in (
            (self.off, "runs of repositories that turned telemetry off"),
            (self.before_enrichment, "runs that ended before enrichment and owe no rate-limit event"),
            (self.older, f"rows are missing from before {self.purged_before:%Y-%m-%d %H:%M} UTC, as after a purge"),
        ):
            if count:
                complete.evidence.append(f"{count:,} {what}")
        if self.overruled:
            self.first_write.evidence.append(f"{self.overruled:,} rows were there before their run began, and stand")


def _batches(since: datetime | None) -> Iterator[list[Any]]:
    runs = Review.objects.filter(Q(finished_at__isnull=False) | Q(rate_limit_event_recorded_at__isnull=False))
    if since is not None:
        runs = runs.filter(created_at__gte=since)
    last = 0
    while batch := list(runs.filter(pk__gt=last).order_by("pk").values_list(*RUN_COLUMNS, named=True)[:BATCH]):
        yield batch
        last = batch[-1].pk


def _rows(
    model: type[RateLimitEvent] | type[Execution], identities: set[Identity], names: tuple[str, ...]
) -> dict[Identity, _Row]:
    """Return the rows of these deliveries, by identity."""
    found = model._base_manager.filter(delivery_id__in={delivery_id for delivery_id, _ in identities})
    columns = ("delivery_id", "event_type", "created_at", *names)
    return {(row[0], row[1]): _Row((row[0], row[1]), row[2], tuple(row[3:])) for row in found.values_list(*columns)}


# The Search cache


class _CountedSearch:
    """In place of GitHub's client: answers Search, and counts the calls."""

    repo = "kodiai/verification"

    def __init__(self) -> None:
        self.calls = 0

    def search_count(self, query: str) -> tuple[int, bool]:
        self.calls += 1
        return 40 + self.calls, True


def check_search_cache() -> Check:
    """Prime the Search cache, hit it, change the query, miss it: by the product's own lookup, without GitHub.

    The keys are new ones of this check and expire by themselves.
    """
    check = Check("search-cache", "The Search cache answers what it knows, and nothing else.")
    search, repo = _CountedSearch(), f"kodiai/verification-{uuid4().hex}"

    def look_up(query: str) -> tuple[str, int | None]:
        found = enrichment.look_up(cast(Client, search), repo, "verification", query)
        return ("hit" if found.hit else "miss"), found.count

    steps = {
        "prime": (look_up("is:merged author:mona"), ("miss", 41)),
        "again": (look_up("is:merged  author:MONA"), ("hit", 41)),
        "changed query": (look_up("is:merged author:octocat"), ("miss", 42)),
    }
    backend = settings.CACHES["default"]["BACKEND"].rpartition(".")[2]
    check.evidence.append(
        f"{backend}: {', '.join(f'{step}: {found}' for step, ((found, _), _) in steps.items())}; "
        f"{search.calls} searches"
    )
    for step, (found, expected) in steps.items():
        if found != expected:
            check.violate(f"{step}: expected a {expected[0]} with {expected[1]}, found a {found[0]} with {found[1]}.")
    return check
