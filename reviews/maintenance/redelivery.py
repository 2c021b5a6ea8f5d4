"""Missed deliveries: what GitHub sent and the inbox does not have. GitHub sends nothing again by itself.

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
from reviews.models import Delivery, MissedDelivery, PeriodicTask

logger = logging.getLogger(__name__)

TASK = "missed-deliveries"
"""The name of the periodic task."""
MAX_REQUESTS = 3
"""Times that GitHub is asked to send one delivery again."""
UNDER_WAY = timedelta(minutes=2)
"""An attempt younger than this may still be under way: GitHub waits 10 to 30 seconds for an answer."""
WINDOW = timedelta(hours=24)
"""How far the periodic task looks back when it has not looked for long."""
OVERLAP = timedelta(hours=1)
"""How far it looks back behind its last look."""
CHUNK = 500
"""Deliveries looked up in the inbox at once."""


class Outcome(StrEnum):
    """What was done about a missed delivery."""

    ASKED = "GitHub is asked to send it again"
    WAITING = "GitHub was asked a moment ago"
    GIVEN_UP = f"GitHub was asked {MAX_REQUESTS} times, and no more"
    REFUSED = "GitHub refuses to send it again"


def event_type_of(delivery: HookDelivery) -> str:
    """The event type under which the inbox would have the delivery."""
    return f"{delivery.event}.{delivery.action}" if delivery.action else delivery.event


def find_missed(github: AppClient, since: datetime) -> Iterator[HookDelivery]:
    """Yield the latest attempt of each delivery since `since` that the inbox does not have, newest first.

    What GitHub was answered does not matter: an answer may have been lost, or the inbox been restored from a backup.
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
    """Ask GitHub to send a missed delivery again, at most `MAX_REQUESTS` times however many processes ask.

    Raises `RateLimited`, without using a request up, and `Unavailable`, with which one is used: it may have been heard.
    """
    now = timezone.now()
    missed, _ = MissedDelivery.objects.update_or_create(
        delivery_id=attempt.guid,
        event_type=event_type_of(attempt),
        defaults={"delivered_at": attempt.delivered_at, "status_code": max(0, attempt.status_code)},
    )
    if missed.requests >= MAX_REQUESTS:
        return Outcome.GIVEN_UP
    free = MissedDelivery.objects.filter(
        Q(requested_at__isnull=True) | Q(requested_at__lt=now - UNDER_WAY), pk=missed.pk, requests__lt=MAX_REQUESTS
    )
    if not free.update(requests=F("requests") + 1, requested_at=now):
        return Outcome.WAITING
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
    logger.info("redelivery asked for", extra={"delivery_id": attempt.guid, "event_type": missed.event_type})
    return Outcome.ASKED


def request_missed_deliveries() -> dict[str, int]:
    """Ask for what was missed since the last look; return how many deliveries that were, and for how many was asked.

    Nothing of before the first delivery that the inbox ever took: an App that was somebody else's, or that was not
    set up yet, is not made up for.
    """
    first = Delivery.objects.order_by("pk").values_list("received_at", flat=True).first()
    if first is None:
        return {"missed": 0, "asked for": 0}
    since = max(first, timezone.now() - WINDOW)
    last_look = PeriodicTask.objects.filter(name=TASK).values_list("finished_at", flat=True).first()
    if last_look is not None:
        since = max(since, last_look - OVERLAP)
    with AppClient() as github:
        outcomes = [request_redelivery(github, attempt) for attempt in find_missed(github, since)]
    return {"missed": len(outcomes), "asked for": outcomes.count(Outcome.ASKED)}
