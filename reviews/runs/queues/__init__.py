"""The two queues that a worker can work from: the database's (django-tasks-db), and Redis' (RQ).

Neither is trusted. The inbox knows what is to be done; a queue only says so to a worker soon.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from django.conf import settings

logger = logging.getLogger(__name__)

MAX_WAIT = 1.0
"""Seconds after which an idle worker looks at the queue in any case: for tasks whose time has come."""


class WorkQueue(Protocol):
    """A queue as a worker sees it."""

    outages: tuple[type[Exception], ...]
    """What `work` raises while the queue cannot be reached."""

    def work(self) -> None:
        """Run what is ready. If nothing is, return when there is something new, or after `MAX_WAIT`."""

    def stop(self) -> None:
        """Let `work` return after the task under way. Safe to call from a signal handler."""


def configured_queue(worker: str) -> WorkQueue:
    """The queue that `KODIAI_TASKS_URL` names, for one worker process."""
    # Imported here, both of them: RQ costs 18 MB, which only those pay who use it.
    if settings.KODIAI_TASKS_URL:
        from reviews.runs.queues.redis import RedisQueue

        return RedisQueue(worker)
    from reviews.runs.queues.database import DatabaseQueue

    return DatabaseQueue(worker)


def still_queued(task_ids: Sequence[str], before: datetime) -> set[str] | None:
    """Return those tasks that somebody will run, or has begun to run not longer ago than `before`.

    None where the queue cannot be asked, so that nothing is known about any of them.
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
        logger.warning("queue cannot be asked what waits", extra={"error": f"{type(error).__name__}: {error}"})
        return None
