"""What becomes of a run: it is claimed, put back where it has to wait, given up where nothing helps."""

import logging
import random
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from reviews.github import RateLimited
from reviews.models import Delivery, DeliveryStatus, Review
from reviews.payloads import INSTALLATION_EVENTS
from reviews.service import emit_rate_limit_event, finish, record_finished, run_review
from reviews.tasks import enqueue
from telemetry.models import Conclusion

logger = logging.getLogger(__name__)

LONGEST_BACKOFF = 300.0
"""Seconds between two attempts of a run at the most."""
MOST_FAILURES_IN_A_ROW = 3
"""Failed writes after which a round of `record_owed` leaves the rest to the next round."""


def process(delivery_pk: int) -> None:
    """Act on a queued delivery. What a worker does with a task; the edge at which every exception ends.

    Claiming is one filtered UPDATE: of several workers with the same delivery one goes on, the others return.
    """
    if not Delivery.objects.filter(pk=delivery_pk, status=DeliveryStatus.QUEUED).update(status=DeliveryStatus.RUNNING):
        return
    delivery = Delivery.objects.get(pk=delivery_pk)
    if delivery.event in INSTALLATION_EVENTS:
        handle_installation(delivery)
        return
    review = Review.objects.select_related("delivery").get(delivery=delivery)
    try:
        run_review(review)
    except RateLimited as limited:
        defer(review, limited)
    except Exception as error:  # the edge of a worker
        logger.exception("attempt failed", extra=delivery.log_fields)
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
    attempts = review.attempts + 1
    reason = f"{type(error).__name__}: {error}"
    Delivery.objects.filter(pk=review.delivery_id).update(failure="".join(traceback.format_exception(error))[-20_000:])
    if attempts >= settings.KODIAI_MAX_ATTEMPTS:
        review.attempts = attempts
        review.save(update_fields=["attempts"])
        finish(review, Conclusion.ERROR, f"given up after {attempts} attempts: {reason}")
        record_finished(review)
        return
    wait = min(LONGEST_BACKOFF, 2.0**attempts) * random.uniform(0.5, 1)
    _put_back(review, timezone.now() + timedelta(seconds=wait), attempts=attempts)


def _put_back(review: Review, until: datetime, **values: object) -> None:
    with transaction.atomic():
        review.deferred_until = until
        for name, value in values.items():
            setattr(review, name, value)
        review.save(update_fields=["deferred_until", *values])
        Delivery.objects.filter(pk=review.delivery_id).update(status=DeliveryStatus.QUEUED)
        enqueue(review.delivery, run_after=until)


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
