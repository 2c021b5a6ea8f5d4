"""The queue on Redis: filled by RQ through Django Tasks, emptied by the loop below.

RQ's worker forks for each task, or cannot be stopped between two steps; it keeps results, and the task of a killed
worker stays "queued" for ever. This loop removes a task from Redis when it takes it. Nothing is lost: the delivery is
in the inbox, and the sweep requeues what is neither waiting in Redis nor running.
"""

import logging
from collections.abc import Iterable
from functools import cache

import django_rq
from django.conf import settings
from django.db import close_old_connections
from django_tasks_rq import Job
from redis import ConnectionPool, Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.utils import as_text

from reviews.runs.queues import MAX_WAIT
from reviews.runs.runner import OUTAGES

logger = logging.getLogger(__name__)

ANSWER_SECONDS = 5.0
"""Seconds that a worker waits for Redis beyond the time of a blocking call."""
MAX_DUE = 100
"""Scheduled tasks that are queued in one batch."""


class RedisQueue:
    """The queue on Redis, for one worker process."""

    outages: tuple[type[Exception], ...] = (RedisError,)

    def __init__(self, worker: str) -> None:
        self._stopped = False

    def stop(self) -> None:
        """Let `work` return after the current task. Safe to call from a signal handler."""
        self._stopped = True

    def work(self) -> None:
        """Run what is ready; if nothing is, wait for new tasks, at most `MAX_WAIT`."""
        queue = _queue()
        _queue_due(queue)
        taken = queue.connection.blpop([queue.key], MAX_WAIT)
        if taken is None:
            return
        job_id = as_text(taken[1])
        if self._stopped:
            queue.push_job_id(job_id, at_front=True)
            return
        close_old_connections()
        _run(queue, job_id)
        close_old_connections()


def still_queued(task_ids: Iterable[str]) -> set[str]:
    """Return the tasks that wait in Redis, for a worker or for their time. Raises `RedisError`.

    It reads the list, not the tasks: a task of a killed worker has the status "queued" for ever.
    """
    queue = _queue()
    return set(task_ids) & {*queue.get_job_ids(), *queue.scheduled_job_registry.get_job_ids()}


def _run(queue: Queue, job_id: str) -> None:
    try:
        job = Job.fetch(job_id, connection=queue.connection, serializer=queue.serializer)
    except NoSuchJobError:
        return  # evicted by Redis; the sweep requeues its delivery
    queue.connection.delete(job.key)
    try:
        # Not `perform`, which makes several more calls to Redis for unused results.
        job.func.call(*job.args, **job.kwargs)
    except OUTAGES:
        queue.enqueue_job(job, at_front=True)
        raise
    except Exception:  # the edge of a worker: the delivery is in the inbox, and the sweep requeues it
        logger.exception("task failed", extra={"task": job_id})


def _queue_due(queue: Queue) -> None:
    """Queue the tasks whose time has come. Of several workers, the one that removes a task queues it."""
    scheduled = queue.scheduled_job_registry
    for job_id in scheduled.get_jobs_to_schedule(chunk_size=MAX_DUE):
        if scheduled.remove(job_id):
            queue.push_job_id(job_id)


@cache
def _queue() -> Queue:
    """Return the queue, on connections with longer time-outs than those of the intake."""
    pool = ConnectionPool.from_url(
        settings.KODIAI_TASKS_URL,
        socket_timeout=MAX_WAIT + ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
    )
    return django_rq.get_queue(connection=Redis(connection_pool=pool), job_class=Job)
