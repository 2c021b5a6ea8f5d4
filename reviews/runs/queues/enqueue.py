"""Queue a delivery, in the transaction that stores it where the queue is in the database."""

import logging
import time
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from django.utils.module_loading import import_string
from django_tasks.base import Task

from reviews.models import Delivery, DeliveryStatus

logger = logging.getLogger(__name__)

TASK = "reviews.tasks.process_delivery"
"""By its path, as queued rows hold it: a task imports the runner, and the runner queues tasks."""
CHANNEL = "kodiai_tasks"
"""The PostgreSQL channel on which idle workers listen for new tasks."""
AWAY_SECONDS = 1.0
"""For which Redis is not asked again once it failed, so that an outage costs the intake next to nothing."""

_away_until = 0.0


def enqueue(delivery: Delivery, run_after: datetime | None = None) -> None:
    """Queue a delivery in the caller's transaction, so that row and task commit together; wake an idle worker.

    `run_after` is the earliest time at which it is run; None is now. Redis is outside of the transaction: there the
    task is handed over after the commit, and `task_id` is empty until that is done.
    """
    queued = Delivery.objects.filter(pk=delivery.pk)
    if settings.KODIAI_TASKS_URL:
        queued.update(status=DeliveryStatus.QUEUED, queued_at=run_after or timezone.now(), task_id="")
        # Robust: whatever fails after the commit, the delivery is stored, and the sender must hear so.
        transaction.on_commit(partial(_hand_over, delivery.pk, run_after), robust=True)
        return
    task_id = _task().using(run_after=run_after).enqueue(delivery.pk).id
    queued.update(status=DeliveryStatus.QUEUED, queued_at=run_after or timezone.now(), task_id=task_id)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")


def queue_is_away() -> bool:
    """Return whether Redis failed a moment ago; never so where the queue is in the database."""
    return time.monotonic() < _away_until


def _hand_over(delivery_pk: int, run_after: datetime | None) -> None:
    """Give a task to Redis. If Redis does not take it, the sweep does this again later."""
    global _away_until
    from redis.exceptions import RedisError

    if queue_is_away():
        return
    if run_after is not None:
        # RQ counts in whole seconds and cuts off the rest; no run may start before its time.
        run_after = run_after.replace(microsecond=0) + timedelta(seconds=1)
    try:
        task_id = _task().using(run_after=run_after).enqueue(delivery_pk).id
    except RedisError as error:
        _away_until = time.monotonic() + AWAY_SECONDS
        logger.warning(
            "Redis failed, deliveries wait for the sweep",
            extra={"delivery": delivery_pk, "error": f"{type(error).__name__}: {error}"},
        )
        return
    Delivery.objects.filter(pk=delivery_pk, status=DeliveryStatus.QUEUED, task_id="").update(task_id=task_id)


def _task() -> "Task[[int], None]":
    task: Task[[int], None] = import_string(TASK)
    return task
