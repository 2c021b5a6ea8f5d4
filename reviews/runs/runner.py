"""Run queued deliveries: claim a run, and finish, defer, retry or abandon it."""

import logging
import os
import random
import socket
import time
import traceback
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, InterfaceError, InternalError, OperationalError, connection, transaction
from django.utils import timezone

from reviews.exceptions import LeaseLost, PostPending
from reviews.github.errors import RateLimited
from reviews.github.facts import INSTALLATION_EVENTS, POST_VISIBILITY_DELAY
from reviews.models import Delivery, DeliveryStatus, Review
from reviews.redaction import redact, storable
from reviews.runs.lease import claim, renewed
from reviews.runs.queues.enqueue import enqueue
from reviews.service import finish, record_finished, run_review
from reviews.shutdown import WorkerStopping, raise_if_stopping
from telemetry.models import Conclusion

logger = logging.getLogger(__name__)

MAX_BACKOFF = 300.0
"""Longest wait between two attempts of a run, in seconds."""
OUTAGE_SECONDS = 1.0
"""Seconds between two attempts to reschedule a run while the database is unavailable."""
MAX_TRACEBACK = 20_000
"""Characters kept of the end of a traceback."""
OUTAGES = (OperationalError, InterfaceError, InternalError)
"""Raised by Django when a database is unavailable, locked, full or read-only: not the fault of the run."""

_running: Review | None = None
"""The run that this process works on, one at a time."""


def process(delivery_pk: int) -> None:
    """Act on a queued delivery: the body of a worker's task, where every exception ends.

    Of several workers with the same delivery one claims its run; the others return.
    """
    global _running
    delivery = Delivery.objects.get(pk=delivery_pk)
    if delivery.event in INSTALLATION_EVENTS:
        handle_installation(delivery)
        return
    try:
        review = claim(delivery_pk, f"{socket.gethostname()}:{os.getpid()}")
    except IntegrityError:
        # Another run of this pull request is claimed. This one runs after it.
        _queue_for_later(delivery)
        return
    if review is None:
        return
    _running = review
    try:
        with renewed(review):
            owner = review.lease_owner
            try:
                _attempt(review)
            except OUTAGES as outage:
                logger.exception("database failed, rescheduling the run", extra=delivery.log_fields)
                _defer_after_outage(review.pk, owner, outage)
    except LeaseLost:
        logger.warning("claim lost, the run was taken over or has finished", extra=delivery.log_fields)
    finally:
        _running = None


def _queue_for_later(delivery: Delivery) -> None:
    later = timezone.now() + timedelta(seconds=random.uniform(1, 3))
    with transaction.atomic():
        # Only while it waits: if this process was suspended, another may have finished it.
        waiting = Delivery.objects.filter(pk=delivery.pk, status__in=(DeliveryStatus.RECEIVED, DeliveryStatus.QUEUED))
        if waiting.update(queued_at=later):
            enqueue(delivery, run_after=later)


def _attempt(review: Review) -> None:
    claimed_as = review.lease_owner
    try:
        run_review(review)
    except RateLimited as limited:
        defer(review, limited.retry_at, str(limited))
    except PostPending as early:
        logger.info("run rescheduled", extra={**review.delivery.log_fields, "reason": str(early)})
        reschedule(review, early.until)
    except WorkerStopping:
        logger.info("worker stopping, run released", extra=review.delivery.log_fields)
        reschedule(review, timezone.now())
    except (LeaseLost, *OUTAGES):
        raise
    except Exception as error:  # the edge of a worker
        logger.exception("attempt failed", extra=review.delivery.log_fields)
        review.lease_owner = claimed_as
        fail_attempt(review, f"{type(error).__name__}: {error}", failure="".join(traceback.format_exception(error)))


def defer(review: Review, until: datetime, reason: str) -> None:
    """Defer a run for a reason outside of it, such as a limit of GitHub's; this uses no attempt.

    Abandon it if `until` is more than `KODIAI_MAX_DEFERRAL` seconds after the first deferral.
    """
    since = review.deferred_since or timezone.now()
    if until - since > timedelta(seconds=settings.KODIAI_MAX_DEFERRAL):
        finish(review, Conclusion.ERROR, f"{reason}; the wait exceeds KODIAI_MAX_DEFERRAL")
        record_finished(review)
        return
    logger.info("run deferred", extra={**review.delivery.log_fields, "until": until, "reason": reason})
    # Jitter, so that runs deferred until the same reset do not start at the same moment.
    reschedule(review, until + timedelta(seconds=random.uniform(0.1, 1)), deferred_since=since)


def _defer_after_outage(review_pk: int, owner: str, outage: Exception) -> None:
    """Defer a run as soon as the database is available again; this worker can do nothing else until then.

    Otherwise the sweep would find the run when its lease has expired, at the cost of an attempt.
    """
    while True:
        connection.close()
        try:
            # Read again: changes in memory may have been rolled back in the database.
            review = Review.objects.select_related("delivery").filter(pk=review_pk, lease_owner=owner).first()
            if review is None:
                raise LeaseLost("the run was taken over by another worker during the outage")
            defer(review, timezone.now() + timedelta(seconds=random.uniform(2, 5)), f"the database failed: {outage}")
            return
        except OUTAGES as still:
            logger.warning("database still failing", extra={"owner": owner, "error": str(still)})
            time.sleep(OUTAGE_SECONDS)
            raise_if_stopping()


def fail_attempt(review: Review, reason: str, failure: str = "") -> None:
    """Count a failed attempt: reschedule the run with growing waits, or abandon it after `KODIAI_MAX_ATTEMPTS`.

    `failure` is the traceback, if there is one.
    """
    attempts = review.attempts + 1
    with transaction.atomic():
        review.store(attempts=attempts)
        Delivery.objects.filter(pk=review.delivery_id).update(
            failure=storable(redact(failure or reason))[-MAX_TRACEBACK:]
        )
        if attempts < settings.KODIAI_MAX_ATTEMPTS:
            wait = min(MAX_BACKOFF, 2.0**attempts) * random.uniform(0.5, 1)
            reschedule(review, timezone.now() + timedelta(seconds=wait))
            return
        finish(review, Conclusion.ERROR, f"abandoned after {attempts} attempts: {reason}")
    record_finished(review)


def reschedule(review: Review, until: datetime, **values: object) -> None:
    """Release the claim on a run and queue it for `until`. Raises `LeaseLost` if the claim is lost or the run finished.

    A run with an unconfirmed post waits at least until GitHub lists it or never will (`publishing.post_once`). The wait
    begins now, when the claim ends: a slow worker may have sent its post long after it announced it.
    """
    if not review.lease_owner:
        raise LeaseLost(f"the run of {review} has finished")
    if review.has_unconfirmed_post:
        until = max(until, timezone.now() + POST_VISIBILITY_DELAY)
    with transaction.atomic():
        review.store(deferred_until=until, lease_owner="", lease_expires_at=None, **values)
        enqueue(review.delivery, run_after=until)


def release() -> None:
    """Reschedule the run that this process works on, from another thread, because the process ends in a moment.

    The current step may still do its work; its outcome is not stored.
    """
    running = _running
    if running is None:
        return
    logger.warning("step exceeds the grace period, releasing its run", extra=running.delivery.log_fields)
    try:
        with transaction.atomic():
            # Locked, so that the run's own thread cannot announce a post in between: it finds its claim lost.
            review = Review.objects.select_related("delivery").select_for_update(of=("self",)).get(pk=running.pk)
            review.lease_owner = running.lease_owner
            reschedule(review, timezone.now())
    except LeaseLost:
        logger.info("claim was lost before, nothing to release", extra=running.delivery.log_fields)


def handle_installation(delivery: Delivery) -> None:
    """Act on `installation*`: finish the waiting runs of an installation that was deleted or suspended."""
    if delivery.event_type in ("installation.deleted", "installation.suspend"):
        waiting = Review.objects.select_related("delivery").filter(
            delivery__installation_id=delivery.installation_id, delivery__status=DeliveryStatus.QUEUED
        )
        for review in waiting:
            try:
                finish(review, Conclusion.SKIPPED, f"the App was removed ({delivery.event_type})")
            except LeaseLost:
                continue  # just claimed: its worker will learn it from GitHub
            record_finished(review)
    Delivery.objects.filter(pk=delivery.pk).update(status=DeliveryStatus.DONE, finished_at=timezone.now())
    logger.info("installation changed", extra=delivery.log_fields)
