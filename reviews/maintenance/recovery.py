"""Recovery: what dead workers, a forgetful queue and a broken telemetry store left undone is done after all.

Every function here is safe at any time and in many processes at once: what is found is taken over with a filtered
UPDATE that one of them wins.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Min, Q, QuerySet
from django.utils import timezone
from django.utils.crypto import get_random_string
from django_tasks_db.models import DBTaskResult

from reviews.exceptions import LeaseLost
from reviews.models import Delivery, DeliveryStatus, Review
from reviews.runs.lease import expired
from reviews.runs.queues import still_queued
from reviews.runs.queues.enqueue import enqueue, queue_is_away
from reviews.runs.runner import fail_attempt
from reviews.service import emit_rate_limit_event, record_finished

logger = logging.getLogger(__name__)

HANDED_OVER_AFTER = timedelta(seconds=3)
"""After which a delivery without a task was not just stored in this moment: the queue did not take it."""
MAX_REQUEUED = 500
"""Waiting deliveries of which one sweep asks the queue, those that wait for longest first."""
MAX_FAILURES_IN_A_ROW = 3
"""Failed writes after which a round of `flush_outbox` leaves the rest to the next round."""


# Runs and deliveries


def sweep() -> dict[str, int]:
    """Put back the runs whose workers died, and queue again what the queue lost; return how many of each."""
    return {
        "runs put back": sum(map(_take_over, Review.objects.filter(expired()).select_related("delivery"))),
        "deliveries queued again": _queue_lost_again(),
        "tasks of dead workers ended": _end_tasks_of_dead_workers(),
    }


def next_expiry() -> datetime | None:
    """When the next lease runs out unless it is renewed; None where no run is claimed."""
    expiry: datetime | None = Review.objects.exclude(lease_owner="").aggregate(next=Min("lease_expires_at"))["next"]
    return expiry


def _take_over(review: Review) -> bool:
    """Put a dead worker's run back, in one transaction: a sweep that dies in the middle leaves it to the next."""
    dead = Review.objects.filter(pk=review.pk, lease_owner=review.lease_owner, lease_expires_at=review.lease_expires_at)
    worker, review.lease_owner = review.lease_owner, f"sweep:{get_random_string(12)}"
    with transaction.atomic():
        if not dead.update(lease_owner=review.lease_owner):
            return False
        logger.warning("worker gone, its run is put back", extra={**review.delivery.log_fields, "worker": worker})
        fail_attempt(review, f"its worker {worker} gave no sign of life")
    return True


def _queue_lost_again() -> int:
    """Queue waiting deliveries again whose task is gone: its worker died before it claimed the run, or the queue did.

    The queue is asked of each that has been waiting for longer than a lease, and of each that it was never given. A
    task too many is a no-op.
    """
    now = timezone.now()
    before = now - timedelta(seconds=settings.KODIAI_LEASE_SECONDS)
    waiting = Delivery.objects.filter(
        Q(queued_at__lt=before) | Q(queued_at__lt=now - HANDED_OVER_AFTER, task_id=None),
        status__in=(DeliveryStatus.RECEIVED, DeliveryStatus.QUEUED),
    ).order_by("queued_at")[:MAX_REQUEUED]
    known = still_queued([delivery.task_id for delivery in waiting if delivery.task_id], before)
    if known is None:
        return 0
    queued = 0
    for delivery in waiting:
        if delivery.task_id in known:
            continue
        if queue_is_away():
            break
        with transaction.atomic():
            unchanged = Delivery.objects.filter(pk=delivery.pk, status=delivery.status, task_id=delivery.task_id)
            if unchanged.update(queued_at=timezone.now()):
                logger.warning("task lost, its delivery is queued again", extra=delivery.log_fields)
                enqueue(delivery)
                queued += 1
    return queued


def _end_tasks_of_dead_workers() -> int:
    """Close the database queue's rows of workers that are gone: by itself it keeps them as running for ever."""
    now = timezone.now()
    before = now - timedelta(seconds=settings.KODIAI_LEASE_SECONDS)
    ended = 0
    for task in DBTaskResult.objects.running().filter(started_at__lt=before):
        at_work = Review.objects.filter(delivery__task_id=str(task.id), lease_expires_at__gte=now)
        if not at_work.exists():
            task.set_failed(LeaseLost("its worker gave no sign of life"))
            ended += 1
    return ended


def remove_old_tasks() -> int:
    """Remove tasks that ended more than a day ago: the queue keeps every one, and the inbox knows what happened."""
    old = DBTaskResult.objects.finished().filter(finished_at__lt=timezone.now() - timedelta(days=1))
    return old.delete()[0]


# Telemetry


def flush_outbox(limit: int = 500) -> int:
    """Record what finished runs and final enrichments still owe to telemetry; return how many rows were stored.

    The identity makes a second write a no-op. A store that fails again and again ends the round, so that an outage
    costs a round some seconds and not hours.
    """
    stored = _record_each(Review.objects.pending_rate_limit_event(), emit_rate_limit_event, limit)
    return stored + _record_each(Review.objects.pending_execution(), record_finished, limit)


def _record_each(pending: QuerySet[Review], record: Callable[[Review], bool], limit: int) -> int:
    stored = failures_in_a_row = 0
    for review in pending.select_related("delivery")[:limit]:
        try:
            recorded = record(review)
        except LeaseLost:
            continue  # its claim changed in this moment; it is recorded by whoever has it, or in the next round
        if recorded:
            stored, failures_in_a_row = stored + 1, 0
        elif (failures_in_a_row := failures_in_a_row + 1) == MAX_FAILURES_IN_A_ROW:
            break
    return stored
