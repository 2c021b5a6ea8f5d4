"""Queue a delivery. With the queue in the database, row and task commit together."""

import logging
import time
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from django.utils.module_loading import import_string
from django_tasks.base import Task

from reviews.models import Delivery, DeliveryStatus
from reviews.models.insert import insert_rows

logger = logging.getLogger(__name__)

TASK = "reviews.tasks.process_delivery"
"""By path, as queued rows hold it: the task imports the runner, and the runner queues tasks."""
CHANNEL = "kodiai_tasks"
"""The PostgreSQL channel on which idle workers listen for new tasks."""
AWAY_SECONDS = 1.0
"""How long Redis is not called after a failure, so that an outage hardly slows the intake."""

_away_until = 0.0


def enqueue(delivery: Delivery, run_after: datetime | None = None, *, again: bool = False) -> None:
    """Queue a delivery in the caller's transaction and wake an idle worker.

    `run_after` is the earliest time of the run; None is now. `again`: it is waiting already, and since then. Redis gets
    the task after the commit; until then `task_id` is empty.
    """
    queued = Delivery.objects.filter(pk=delivery.pk)
    due = delivery.queued_at if again else run_after or timezone.now()
    if again and not queued.filter(status=DeliveryStatus.QUEUED).update(queued_at=due):
        # Another worker has taken it since it was read, and its run may have finished.
        return
    if settings.KODIAI_TASKS_URL:
        queued.update(status=DeliveryStatus.QUEUED, queued_at=due, task_id="")
        # Robust: the delivery is stored, so a failure after the commit must not change the answer.
        transaction.on_commit(partial(_push_to_redis, delivery.pk, run_after), robust=True)
        return
    task_id = _task().using(run_after=run_after).enqueue(delivery.pk).id
    queued.update(status=DeliveryStatus.QUEUED, queued_at=due, task_id=task_id)
    _wake_worker()


def queue_is_away() -> bool:
    """Return whether Redis has just failed. Always false with the queue in the database."""
    return time.monotonic() < _away_until


def enqueue_new(tasks: Mapping[int, str]) -> None:
    """Queue deliveries that this transaction has stored with `new_task()`, and wake an idle worker.

    `tasks` has the id of the task for each key of a delivery.
    """
    if not tasks:
        return
    if settings.KODIAI_TASKS_URL:
        for delivery_pk in tasks:
            transaction.on_commit(partial(_push_to_redis, delivery_pk, None), robust=True)
        return
    # What django-tasks-db's `enqueue` writes, in one statement; the id is known before, so no delivery is updated.
    from django_tasks_db.models import DBTaskResult, get_date_max

    task = _task()
    common = {
        "priority": task.priority,
        "task_path": task.module_path,
        "queue_name": task.queue_name,
        "backend_name": task.backend,
        "run_after": get_date_max(),
    }
    rows = [{"id": id_, "args_kwargs": {"args": [key], "kwargs": {}}} for key, id_ in tasks.items()]
    insert_rows(DBTaskResult, rows, common, returning=("id",))
    _wake_worker()


def new_task() -> dict[str, Any]:
    """Return the fields of a new `Delivery` that name its task: see `enqueue_new`."""
    return {"queued_at": timezone.now(), "task_id": "" if settings.KODIAI_TASKS_URL else str(uuid.uuid4())}


def _wake_worker() -> None:
    # SQLite's workers see that the file has changed.
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")


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
