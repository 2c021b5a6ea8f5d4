"""Leases: a run belongs to one worker at a time, and to a dead worker for no longer than its lease.

A worker claims a run with one filtered UPDATE and renews the claim while it works. Every later write to the run is
filtered by the claim (`Review.store`), so a worker that was suspended for longer than its lease notices that the claim
is lost before it writes, or posts, anything. The database allows one claimed run per pull request.
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

from reviews.models import CLAIMED, Delivery, DeliveryStatus, Review, unconfirmed_post

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
"""Seconds between two attempts to renew a lease while the database is unavailable."""


def claim(delivery_pk: int, worker: str) -> Review | None:
    """Claim the run of a delivery for `worker`; return None if it is finished, claimed, or has to wait.

    A run with an unconfirmed post waits until `deferred_until`, when GitHub lists the post or never will; a stray task
    may come earlier. Raises `IntegrityError` while another run of the same pull request is claimed.
    """
    owner = f"{worker}:{get_random_string(12)}"
    # Conditions on the row itself, and no join: PostgreSQL checks them again after it has waited for the row's lock.
    free = Review.objects.filter(
        Q(deferred_until=None) | Q(deferred_until__lte=timezone.now()) | ~unconfirmed_post(),
        delivery_id=delivery_pk,
        lease_owner="",
        finished_at__isnull=True,
    )
    with transaction.atomic():
        if not free.update(lease_owner=owner, lease_expires_at=_expiry()):
            return None
        Delivery.objects.filter(pk=delivery_pk).update(status=DeliveryStatus.RUNNING)
        # In the same transaction: a connection lost after it would leave a claim that no worker knows of.
        return Review.objects.select_related("delivery").get(delivery_id=delivery_pk)


@contextmanager
def renewed(review: Review) -> Iterator[None]:
    """Renew the claim on a run in the background until the end of the block."""
    over = threading.Event()
    # The owner as of now: another thread may change it in memory and be rolled back.
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
                    logger.exception("lease not renewed", extra=review.log_fields)
                    connection.close()
                    # Retry soon, so that a run that survives an outage is not taken from its worker after it.
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
    """Runs whose lease has expired."""
    return CLAIMED & Q(lease_expires_at__lt=timezone.now())


def _expiry() -> object:
    return timezone.now() + timedelta(seconds=settings.KODIAI_LEASE_SECONDS)
