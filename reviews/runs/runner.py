"""What becomes of a run: it is claimed, put back where it has to wait, given up where nothing helps."""

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
"""Seconds between two attempts of a run at the most."""
OUTAGE_SECONDS = 1.0
"""Between two tries to put a run back while the database is away."""
MAX_TRACEBACK = 20_000
"""Characters of a traceback that are kept, its end."""
OUTAGES = (OperationalError, InterfaceError, InternalError)
"""What Django's databases raise when they are away, locked, full or read-only: no fault of the run's."""

_running: Review | None = None
"""The run that this process works on; a worker works on one at a time."""


def process(delivery_pk: int) -> None:
    """Act on a queued delivery. What a worker does with a task; the edge at which every exception ends.

    Of several workers with the same delivery one gets its claim and goes on; the others return.
    """
    global _running
    delivery = Delivery.objects.get(pk=delivery_pk)
    if delivery.event in INSTALLATION_EVENTS:
        handle_installation(delivery)
        return
    try:
        review = claim(delivery_pk, f"{socket.gethostname()}:{os.getpid()}")
    except IntegrityError:
        # Another run of this pull request is under way. This one comes after it.
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
                logger.exception("database failed, the run is put back", extra=delivery.log_fields)
                _defer_after_outage(review.pk, owner, outage)
    except LeaseLost:
        logger.warning("run was taken over by another worker, or has ended", extra=delivery.log_fields)
    finally:
        _running = None


def _queue_for_later(delivery: Delivery) -> None:
    later = timezone.now() + timedelta(seconds=random.uniform(1, 3))
    with transaction.atomic():
        # Only while it waits: if this process was stopped for a while, another may have run it to its end.
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
        logger.info("run put back", extra={**review.delivery.log_fields, "reason": str(early)})
        reschedule(review, early.until)
    except WorkerStopping:
        logger.info("run handed back, the worker was told to stop", extra=review.delivery.log_fields)
        reschedule(review, timezone.now())
    except (LeaseLost, *OUTAGES):
        raise
    except Exception as error:  # the edge of a worker
        logger.exception("attempt failed", extra=review.delivery.log_fields)
        review.lease_owner = claimed_as
        fail_attempt(review, f"{type(error).__name__}: {error}", failure="".join(traceback.format_exception(error)))


def defer(review: Review, until: datetime, reason: str) -> None:
    """Put a run back for a reason that is not its own, as a limit of GitHub's; it uses no attempt.

    Past `KODIAI_MAX_DEFERRAL` seconds since it was first put back the run is given up.
    """
    since = review.deferred_since or timezone.now()
    if until - since > timedelta(seconds=settings.KODIAI_MAX_DEFERRAL):
        finish(review, Conclusion.ERROR, f"{reason}; that is longer than a run is put off (KODIAI_MAX_DEFERRAL)")
        record_finished(review)
        return
    logger.info("run deferred", extra={**review.delivery.log_fields, "until": until, "reason": reason})
    # Jitter, so that all that waits for one reset does not come at the same moment.
    reschedule(review, until + timedelta(seconds=random.uniform(0.1, 1)), deferred_since=since)


def _defer_after_outage(review_pk: int, owner: str, outage: Exception) -> None:
    """Put a run back as soon as the database takes it; there is nothing else that this worker could do until then.

    Left alone, the run would be found by the sweep when its lease has run out, at the cost of an attempt.
    """
    while True:
        connection.close()
        try:
            # Read anew: what was set on the run in memory may have been rolled back in the database.
            review = Review.objects.select_related("delivery").filter(pk=review_pk, lease_owner=owner).first()
            if review is None:
                raise LeaseLost("the run was taken over by another worker while the database failed")
            defer(review, timezone.now() + timedelta(seconds=random.uniform(2, 5)), f"the database failed: {outage}")
            return
        except OUTAGES as still:
            logger.warning("database fails still", extra={"owner": owner, "error": str(still)})
            time.sleep(OUTAGE_SECONDS)
            raise_if_stopping()


def fail_attempt(review: Review, reason: str, failure: str = "") -> None:
    """Count a failed attempt: put the run back with growing waits, or give it up after `KODIAI_MAX_ATTEMPTS`.

    `failure` is the traceback, empty where there is none.
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
        finish(review, Conclusion.ERROR, f"given up after {attempts} attempts: {reason}")
    record_finished(review)


def reschedule(review: Review, until: datetime, **values: object) -> None:
    """Give up the claim on a run and queue it for `until`. Raises `LeaseLost` if it is somebody else's, or has ended.

    A run that may just have posted its review waits until GitHub has stored it or never will: only then its marker
    tells which. That is counted from now, when nobody posts it any more: a slow worker may have sent it long after it
    stored `publishing_at`.
    """
    if not review.lease_owner:
        raise LeaseLost(f"the run of {review} has ended")
    if review.may_be_posted:
        until = max(until, timezone.now() + POST_VISIBILITY_DELAY)
    with transaction.atomic():
        review.store(deferred_until=until, lease_owner="", lease_expires_at=None, **values)
        enqueue(review.delivery, run_after=until)


def release() -> None:
    """Put back the run that this process works on, from another thread, because the process ends in a moment.

    The step that is under way may still do its work, but its outcome is not stored.
    """
    running = _running
    if running is None:
        return
    logger.warning("step does not end in time, its run is handed back", extra=running.delivery.log_fields)
    try:
        with transaction.atomic():
            # Locked, so that the run's own thread cannot begin to publish in between: it finds its claim gone.
            review = Review.objects.select_related("delivery").select_for_update(of=("self",)).get(pk=running.pk)
            review.lease_owner = running.lease_owner
            reschedule(review, timezone.now())
    except LeaseLost:
        logger.info("the run had ended, or was somebody else's", extra=running.delivery.log_fields)


def handle_installation(delivery: Delivery) -> None:
    """Act on `installation*`: where the App was removed or suspended, the runs that wait there end."""
    if delivery.event_type in ("installation.deleted", "installation.suspend"):
        waiting = Review.objects.select_related("delivery").filter(
            delivery__installation_id=delivery.installation_id, delivery__status=DeliveryStatus.QUEUED
        )
        for review in waiting:
            try:
                finish(review, Conclusion.SKIPPED, f"the App was removed ({delivery.event_type})")
            except LeaseLost:
                continue  # it was claimed in this moment, and will hear from GitHub itself
            record_finished(review)
    Delivery.objects.filter(pk=delivery.pk).update(status=DeliveryStatus.DONE, finished_at=timezone.now())
    logger.info("installation changed", extra=delivery.log_fields)
