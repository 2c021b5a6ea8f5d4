"""Leases: a run belongs to one worker at a time, and to nobody for long after its worker died.

A worker claims a run with one filtered UPDATE and renews the claim while it works. From then on every write to the
run is filtered by the claim (`Review.store`), so that a worker that was stopped for longer than its lease finds that
the run is no longer its own before it writes, or publishes, anything. The database allows one claimed run for each
pull request.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import get_random_string

from reviews.models import Delivery, DeliveryStatus, Review

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
"""Between two tries to renew a lease while the database is away."""


def claim(delivery_pk: int, worker: str) -> Review | None:
    """Claim the run of a delivery for `worker`; return None if it is finished, somebody else's, or has to wait.

    A run that may just have posted (`Review.may_be_posted`) waits, `deferred_until`, until its marker tells whether it
    did; a task that was forgotten on the way may come too early. Raises `IntegrityError` while another run of the same
    pull request is claimed.
    """
    owner = f"{worker}:{get_random_string(12)}"
    known = (Q(publishing_at=None) | ~Q(published_at=None)) & (Q(answering_at=None) | ~Q(answered_at=None))
    free = Review.objects.filter(
        known | Q(deferred_until=None) | Q(deferred_until__lte=timezone.now()),
        delivery_id=delivery_pk,
        lease_owner="",
        finished_at__isnull=True,
    )
    with transaction.atomic():
        if not free.update(lease_owner=owner, lease_expires_at=_expiry()):
            return None
        Delivery.objects.filter(pk=delivery_pk).update(status=DeliveryStatus.RUNNING)
        # In the same transaction: a connection that ends after it would leave a claim that nobody knows to be theirs.
        return Review.objects.select_related("delivery").get(delivery_id=delivery_pk)


@contextmanager
def renewed(review: Review) -> Iterator[None]:
    """Renew the claim on a run in the background until the end of the block."""
    over = threading.Event()
    # The owner as it is now: what another thread sets on the run in memory may yet be rolled back.
    mine = Review.objects.filter(pk=review.pk, lease_owner=review.lease_owner)

    def renew() -> None:
        wait = settings.KODIAI_LEASE_SECONDS / 3
        try:
            while not over.wait(wait):
                try:
                    if not mine.update(lease_expires_at=_expiry()):
                        return
                    wait = settings.KODIAI_LEASE_SECONDS / 3
                except (DatabaseError, InterfaceError):
                    logger.exception("lease not renewed", extra=review.delivery.log_fields)
                    connection.close()
                    # Soon again, so that a run that outlives an outage is not taken from its worker after it.
                    wait = min(wait, RETRY_SECONDS)
        finally:
            connection.close()

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def expired() -> Q:
    """The runs that nobody renews any more."""
    return ~Q(lease_owner="") & Q(lease_expires_at__lt=timezone.now())


def _expiry() -> object:
    return timezone.now() + timedelta(seconds=settings.KODIAI_LEASE_SECONDS)
