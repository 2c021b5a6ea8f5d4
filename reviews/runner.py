"""What becomes of a run: it is claimed, put back where it has to wait, given up where nothing helps."""

import logging
import os
import random
import socket
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.crypto import get_random_string
from django_tasks_db.models import DBTaskResult

from reviews.github import RateLimited
from reviews.lease import claim, expired, renewed
from reviews.models import Delivery, DeliveryStatus, LeaseLost, Review
from reviews.payloads import INSTALLATION_EVENTS
from reviews.service import emit_rate_limit_event, finish, record_finished, run_review
from reviews.tasks import enqueue
from telemetry.models import Conclusion

logger = logging.getLogger(__name__)

SWEEP_LEASE = timedelta(seconds=30)
"""For which a sweep holds a run that it puts back; should it die too, the next sweep takes over."""
FORGOTTEN_AFTER = 5
"""Leases after which a delivery that waits for nothing is queued again."""
LONGEST_BACKOFF = 300.0
"""Seconds between two attempts of a run at the most."""
MOST_FAILURES_IN_A_ROW = 3
"""Failed writes after which a round of `record_owed` leaves the rest to the next round."""


def process(delivery_pk: int) -> None:
    """Act on a queued delivery. What a worker does with a task; the edge at which every exception ends.

    Of several workers with the same delivery one gets its claim and goes on; the others return.
    """
    delivery = Delivery.objects.get(pk=delivery_pk)
    if delivery.event in INSTALLATION_EVENTS:
        handle_installation(delivery)
        return
    try:
        review = claim(delivery_pk, f"{socket.gethostname()}:{os.getpid()}")
    except IntegrityError:
        # Another run of this pull request is under way. This one comes after it.
        enqueue(delivery, run_after=timezone.now() + timedelta(seconds=random.uniform(1, 3)))
        return
    if review is None:
        return
    try:
        with renewed(review):
            _attempt(review)
    except LeaseLost:
        logger.warning("run was taken over by another worker", extra=delivery.log_fields)


def _attempt(review: Review) -> None:
    try:
        run_review(review)
    except RateLimited as limited:
        defer(review, limited)
    except LeaseLost:
        raise
    except Exception as error:  # the edge of a worker
        logger.exception("attempt failed", extra=review.delivery.log_fields)
        fail_attempt(review, error)


def defer(review: Review, limited: RateLimited) -> None:
    """Put a run back until GitHub's limit resets. It uses no attempt.

    Past `KODIAI_MAX_DEFERRAL` seconds in all the run is given up.
    """
    since = review.deferred_since or timezone.now()
    if limited.retry_at - since > timedelta(seconds=settings.KODIAI_MAX_DEFERRAL):
        finish(review, Conclusion.ERROR, f"{limited}; that is longer than a run is put off (KODIAI_MAX_DEFERRAL)")
        record_finished(review)
        return
    logger.info("run deferred", extra={**review.delivery.log_fields, "until": limited.retry_at, "reason": str(limited)})
    # Jitter, so that all that waits for one reset does not come at the same moment.
    _put_back(review, limited.retry_at + timedelta(seconds=random.uniform(0.1, 1)), deferred_since=since)


def fail_attempt(review: Review, error: Exception) -> None:
    """Count a failed attempt: put the run back with growing waits, or give it up after `KODIAI_MAX_ATTEMPTS`."""
    Delivery.objects.filter(pk=review.delivery_id).update(failure="".join(traceback.format_exception(error))[-20_000:])
    _use_attempt(review, f"{type(error).__name__}: {error}")


def _use_attempt(review: Review, reason: str) -> None:
    attempts = review.attempts + 1
    if attempts >= settings.KODIAI_MAX_ATTEMPTS:
        review.store(attempts=attempts)
        finish(review, Conclusion.ERROR, f"given up after {attempts} attempts: {reason}")
        record_finished(review)
        return
    wait = min(LONGEST_BACKOFF, 2.0**attempts) * random.uniform(0.5, 1)
    _put_back(review, timezone.now() + timedelta(seconds=wait), attempts=attempts)


def _put_back(review: Review, until: datetime, **values: object) -> None:
    with transaction.atomic():
        review.store(deferred_until=until, lease_owner="", lease_expires_at=None, **values)
        enqueue(review.delivery, run_after=until)


def sweep() -> int:
    """Put back the runs whose workers died, and queue again what nobody runs; return how many were put back.

    Safe at any time and in many processes at once: each is taken over with a filtered UPDATE that one of them wins.
    """
    return sum(map(_take_over, Review.objects.filter(expired()).select_related("delivery"))) + _requeue_forgotten()


def _take_over(review: Review) -> bool:
    dead = Review.objects.filter(pk=review.pk, lease_owner=review.lease_owner, lease_expires_at=review.lease_expires_at)
    mine = f"sweep:{get_random_string(12)}"
    if not dead.update(lease_owner=mine, lease_expires_at=timezone.now() + SWEEP_LEASE):
        return False
    logger.warning(
        "worker gone, its run is put back", extra={**review.delivery.log_fields, "worker": review.lease_owner}
    )
    worker, review.lease_owner = review.lease_owner, mine
    try:
        _use_attempt(review, f"its worker {worker} gave no sign of life")
    except LeaseLost:
        return False
    return True


def _requeue_forgotten() -> int:
    """Queue deliveries again whose task was lost: its worker died before it claimed the run, or the queue forgot it."""
    now = timezone.now()
    lease = timedelta(seconds=settings.KODIAI_LEASE_SECONDS)
    waiting = (DeliveryStatus.RECEIVED, DeliveryStatus.QUEUED)
    # What the database queue gave to a worker and is still waiting: that worker died in between.
    given = list(DBTaskResult.objects.running().filter(started_at__lt=now - lease))
    lost = {task.args_kwargs["args"][0] for task in given if task.args_kwargs.get("args")}
    forgotten = Delivery.objects.filter(status__in=waiting, queued_at__lt=now - lease).filter(
        # Of another queue nothing tells whether it still has the task, so it gets time. A task too many is a no-op.
        Q(pk__in=lost) | Q(queued_at__lt=now - FORGOTTEN_AFTER * lease)
    )
    requeued = 0
    for delivery in forgotten:
        with transaction.atomic():
            unchanged = Delivery.objects.filter(pk=delivery.pk, status=delivery.status, queued_at=delivery.queued_at)
            if unchanged.update(queued_at=now):
                enqueue(delivery)
                requeued += 1
    for task in given:
        task.set_failed(LeaseLost("its worker gave no sign of life"))
    return requeued


def handle_installation(delivery: Delivery) -> None:
    """Act on `installation*`: where the App was removed or suspended, the runs that wait there end."""
    if delivery.event_type in ("installation.deleted", "installation.suspend"):
        waiting = Review.objects.select_related("delivery").filter(
            delivery__installation_id=delivery.installation_id, delivery__status=DeliveryStatus.QUEUED
        )
        for review in waiting:
            finish(review, Conclusion.SKIPPED, f"the App was removed ({delivery.event_type})")
            record_finished(review)
    Delivery.objects.filter(pk=delivery.pk).update(status=DeliveryStatus.DONE, finished_at=timezone.now())
    logger.info("installation changed", extra=delivery.log_fields)


def maintain() -> dict[str, int]:
    """Run the periodic tasks once; return what each of them did."""
    done = {
        "runs_put_back": sweep(),
        "telemetry_rows_recorded": record_owed(),
        "old_tasks_removed": _remove_old_tasks(),
    }
    if any(done.values()):
        logger.info("periodic tasks", extra=done)
    return done


def _remove_old_tasks() -> int:
    """Remove tasks that ended more than a day ago: the queue keeps every one, and the inbox knows what happened."""
    old = DBTaskResult.objects.finished().filter(finished_at__lt=timezone.now() - timedelta(days=1))
    return old.delete()[0]


def record_owed(limit: int = 500) -> int:
    """Record what finished runs and final enrichments still owe to telemetry; return how many rows were stored.

    Safe at any time and in several processes: the identity makes a second write a no-op. A store that fails again
    and again ends the round, so that an outage costs a round some seconds and not hours.
    """
    stored = _record_each(Review.objects.owing_rate_limit_event(), emit_rate_limit_event, limit)
    return stored + _record_each(Review.objects.owing_execution(), record_finished, limit)


def _record_each(owing: QuerySet[Review], record: Callable[[Review], bool], limit: int) -> int:
    stored = failures_in_a_row = 0
    for review in owing.select_related("delivery")[:limit]:
        if record(review):
            stored, failures_in_a_row = stored + 1, 0
        elif (failures_in_a_row := failures_in_a_row + 1) == MOST_FAILURES_IN_A_ROW:
            break
    return stored
