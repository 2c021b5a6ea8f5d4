"""The two queues: in the database (django-tasks-db) or on Redis (RQ).

Neither is trusted. The inbox holds the work; a queue only delivers it to a worker quickly.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from django.conf import settings

logger = logging.getLogger(__name__)

MAX_WAIT = 1.0
"""Seconds between two polls of an idle worker, for tasks whose time has come."""


class WorkQueue(Protocol):
    """A queue as a worker sees it."""

    outages: tuple[type[Exception], ...]
    """What `work` raises while the queue cannot be reached."""

    def work(self) -> None:
        """Run all ready tasks. If there are none, wait for new ones, at most `MAX_WAIT`."""

    def stop(self) -> None:
        """Let `work` return after the current task. Safe to call from a signal handler."""


def configured_queue(worker: str) -> WorkQueue:
    """Return the queue that `KODIAI_TASKS_URL` configures, for one worker process."""
    # Both are imported here: RQ costs 18 MB.
    if settings.KODIAI_TASKS_URL:
        from reviews.runs.queues.redis import RedisQueue

        return RedisQueue(worker)
    from reviews.runs.queues.database import DatabaseQueue

    return DatabaseQueue(worker)


def still_queued(task_ids: Sequence[str], before: datetime) -> set[str] | None:
    """Return the tasks that are waiting, or were started at `before` or later.

    None if the queue is unavailable, so that the state of every task is unknown.
    """
    if not settings.KODIAI_TASKS_URL:
        from reviews.runs.queues import database

        return database.still_queued(task_ids, before)
    if not task_ids:
        return set()
    from redis.exceptions import RedisError

    from reviews.runs.queues import redis

    try:
        return redis.still_queued(task_ids)
    except RedisError as error:
        logger.warning(
            "queue unavailable, lost tasks cannot be found", extra={"error": f"{type(error).__name__}: {error}"}
        )
        return None
