"""Retention: remove old rows; by default only ignored deliveries and what schedules runs. Payloads are never stored."""

from collections.abc import Mapping
from datetime import timedelta

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from reviews.maintenance.finding_outcomes import follow_findings, remove_before
from reviews.maintenance.recovery import remove_old_tasks
from reviews.maintenance.tallies import add_up
from reviews.models import (
    PENDING_EXECUTION,
    PENDING_RATE_LIMIT_EVENT,
    Command,
    Delivery,
    DeliveryStatus,
    GitHubLimit,
    MissedDelivery,
    Review,
    Turn,
)
from telemetry.retention import purge

BATCH = 500
"""Deliveries removed in one transaction, which is how long SQLite's other writers wait."""
LIMITS_KEPT = timedelta(days=7)
"""Since they were seen. They reset within an hour; older rows are of installations that are gone."""
COUNTING_SECONDS = 120.0
"""For each count of what is not counted yet, which takes part of one as a rule."""
MAX_BATCHES = 200
"""Batches of one round."""


def retain() -> Mapping[str, int]:
    """Remove tasks that ended, and authors who had no run, for more than a day; limits that no answer has named for a
    week; and rows past their retention.

    Ignored deliveries are kept for `KODIAI_RETENTION_IGNORED_DAYS` days, everything else for `KODIAI_RETENTION_DAYS`
    (0: for ever). Keep deliveries that have not ended, runs with pending telemetry, and commands that pause or resume.
    """
    now = timezone.now()
    # Before rows are removed.
    add_up(COUNTING_SECONDS)
    follow_findings(COUNTING_SECONDS)
    Turn.objects.filter(started_at__lt=now - timedelta(days=1), used_at__lt=now - timedelta(days=1)).delete()
    GitHubLimit.objects.filter(seen_at__lt=now - LIMITS_KEPT).delete()
    removed = {"old tasks removed": remove_old_tasks(), "deliveries removed": 0}
    if settings.KODIAI_RETENTION_IGNORED_DAYS:
        before = now - timedelta(days=settings.KODIAI_RETENTION_IGNORED_DAYS)
        ignored = Delivery.objects.filter(status=DeliveryStatus.IGNORED, received_at__lt=before)
        removed["deliveries removed"] += _remove(ignored)
    if settings.KODIAI_RETENTION_DAYS:
        before = now - timedelta(days=settings.KODIAI_RETENTION_DAYS)
        # A pending check run is kept back by nothing: it is abandoned after a day.
        pending = Review.objects.filter(PENDING_RATE_LIMIT_EVENT | PENDING_EXECUTION).values("delivery")
        old = Delivery.objects.filter(
            Q(status__in=(DeliveryStatus.DONE, DeliveryStatus.FAILED), finished_at__lt=before)
            | Q(status=DeliveryStatus.IGNORED, received_at__lt=before)
        ).exclude(pk__in=pending)
        removed["deliveries removed"] += _remove(old)
        MissedDelivery.objects.filter(delivered_at__lt=before).delete()
        remove_before(before)
        removed["telemetry rows removed"] = purge(before)
    return removed


def _remove(deliveries: QuerySet[Delivery]) -> int:
    removed = 0
    for _ in range(MAX_BATCHES):
        kept = deliveries.exclude(command__in=(Command.PAUSE, Command.RESUME))
        batch = list(kept.order_by("pk").values_list("pk", flat=True)[:BATCH])
        Delivery.objects.filter(pk__in=batch).delete()
        removed += len(batch)
        if len(batch) < BATCH:
            break
    return removed
