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
from structlog.contextvars import bound_contextvars

from reviews.exceptions import LeaseLost, PostPending
from reviews.github.errors import RateLimited, Unreachable
from reviews.github.facts import INSTALLATION_EVENTS, POST_VISIBILITY_DELAY
from reviews.models import AttemptOutcome, Delivery, DeliveryStatus, GitHubLimit, GitHubOutage, Review
from reviews.redaction import redact, storable
from reviews.runs import outages, turns
from reviews.runs.attempts import Ending, recorded
from reviews.runs.lease import claim, renewed
from reviews.runs.observations import store_observations
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
MAX_TURNS = 20
"""Turns that a worker tries to take, when others are faster, before it waits for the next task."""
OUTAGES = (OperationalError, InterfaceError, InternalError)
"""Raised by Django when a database is unavailable, locked, full or read-only: not the fault of the run."""

_running: Review | None = None
"""The run that this process works on, one at a time."""


def take_turn(delivery_pk: int) -> None:
    """Run the waiting delivery whose turn it is: the body of a worker's task, where every exception ends.

    The task is the wake-up of one waiting delivery. If it is another one's turn, the wake-up goes back to the queue.
    If its author is at work and nobody else waits, it is dropped: the end of that run queues the author's next one.
    """
    own = Delivery.objects.get(pk=delivery_pk)
    if own.event in INSTALLATION_EVENTS:
        handle_installation(own)
        return
    if not own.is_waiting:
        return
    order = turns.in_order()[:MAX_TURNS]
    for next_run in order:
        review = _claim_turn(next_run, own)
        if review is None:
            continue
        started = time.monotonic()
        try:
            _run(review)
        finally:
            turns.charge(next_run.author, time.monotonic() - started)
            _wake(turns.next_asleep(next_run.author))
        return
    Delivery.objects.filter(pk=own.pk, task_id=own.task_id, status=own.status).update(task_id="")
    author = turns.author_of(own)
    # Where another worker has just taken the author's turn, the end of that run wakes the next.
    if author not in {next_run.author for next_run in order} | turns.authors_at_work():
        # The run has ended in between, and may not have seen that this delivery needs a task.
        _wake(turns.next_asleep(author))


def _claim_turn(next_run: turns.NextRun, own: Delivery) -> Review | None:
    """Claim the run of an author's next delivery, by the wake-up of `own`; None if another worker was faster."""
    try:
        with transaction.atomic():
            review = claim(next_run.delivery_pk, _worker()) if turns.take(next_run) else None
            if review is not None and review.delivery_id != own.pk:
                # Its own wake-up comes later and finds nothing to do.
                Delivery.objects.filter(pk=review.delivery_id).update(task_id=own.task_id)
                enqueue(own, again=True)
            return review
    except IntegrityError:
        # Another run of this pull request is claimed, whose author is unknown. This one runs after it.
        _queue_for_later(Delivery.objects.get(pk=next_run.delivery_pk))
        return None


def _wake(delivery: Delivery | None) -> None:
    if delivery is not None:
        with transaction.atomic():
            enqueue(delivery, again=True)


def _worker() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _run(review: Review) -> None:
    """Make an attempt of a claimed run. Each log line that is written meanwhile names the run."""
    global _running
    _running = review
    with recorded(review) as ending:
        try:
            with bound_contextvars(**review.log_fields):
                _run_claimed(review, ending)
        finally:
            _running = None
            store_observations()


def _run_claimed(review: Review, ending: Ending) -> None:
    try:
        with renewed(review):
            owner = review.lease_owner
            try:
                _attempt(review, ending)
            except OUTAGES as outage:
                ending.set(AttemptOutcome.DEFERRED, f"the database failed: {outage}")
                logger.exception("database failed, rescheduling the run", extra=review.log_fields)
                _defer_after_outage(review.pk, owner, outage)
    except LeaseLost:
        ending.set(AttemptOutcome.LOST, "another worker took the run over, or it had finished")
        logger.warning("claim lost, the run was taken over or has finished", extra=review.log_fields)


def _queue_for_later(delivery: Delivery) -> None:
    later = timezone.now() + timedelta(seconds=random.uniform(1, 3))
    with transaction.atomic():
        # Only while it waits: if this process was suspended, another may have finished it.
        waiting = Delivery.objects.waiting().filter(pk=delivery.pk)
        if waiting.update(queued_at=later):
            enqueue(delivery, run_after=later)


def _attempt(review: Review, ending: Ending) -> None:
    claimed_as, asked_at = review.lease_owner, timezone.now()
    if until := outages.held_until(review):
        ending.set(AttemptOutcome.DEFERRED, "GitHub cannot be reached")
        defer(review, until, "GitHub cannot be reached")
        return
    try:
        run_review(review)
    except RateLimited as limited:
        ending.set(AttemptOutcome.DEFERRED, str(limited))
        # Jitter, so that runs deferred until the same reset do not start at the same moment.
        defer(review, limited.retry_at + timedelta(seconds=random.uniform(0.1, 1)), str(limited))
        if not limited.asked:
            return
    except Unreachable as error:
        ending.set(AttemptOutcome.DEFERRED, str(error))
        defer(review, outages.register(review, error), str(error))
        return
    except PostPending as early:
        ending.set(AttemptOutcome.DEFERRED, str(early))
        logger.info("run rescheduled", extra={**review.log_fields, "reason": str(early)})
        reschedule(review, early.until)
    except WorkerStopping:
        ending.set(AttemptOutcome.RELEASED, "the worker was stopping")
        logger.info("worker stopping, run released", extra=review.log_fields)
        reschedule(review, timezone.now())
        return
    except (LeaseLost, *OUTAGES):
        raise
    except Exception as error:  # the edge of a worker
        ending.set(AttemptOutcome.FAILED, f"{type(error).__name__}: {error}")
        logger.exception("attempt failed", extra=review.log_fields)
        review.lease_owner = claimed_as
        fail_attempt(review, f"{type(error).__name__}: {error}", failure="".join(traceback.format_exception(error)))
        return
    outages.end(review, asked_at)


def defer(review: Review, until: datetime, reason: str) -> None:
    """Defer a run for a reason outside of it, such as a limit or an outage of GitHub's; this uses no attempt.

    Abandon it if `until` is more than `KODIAI_MAX_DEFERRAL` seconds after the first deferral.
    """
    since = review.deferred_since or timezone.now()
    if until - since > timedelta(seconds=settings.KODIAI_MAX_DEFERRAL):
        finish(review, Conclusion.ERROR, f"{reason}; the wait exceeds KODIAI_MAX_DEFERRAL")
        record_finished(review)
        return
    logger.info("run deferred", extra={**review.log_fields, "until": until, "reason": reason})
    reschedule(review, until, deferred_since=since)


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
    logger.warning("step exceeds the grace period, releasing its run", extra=running.log_fields)
    try:
        with transaction.atomic():
            # Locked, so that the run's own thread cannot announce a post in between: it finds its claim lost.
            review = Review.objects.select_related("delivery").select_for_update(of=("self",)).get(pk=running.pk)
            review.lease_owner = running.lease_owner
            reschedule(review, timezone.now())
    except LeaseLost:
        logger.info("claim was lost before, nothing to release", extra=running.log_fields)


def handle_installation(delivery: Delivery) -> None:
    """Act on `installation*`: finish the waiting runs of an installation, or of repositories, that the App has lost."""
    waiting = Review.objects.select_related("delivery").filter(
        delivery__installation_id=delivery.installation_id, delivery__status=DeliveryStatus.QUEUED
    )
    if delivery.event_type in ("installation.deleted", "installation.suspend"):
        GitHubOutage.objects.filter(installation_id=delivery.installation_id or 0).delete()
        if delivery.installation_id:
            GitHubLimit.objects.filter(installation_id=delivery.installation_id).delete()
    else:
        waiting = waiting.filter(repo__in=delivery.repositories)
    for review in waiting:
        try:
            finish(review, Conclusion.SKIPPED, f"the App was removed ({delivery.event_type})")
        except LeaseLost:
            continue  # just claimed: its worker will learn it from GitHub
        record_finished(review)
    Delivery.objects.filter(pk=delivery.pk).update(status=DeliveryStatus.DONE, finished_at=timezone.now())
    logger.info("installation changed", extra=delivery.log_fields)
