"""Record the attempts of runs, for people. No run depends on it: a failure is logged, and the attempt is not shown."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from reviews.github.call_log import CallLog, collected
from reviews.models import Attempt, AttemptOutcome, Review
from reviews.redaction import redact, storable
from reviews.runs.fail_open import is_stored
from reviews.runs.tracing import send_trace

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 20
"""Attempts that are kept of a run, the last ones: a run can be deferred often."""
STORE_MS = 1000
"""Longest wait for SQLite's lock, and for a statement on PostgreSQL, in milliseconds."""
MAX_REASON = 1000
"""Characters of a reason."""


@dataclass
class Ending:
    """How an attempt ends, as far as it is known."""

    outcome: AttemptOutcome = AttemptOutcome.FINISHED
    reason: str = ""

    def set(self, outcome: AttemptOutcome, reason: str) -> None:
        """Note an ending other than that the run has finished."""
        self.outcome, self.reason = outcome, reason


@contextmanager
def recorded(review: Review) -> Iterator[Ending]:
    """Record the attempt that a block makes. Nothing is recorded if it raises."""
    ending, worker, started_at = Ending(), review.lease_owner, timezone.now()
    with collected() as log:
        yield ending
    is_stored(
        lambda: _store(review, ending, worker, started_at, log),
        milliseconds=STORE_MS,
        report=lambda error: logger.error("attempt not recorded", extra=review.delivery.log_fields, exc_info=error),
    )


def _store(review: Review, ending: Ending, worker: str, started_at: datetime, log: CallLog) -> None:
    with transaction.atomic():
        attempt = Attempt.objects.create(
            review=review,
            worker=worker,
            started_at=started_at,
            ended_at=timezone.now(),
            outcome=ending.outcome,
            reason=storable(redact(ending.reason), MAX_REASON),
            calls=[call.to_json() for call in log.calls],
            calls_made=log.made,
        )
        kept = Attempt.objects.filter(review=review).order_by("-pk").values_list("pk", flat=True)
        if older := list(kept[MAX_ATTEMPTS:]):
            Attempt.objects.filter(pk__in=older).delete()
    send_trace(attempt)
