"""Add what has happened to the tallies, which `/metrics` shows as counters.

Rows leave the tables at retention, and a failed run that is requeued ends again, so a count of rows falls at times; a
counter must not. Each round adds the rows of the time since the last one. A filtered UPDATE of `CountedUntil`, in the
transaction that adds, decides which of several processes does it.
"""

import json
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from reviews.models import CountedUntil, Delivery, DeliveryStatus, LanguageModelUsage, Review, Tally
from telemetry.models import Conclusion, DegradationPath

LAG = timedelta(seconds=60)
"""Age from which a row is counted: longer than a transaction is open, and than clocks of machines differ."""
MAX_RUNS = 2_000
"""Runs that are counted in one transaction."""
ROUND_SECONDS = 2.0
"""Time after which the rest is left to the next round: other periodic tasks wait."""
BUCKETS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 21600, float("inf"))
"""Upper bounds of the histogram of the time from a webhook to its published review, in seconds."""
TOKENS = ("input", "output", "cache_read", "cache_creation")
"""Kinds of a language model's tokens: the names of `reviews.engines.llm.Usage` without `_tokens`."""

COLUMNS = (
    *("conclusion", "skipped_queries", "retry_attempts", "degradation_path", "published_at", "delivery__received_at"),
    *(f"language_model_usage__{name}" for name in ("pk", "usage", "counted_at")),
)


class Ended(NamedTuple):
    """What is counted of a run that has ended: `COLUMNS` of its row."""

    conclusion: str
    skipped_queries: int
    retry_attempts: int
    degradation_path: str
    published_at: datetime | None
    received_at: datetime
    usage_pk: int | None
    usage: dict[str, Any] | None
    usage_counted_at: datetime | None


Amounts = defaultdict[tuple[str, str], float]
"""What is to be added, by metric and label."""


def add_up(seconds: float = ROUND_SECONDS) -> dict[str, int]:
    """Add deliveries and finished runs to the tallies; return how many. Start nothing more after `seconds`."""
    deadline = time.monotonic() + seconds
    deliveries, runs = _add_deliveries(), 0
    while True:
        runs += (added := _add_runs())
        if added < MAX_RUNS or time.monotonic() > deadline:
            return {"deliveries counted": deliveries, "runs counted": runs}


def _add_deliveries() -> int:
    since, until = CountedUntil.of("deliveries"), timezone.now() - LAG
    # By status for the index.
    new = Delivery.objects.filter(status__in=DeliveryStatus.values, received_at__gt=since, received_at__lte=until)
    amounts: Amounts = defaultdict(float)
    for reason, count in new.values_list("ignore_reason").annotate(Count("pk")).order_by():
        amounts[("deliveries_ignored", reason) if reason else ("deliveries_accepted", "")] += count
    return int(sum(amounts.values())) if _add("deliveries", since, until, amounts) else 0


def _add_runs() -> int:
    since, until = CountedUntil.of("runs"), timezone.now() - LAG
    new = Review.objects.filter(finished_at__gt=since, finished_at__lte=until).order_by("finished_at")
    last = new.values_list("finished_at", flat=True)[MAX_RUNS - 1 : MAX_RUNS].first()
    if last is not None:
        new, until = new.filter(finished_at__lte=last), last
    runs = [Ended(*values) for values in new.values_list(*COLUMNS)]
    amounts: Amounts = defaultdict(float)
    for run in runs:
        _count(run, amounts)
    used = [run.usage_pk for run in runs if run.usage_pk is not None and run.usage_counted_at is None]
    return len(runs) if _add("runs", since, until, amounts, used) else 0


def _count(run: Ended, amounts: Amounts) -> None:
    amounts["runs", run.conclusion] += 1
    if run.usage and run.usage_counted_at is None:
        model = f"{run.usage['provider']}:{run.usage['model']}"
        amounts["language_model_cost_usd", model] += run.usage.get("cost_usd", 0.0)
        for kind in TOKENS:
            amounts["language_model_tokens", json.dumps([model, kind])] += run.usage.get(f"{kind}_tokens", 0)
    if run.conclusion in (Conclusion.ERROR, Conclusion.TIMEOUT):
        return  # It may be requeued and end again, and its rest is counted then.
    amounts["search_queries_skipped", ""] += run.skipped_queries
    amounts["search_retries", ""] += run.retry_attempts
    if run.degradation_path != DegradationPath.NONE:
        amounts["degradations", run.degradation_path] += 1
    if run.published_at is not None:
        seconds = max(0.0, (run.published_at - run.received_at).total_seconds())
        amounts["webhook_to_published", bucket(seconds)] += 1
        amounts["webhook_to_published_sum", ""] += seconds


def bucket(seconds: float) -> str:
    """Return the upper bound of the bucket that a time belongs to, as the label of its tally."""
    return str(next(bound for bound in BUCKETS if seconds <= bound))


def _add(source: str, since: datetime, until: datetime, amounts: Amounts, used: Iterable[int] = ()) -> bool:
    """Add `amounts`; return False if another process has done so."""
    with transaction.atomic():
        if not CountedUntil.objects.filter(source=source, moment=since).update(moment=until):
            return False
        for (metric, label), amount in sorted(amounts.items()):
            if amount:
                Tally.add(metric, label, amount)
        LanguageModelUsage.objects.filter(pk__in=used).update(counted_at=timezone.now())
    return True
