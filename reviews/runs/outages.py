"""Outages of GitHub: a run that cannot reach it is deferred, and so are the other runs of the installation.

An outage has a row (`GitHubOutage`), so that all workers and the web server see it. One run asks GitHub again when its
time has come, claimed with a filtered UPDATE; the others wait. The waits are as long as the outage has lasted, up to
`MAX_WAIT`, and runs end their waits at different moments, so that GitHub's return is no burst of requests.

The unit is the installation. A failing token endpoint fails the runs of each installation, and a call that fails for
one pull request, or one installation, holds up no other.
"""

import logging
import random
from datetime import datetime, timedelta

from django.utils import timezone

from reviews.github.errors import Unreachable
from reviews.models import GitHubOutage, Review
from reviews.redaction import redact, storable

logger = logging.getLogger(__name__)

MIN_WAIT = timedelta(seconds=5)
MAX_WAIT = timedelta(minutes=5)
"""Longest wait of a run, jitter included."""
SPREAD = 1 / 3
"""Share of a wait by which the moments differ at which runs go on."""
MAX_ERROR = 1000
"""Characters kept of an error."""


def held_until(review: Review) -> datetime | None:
    """Return until when a run waits because GitHub cannot be reached, or None: the run may ask GitHub.

    Of several runs whose wait is over one may ask; the others wait for what it finds.
    """
    now = timezone.now()
    outage = GitHubOutage.objects.current().filter(installation_id=_installation(review)).first()
    if outage is None or outage.retry_at is None:
        return None
    next_try = now + _shared(now - outage.since)
    if outage.retry_at <= now:
        # If this run dies, another asks when its wait would be over.
        if GitHubOutage.objects.filter(pk=outage.pk, retry_at=outage.retry_at).update(retry_at=next_try):
            return None
        return _spread(next_try, now)
    return _spread(outage.retry_at, now)


def register(review: Review, error: Unreachable) -> datetime:
    """Store that a run could not reach GitHub; return until when it is deferred."""
    now = timezone.now()
    outage = _stored(review, now, storable(redact(str(error)))[:MAX_ERROR])
    lasted = now - outage.since
    logger.warning(
        "GitHub unreachable",
        extra={
            **review.log_fields,
            "installation_id": outage.installation_id,
            "since": outage.since,
            "error": outage.error,
        },
    )
    # What fails may be about this pull request alone: then its own waits grow, and the outage ends between them.
    own = now - (review.deferred_since or now)
    return _spread(now + _shared(max(lasted, own)), now)


def end(review: Review, asked_at: datetime) -> None:
    """End the outage of an installation, because GitHub has answered a run that started at `asked_at`."""
    met_before = GitHubOutage.objects.filter(installation_id=_installation(review), failed_at__lt=asked_at)
    for outage in met_before:
        if met_before.filter(pk=outage.pk).delete()[0]:
            lasted = (timezone.now() - outage.since).total_seconds()
            logger.info(
                "GitHub reachable again", extra={"installation_id": outage.installation_id, "seconds": round(lasted)}
            )


def _stored(review: Review, now: datetime, error: str) -> GitHubOutage:
    """Store a failure. The outage begins with the first one; from the second run on that fails, others wait."""
    rows = GitHubOutage.objects.filter(installation_id=_installation(review))
    rows.filter(failed_at__lte=now - GitHubOutage.MAX_AGE).delete()
    failed = {"failed_at": now, "failed_run": review.pk, "error": error}
    outage, is_new = GitHubOutage.objects.get_or_create(
        installation_id=_installation(review), defaults={"since": now, **failed}
    )
    if not is_new:
        others_wait = outage.retry_at is not None or outage.failed_run != review.pk
        rows.update(**failed, retry_at=now + _shared(now - outage.since) if others_wait else None)
        outage.error = error
    return outage


def _shared(lasted: timedelta) -> timedelta:
    """How long all runs wait after an outage has lasted for so long: as long again, within bounds."""
    return min(max(lasted, MIN_WAIT), MAX_WAIT) * (1 - SPREAD)


def _spread(until: datetime, now: datetime) -> datetime:
    return until + max(until - now, MIN_WAIT * (1 - SPREAD)) * (SPREAD / (1 - SPREAD)) * random.random()


def _installation(review: Review) -> int:
    return review.delivery.installation_id or 0
