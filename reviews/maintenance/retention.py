"""Retention: remove rows older than `KODIAI_RETENTION_DAYS`; by default none."""

from collections.abc import Mapping
from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from reviews.maintenance.recovery import remove_old_tasks
from reviews.models import (
    PENDING_EXECUTION,
    PENDING_RATE_LIMIT_EVENT,
    Command,
    Delivery,
    DeliveryStatus,
    MissedDelivery,
    Review,
)
from telemetry.retention import purge

BATCH = 500
"""Deliveries removed in one transaction, which is how long SQLite's other writers wait."""
MAX_BATCHES = 200
"""Batches of one round."""


def retain() -> Mapping[str, int]:
    """Remove rows older than `KODIAI_RETENTION_DAYS` days (0: none), and tasks that ended more than a day ago.

    Keep deliveries that have not ended, runs with pending telemetry, and commands that pause or resume.
    """
    removed = {"old tasks removed": remove_old_tasks()}
    if settings.KODIAI_RETENTION_DAYS:
        before = timezone.now() - timedelta(days=settings.KODIAI_RETENTION_DAYS)
        old = Delivery.objects.filter(
            Q(status__in=(DeliveryStatus.DONE, DeliveryStatus.FAILED), finished_at__lt=before)
            | Q(status=DeliveryStatus.IGNORED, received_at__lt=before)
        ).exclude(command__in=(Command.PAUSE, Command.RESUME))
        # A pending check run is kept back by nothing: it is abandoned after a day.
        pending = Review.objects.filter(PENDING_RATE_LIMIT_EVENT | PENDING_EXECUTION).values("delivery")
        removed["deliveries removed"] = 0
        for _ in range(MAX_BATCHES):
            batch = list(old.exclude(pk__in=pending).order_by("pk").values_list("pk", flat=True)[:BATCH])
            Delivery.objects.filter(pk__in=batch).delete()
            removed["deliveries removed"] += len(batch)
            if len(batch) < BATCH:
                break
        MissedDelivery.objects.filter(delivered_at__lt=before).delete()
        removed["telemetry rows removed"] = purge(before)
    return removed
