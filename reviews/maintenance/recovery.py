"""Recovery from dead workers, lost tasks and outages of the telemetry store.

Every function is safe at any time and in several processes at once: a filtered UPDATE decides which of them acts.
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
from reviews.models import CLAIMED, Delivery, Review
from reviews.runs.lease import expired
from reviews.runs.queues import still_queued
from reviews.runs.queues.enqueue import enqueue, queue_is_away
from reviews.runs.runner import fail_attempt
from reviews.runs.turns import asleep
from reviews.service import emit_rate_limit_event, record_finished

logger = logging.getLogger(__name__)

HANDED_OVER_AFTER = timedelta(seconds=3)
"""Age from which a delivery without a task is one that the queue did not accept, not one that was just stored."""
MAX_REQUEUED = 500
"""Waiting deliveries that one sweep looks up in the queue, the longest waiting first."""
MAX_FAILURES_IN_A_ROW = 3
"""Failed writes in a row that end a round of `flush_outbox`."""


# Runs and deliveries


def sweep() -> dict[str, int]:
    """Reschedule runs whose lease has expired, requeue deliveries whose task is lost; return how many of each."""
    return {
        "runs rescheduled": sum(map(_take_over, Review.objects.filter(expired()).select_related("delivery"))),
        "deliveries requeued": _requeue_lost(),
        "tasks of dead workers ended": _end_tasks_of_dead_workers(),
    }


def next_expiry() -> datetime | None:
    """When the next lease expires unless it is renewed; None if no run is claimed."""
    expiry: datetime | None = Review.objects.filter(CLAIMED).aggregate(next=Min("lease_expires_at"))["next"]
    return expiry


def _take_over(review: Review) -> bool:
    """Reschedule a dead worker's run, in one transaction: a sweep that dies in the middle leaves it to the next."""
    expired_claim = Review.objects.filter(
        pk=review.pk, lease_owner=review.lease_owner, lease_expires_at=review.lease_expires_at
    )
    worker = review.lease_owner
    with transaction.atomic():
        if not expired_claim.update(lease_owner=f"sweep:{get_random_string(12)}"):
            return False
        # Read again: until the claim was taken, a worker that is only slow could go on.
        review = Review.objects.select_related("delivery").get(pk=review.pk)
        logger.warning("lease expired, rescheduling the run", extra={**review.log_fields, "worker": worker})
        fail_attempt(review, f"the lease of its worker {worker} expired")
    return True


def _requeue_lost() -> int:
    """Requeue waiting deliveries whose task is lost: a worker died before it claimed the run, or the queue lost it.

    Look up those that have waited for longer than a lease, and one of each author whose deliveries have no task. A
    superfluous task is a no-op.
    """
    now = timezone.now()
    before = now - timedelta(seconds=settings.KODIAI_LEASE_SECONDS)
    waiting = (
        Delivery.objects.waiting()
        .filter(
            Q(queued_at__lt=before) & ~Q(task_id="") | Q(queued_at__lt=now - HANDED_OVER_AFTER, pk__in=asleep()),
        )
        .order_by("queued_at")[:MAX_REQUEUED]
    )
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
                logger.warning("task lost, requeueing its delivery", extra=delivery.log_fields)
                enqueue(delivery)
                queued += 1
    return queued


def _end_tasks_of_dead_workers() -> int:
    """Mark tasks of dead workers as failed: the database queue keeps them as running for ever."""
    now = timezone.now()
    before = now - timedelta(seconds=settings.KODIAI_LEASE_SECONDS)
    ended = 0
    for task in DBTaskResult.objects.running().filter(started_at__lt=before):
        at_work = Review.objects.filter(delivery__task_id=str(task.id), lease_expires_at__gte=now)
        if not at_work.exists():
            task.set_failed(LeaseLost("the lease of its worker expired"))
            ended += 1
    return ended


def remove_old_tasks() -> int:
    """Remove tasks that ended more than a day ago: the queue keeps them all, and nothing reads them."""
    old = DBTaskResult.objects.finished().filter(finished_at__lt=timezone.now() - timedelta(days=1))
    return old.delete()[0]


# Telemetry


def flush_outbox(limit: int = 500) -> int:
    """Record pending rate-limit events and executions; return how many rows were stored.

    The identity makes a second write a no-op. Repeated failures end the round, so that an outage costs it seconds.
    """
    stored = _record_each(Review.objects.pending_rate_limit_event(), emit_rate_limit_event, limit)
    return stored + _record_each(Review.objects.pending_execution(), record_finished, limit)


def _record_each(pending: QuerySet[Review], record: Callable[[Review], bool], limit: int) -> int:
    stored = failures_in_a_row = 0
    for review in pending.select_related("delivery")[:limit]:
        try:
            recorded = record(review)
        except LeaseLost:
            continue  # its claim just changed: its worker records it, or the next round does
        if recorded:
            stored, failures_in_a_row = stored + 1, 0
        elif (failures_in_a_row := failures_in_a_row + 1) == MAX_FAILURES_IN_A_ROW:
            break
    return stored
