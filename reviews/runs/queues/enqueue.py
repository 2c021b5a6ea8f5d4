"""Queue a delivery. With the queue in the database, row and task commit together."""

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
"""By path, as queued rows hold it: the task imports the runner, and the runner queues tasks."""
CHANNEL = "kodiai_tasks"
"""The PostgreSQL channel on which idle workers listen for new tasks."""
AWAY_SECONDS = 1.0
"""How long Redis is not called after a failure, so that an outage hardly slows the intake."""

_away_until = 0.0


def enqueue(delivery: Delivery, run_after: datetime | None = None) -> None:
    """Queue a delivery in the caller's transaction and wake an idle worker.

    `run_after` is the earliest time of the run; None is now. Redis gets the task after the commit; until then
    `task_id` is empty.
    """
    queued = Delivery.objects.filter(pk=delivery.pk)
    if settings.KODIAI_TASKS_URL:
        queued.update(status=DeliveryStatus.QUEUED, queued_at=run_after or timezone.now(), task_id="")
        # Robust: the delivery is stored, so a failure after the commit must not change the answer.
        transaction.on_commit(partial(_push_to_redis, delivery.pk, run_after), robust=True)
        return
    task_id = _task().using(run_after=run_after).enqueue(delivery.pk).id
    queued.update(status=DeliveryStatus.QUEUED, queued_at=run_after or timezone.now(), task_id=task_id)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")


def queue_is_away() -> bool:
    """Return whether Redis has just failed. Always false with the queue in the database."""
    return time.monotonic() < _away_until


def _push_to_redis(delivery_pk: int, run_after: datetime | None) -> None:
    """Queue a task on Redis. If that fails, the sweep queues it later."""
    global _away_until
    from redis.exceptions import RedisError

    if queue_is_away():
        return
    if run_after is not None:
        # RQ truncates to whole seconds, and no run may start early.
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
