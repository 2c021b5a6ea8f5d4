"""Retention: what is older than the operator wants to keep is removed; by default nothing is."""

from collections.abc import Mapping
from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from reviews.maintenance.recovery import remove_old_tasks
from reviews.models import Command, Delivery, DeliveryStatus, MissedDelivery
from telemetry.retention import purge

BATCH = 500
"""Deliveries removed in one transaction: SQLite's other writers wait for no more than that."""
MAX_BATCHES = 200
"""Batches of one round. The next round goes on."""


def retain() -> Mapping[str, int]:
    """Remove what is older than `KODIAI_RETENTION_DAYS` days (0: nothing), and the queue's rows of yesterday.

    Of the inbox only what has ended goes, and no run that still owes telemetry. What paused a pull request stays.
    """
    removed = {"old tasks removed": remove_old_tasks()}
    if settings.KODIAI_RETENTION_DAYS:
        before = timezone.now() - timedelta(days=settings.KODIAI_RETENTION_DAYS)
        old = Delivery.objects.filter(
            Q(status__in=(DeliveryStatus.DONE, DeliveryStatus.FAILED), finished_at__lt=before)
            | Q(status=DeliveryStatus.IGNORED, received_at__lt=before)
        ).exclude(command__in=(Command.PAUSE, Command.RESUME))
        pending = Q(review__telemetry_enabled=True) & (
            Q(review__execution_recorded_at__isnull=True, review__finished_at__isnull=False)
            | Q(review__rate_limit_event_recorded_at__isnull=True, review__enriched_at__isnull=False)
        )
        removed["deliveries removed"] = 0
        for _ in range(MAX_BATCHES):
            batch = list(old.exclude(pending).order_by("pk").values_list("pk", flat=True)[:BATCH])
            Delivery.objects.filter(pk__in=batch).delete()
            removed["deliveries removed"] += len(batch)
            if len(batch) < BATCH:
                break
        MissedDelivery.objects.filter(delivered_at__lt=before).delete()
        removed["telemetry rows removed"] = purge(before)
    return removed
