"""Missed deliveries: GitHub sent them and the inbox does not have them. GitHub redelivers nothing by itself.

Source: GitHub docs, "Handling failed webhook deliveries".
"""

import itertools
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum

from django.db.models import F, Q
from django.utils import timezone

from reviews.github.app import AppClient
from reviews.github.errors import RateLimited, Refused
from reviews.github.schemas import HookDelivery
from reviews.models import (
    PENDING_CHECK_RUN,
    CheckRunReport,
    Delivery,
    DeliveryStatus,
    MissedDelivery,
    PeriodicTask,
)

logger = logging.getLogger(__name__)

TASK = "missed-deliveries"
"""The name of the periodic task."""
MAX_REQUESTS = 3
"""Redeliveries requested of one delivery."""
UNDER_WAY = timedelta(minutes=2)
"""Age below which an attempt may still be under way: GitHub waits 10 to 30 seconds for an answer."""
WINDOW = timedelta(hours=24)
"""How far the periodic task looks back at most."""
OVERLAP = timedelta(hours=1)
"""How far it looks back before its last success."""
MAX_LISTED = 5000
"""Attempts of GitHub's list that are looked through for one delivery."""
CHUNK = 500
"""Deliveries looked up in the inbox at once."""


class Outcome(StrEnum):
    """What was done about a missed delivery."""

    REQUESTED = "redelivery requested"
    UNDER_WAY = "redelivery requested a moment ago"
    ABANDONED = f"redelivery requested {MAX_REQUESTS} times before, not again"
    REFUSED = "redelivery refused by GitHub"


def event_type_of(delivery: HookDelivery) -> str:
    """The event type that the inbox would give the delivery."""
    return f"{delivery.event}.{delivery.action}" if delivery.action else delivery.event


def find_missed(github: AppClient, since: datetime) -> Iterator[HookDelivery]:
    """Yield the latest attempt of each delivery since `since` that the inbox does not have, newest first.

    The status of the attempt does not matter: the answer may be lost, or the inbox restored from a backup.
    """
    judged: set[tuple[str, str]] = set()
    before = timezone.now() - UNDER_WAY
    attempts = (attempt for attempt in github.hook_deliveries(since) if attempt.event != "ping")
    for chunk in iter(lambda: list(itertools.islice(attempts, CHUNK)), []):
        guids = {attempt.guid for attempt in chunk}
        known = set(Delivery.objects.filter(delivery_id__in=guids).values_list("delivery_id", "event_type"))
        for attempt in chunk:
            identity = (attempt.guid, event_type_of(attempt))
            if identity not in judged | known and attempt.delivered_at < before:
                yield attempt
            judged.add(identity)


def request_redelivery(github: AppClient, attempt: HookDelivery) -> Outcome:
    """Request the redelivery of a missed delivery, at most `MAX_REQUESTS` times by all processes together.

    Raises `RateLimited`, which does not count, and `Unavailable`, which does: GitHub may have accepted the request.
    """
    now = timezone.now()
    missed, _ = MissedDelivery.objects.update_or_create(
        delivery_id=attempt.guid,
        event_type=event_type_of(attempt),
        defaults={"delivered_at": attempt.delivered_at, "status_code": max(0, attempt.status_code)},
    )
    if missed.requests >= MAX_REQUESTS:
        return Outcome.ABANDONED
    free = MissedDelivery.objects.filter(
        Q(requested_at__isnull=True) | Q(requested_at__lt=now - UNDER_WAY), pk=missed.pk, requests__lt=MAX_REQUESTS
    )
    if not free.update(requests=F("requests") + 1, requested_at=now):
        return Outcome.UNDER_WAY
    try:
        github.redeliver(attempt.id)
    except RateLimited:
        MissedDelivery.objects.filter(pk=missed.pk, requested_at=now).update(
            requests=F("requests") - 1, requested_at=missed.requested_at
        )
        raise
    except Refused as refused:
        logger.warning("redelivery refused", extra={"delivery_id": attempt.guid, "error": str(refused)})
        return Outcome.REFUSED
    logger.info("redelivery requested", extra={"delivery_id": attempt.guid, "event_type": missed.event_type})
    return Outcome.REQUESTED


def request_one(github: AppClient, delivery_id: str, event_type: str, since: datetime) -> Outcome | None:
    """Request the redelivery of one delivery that GitHub has attempted since `since`; None if it does not list it.

    Raises as `request_redelivery`, and what `AppClient` raises.
    """
    for attempt in itertools.islice(github.hook_deliveries(since), MAX_LISTED):
        if (attempt.guid, event_type_of(attempt)) == (delivery_id, event_type):
            return request_redelivery(github, attempt)
    return None


def request_missed_deliveries() -> dict[str, int]:
    """Request what was missed since the last success; return how many were missed, and how many were requested.

    Deliveries from before the first one in the inbox are left alone: Kodiai was not set up then.
    """
    first = Delivery.objects.order_by("pk").values_list("received_at", flat=True).first()
    if first is None:
        return {"missed": 0, "requested": 0}
    since = max(first, timezone.now() - WINDOW)
    last_look = PeriodicTask.objects.filter(name=TASK).values_list("finished_at", flat=True).first()
    if last_look is not None:
        since = max(since, last_look - OVERLAP)
    with AppClient() as github:
        outcomes = [request_redelivery(github, attempt) for attempt in find_missed(github, since)]
    return {"missed": len(outcomes), "requested": outcomes.count(Outcome.REQUESTED)}


def doubt_what_was_under_way() -> int:
    """After a restore: let every run that had not ended in the backup look on GitHub before it posts; return how many.

    It may have ended after the backup was made. `Delivery.redelivery_requested` reads the rows of `MissedDelivery`.
    """
    pending = CheckRunReport.objects.filter(PENDING_CHECK_RUN).values("review__delivery")
    ended = (DeliveryStatus.DONE, DeliveryStatus.IGNORED)
    doubted = Delivery.objects.filter(~Q(status__in=ended) | Q(pk__in=pending))
    rows = [
        MissedDelivery(delivery_id=delivery_id, event_type=event_type, delivered_at=received_at, status_code=202)
        for delivery_id, event_type, received_at in doubted.values_list("delivery_id", "event_type", "received_at")
    ]
    MissedDelivery.objects.bulk_create(rows, batch_size=CHUNK, ignore_conflicts=True)
    return len(rows)
