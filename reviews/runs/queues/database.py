"""The queue in the database. django-tasks-db claims and runs the tasks.

Only the waiting differs: its worker polls each second; this one is woken by the database, so that an idle worker
starts a run within milliseconds and uses almost no CPU.
"""

import time
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connection
from django.db.models import Q
from django_tasks import TaskResultStatus
from django_tasks_db.management.commands.db_worker import Worker as QueueWorker
from django_tasks_db.models import DBTaskResult

from reviews.runs.queues import MAX_WAIT
from reviews.runs.queues.enqueue import CHANNEL

POLL_SECONDS = 0.05
"""Seconds between two checks for changes of SQLite's file. A check is one PRAGMA of some microseconds."""


class DatabaseQueue:
    """The queue in the database, for one worker process."""

    outages: tuple[type[Exception], ...] = (DatabaseError, InterfaceError)

    def __init__(self, worker: str) -> None:
        self._stopped = False
        # Batch mode runs tasks until none is ready.
        self._queue = QueueWorker(
            queue_names=["*"],
            interval=0,
            batch=True,
            backend_name="default",
            startup_delay=False,
            max_tasks=None,
            worker_id=worker,
            excluded_queue_names=[],
        )

    def stop(self) -> None:
        """Let `work` return after the current task. Safe to call from a signal handler."""
        self._queue.running = False
        self._stopped = True

    def work(self) -> None:
        """Run what is ready; if nothing is, wait for new tasks, at most `MAX_WAIT`."""
        # Listen before the run: a task that is queued meanwhile ends the wait at once.
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")
            self._queue.run()
            self._wait_for_notification()
        else:
            version = _data_version()
            self._queue.run()
            self._wait_for_change(version)

    def _wait_for_notification(self) -> None:
        connection.ensure_connection()
        with connection.wrap_database_errors:
            for _ in connection.connection.notifies(timeout=MAX_WAIT, stop_after=1):
                return

    def _wait_for_change(self, version: int) -> None:
        deadline = time.monotonic() + MAX_WAIT
        while time.monotonic() < deadline and not self._stopped and _data_version() == version:
            time.sleep(POLL_SECONDS)


def still_queued(task_ids: Iterable[str], before: datetime) -> set[str]:
    """Return the tasks that are waiting, or were started at `before` or later."""
    known = DBTaskResult.objects.filter(id__in=filter(None, map(_uuid, task_ids))).filter(
        Q(status=TaskResultStatus.READY)
        | Q(status=TaskResultStatus.RUNNING) & (Q(started_at__isnull=True) | Q(started_at__gte=before))
    )
    return set(map(str, known.values_list("id", flat=True)))


def _uuid(task_id: str) -> UUID | None:
    """Parse the id; None for an id of the other queue, from before the setting was changed."""
    try:
        return UUID(task_id)
    except ValueError:
        return None


def _data_version() -> int:
    """Return SQLite's counter of changes by other connections. Source: SQLite docs, PRAGMA data_version."""
    connection.ensure_connection()
    with connection.wrap_database_errors:
        # Without Django's cursor, which costs five times as much: this runs twenty times a second.
        return int(connection.connection.execute("PRAGMA data_version").fetchone()[0])
