"""The worker: runs tasks as they come, and the periodic tasks between and beside them.

The queue is `django-tasks-db`'s and so is the code that claims and runs a task. What is ours is the waiting: its own
worker asks the database each second; this one is woken by the database, so that an idle worker starts a run within
milliseconds and still costs next to nothing.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.utils.crypto import get_random_string
from django_tasks_db.management.commands.db_worker import Worker as QueueWorker

from reviews import periodic, stopping
from reviews.runner import hand_back
from reviews.tasks import CHANNEL

logger = logging.getLogger(__name__)

LONGEST_WAIT = 1.0
"""Seconds after which an idle worker looks at the queue in any case: for tasks whose time has come."""
LOOK_SECONDS = 0.05
"""Seconds between two looks at whether SQLite's file has changed. A look is one PRAGMA, some microseconds."""
PERIODIC_SECONDS = 1.0
"""Seconds between two looks at whether a periodic task is due."""
REST_SECONDS = 3.0
"""For which periodic tasks rest when the database is back: the workers that waited for it come first, and renew or put
back what is theirs, though late."""
LEAVING_SECONDS = 5.0
"""What is left of the grace period when a run whose step does not end is handed back."""


class Worker:
    """Runs tasks until `stop` is called. Then the run under way is handed back after the step that it is in.

    A step that takes longer than the grace period (`KODIAI_GRACE_SECONDS`) allows is cut short with the process.
    """

    def __init__(self) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{get_random_string(6)}"[-64:]
        # A flag and no lock: a signal handler that waits for the lock of an Event can wait for the very code that it
        # interrupted.
        self._told_to_stop = False
        self._over = threading.Event()
        # In batch mode it runs tasks until none is ready.
        self._queue = QueueWorker(
            queue_names=["*"],
            interval=0,
            batch=True,
            backend_name="default",
            startup_delay=False,
            max_tasks=None,
            worker_id=self.name,
            excluded_queue_names=[],
        )

    def stop(self) -> None:
        """Take no more work. Safe to call from a signal handler."""
        stopping.stop()
        self._queue.running = False
        self._told_to_stop = True

    def run(self) -> None:
        """Work until stopped. A database that is away is waited for."""
        for beside in (self._run_periodic_tasks, self._end_in_time):
            threading.Thread(target=beside, name=beside.__name__.strip("_"), daemon=True).start()
        logger.info("worker started", extra={"worker": self.name})
        while not self._told_to_stop:
            try:
                wait = self._new_wait()
                self._queue.run()
                wait()
            except (DatabaseError, InterfaceError):
                logger.exception("database failed, the worker tries again", extra={"worker": self.name})
                connection.close()
                time.sleep(LONGEST_WAIT)
        self._over.set()
        logger.info("worker stopped", extra={"worker": self.name})

    def _new_wait(self) -> Callable[[], None]:
        """Prepare to wait for work; return what waits. What is queued in between ends that wait at once."""
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")
            return self._wait_for_notification
        version = _data_version()
        return lambda: self._wait_for_change(version)

    def _wait_for_notification(self) -> None:
        connection.ensure_connection()
        with connection.wrap_database_errors:
            for _ in connection.connection.notifies(timeout=LONGEST_WAIT, stop_after=1):
                return

    def _wait_for_change(self, version: int) -> None:
        deadline = time.monotonic() + LONGEST_WAIT
        while time.monotonic() < deadline and not self._told_to_stop and _data_version() == version:
            time.sleep(LOOK_SECONDS)

    def _run_periodic_tasks(self) -> None:
        if settings.KODIAI_SWEEP_SECONDS <= 0:
            return
        prepared, rest = False, 0.0
        while not self._over.wait(PERIODIC_SECONDS):
            close_old_connections()
            try:
                if not prepared:
                    periodic.prepare()
                    prepared = True
                    self._over.wait(rest)
                periodic.run_due()
            except Exception:  # the edge of a worker: the database may be away, and comes back
                logger.exception("periodic tasks failed")
                connection.close()
                prepared, rest = False, REST_SECONDS

    def _end_in_time(self) -> None:
        while not self._told_to_stop:
            if self._over.wait(0.2):
                return
        if self._over.wait(max(0.0, settings.KODIAI_GRACE_SECONDS - LEAVING_SECONDS)):
            return
        try:
            hand_back()
        except Exception:  # the edge of a worker: it ends all the same, and its lease runs out
            logger.exception("run not handed back")
        os._exit(0)


def _data_version() -> int:
    """SQLite's count of changes by other connections. Source: SQLite documentation, PRAGMA data_version."""
    connection.ensure_connection()
    with connection.wrap_database_errors:
        # Past Django's cursor: this is asked twenty times a second, and costs a fifth so.
        return int(connection.connection.execute("PRAGMA data_version").fetchone()[0])
