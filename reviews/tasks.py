"""The queue's view of Kodiai: one task, whose argument is the key of a `Delivery`."""

from datetime import datetime

from django.db import connection
from django.utils import timezone
from django_tasks import task

from reviews.models import Delivery, DeliveryStatus

CHANNEL = "kodiai_tasks"
"""The PostgreSQL channel on which idle workers listen for new tasks."""


@task()
def process_delivery(delivery_pk: int) -> None:
    """Act on a delivery; see `reviews.runner.process`."""
    # Here and not above: the web process queues tasks and has no use for the GitHub client, 60 MB and a second.
    from reviews.runner import process

    process(delivery_pk)


def enqueue(delivery: Delivery, run_after: datetime | None = None) -> None:
    """Queue a delivery in the caller's transaction, so that row and task commit together; wake an idle worker.

    `run_after` is the earliest time at which it is run; None is now.
    """
    queued = process_delivery.using(run_after=run_after).enqueue(delivery.pk)
    Delivery.objects.filter(pk=delivery.pk).update(
        status=DeliveryStatus.QUEUED, queued_at=run_after or timezone.now(), task_id=queued.id
    )
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")
