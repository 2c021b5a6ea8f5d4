"""The worker: runs queued tasks, and the periodic tasks in a thread."""

import logging
import os
import socket
import threading
import time

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.utils.crypto import get_random_string

from reviews import shutdown
from reviews.engines import confinement, scratch
from reviews.maintenance import scheduler
from reviews.runs.queues import MAX_WAIT, configured_queue
from reviews.runs.runner import release

logger = logging.getLogger(__name__)

PERIODIC_SECONDS = 1.0
"""Seconds between two checks for due periodic tasks."""
OUTAGE_LOG_SECONDS = 30.0
"""Seconds between two log lines about a lasting outage."""
REST_SECONDS = 3.0
"""Pause of the periodic tasks after a database outage, so that waiting workers renew or reschedule their runs first."""
LEAVING_SECONDS = 5.0
"""Remaining grace period at which a run whose step does not end is released."""


class Worker:
    """Run tasks until `stop` is called; then the current run is released after its current step.

    A step that outlasts the grace period (`KODIAI_GRACE_SECONDS`) is cut off with the process.
    """

    def __init__(self) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{get_random_string(6)}"[-64:]
        # A flag, not an Event: a signal handler that waits for an Event's lock can wait for the code it interrupted.
        self._stop_requested = False
        self._over = threading.Event()
        self._queue = configured_queue(self.name)

    def stop(self) -> None:
        """Take no more work. Safe to call from a signal handler."""
        shutdown.stop()
        self._queue.stop()
        self._stop_requested = True

    def run(self) -> None:
        """Work until stopped. Wait while the database or the queue is unavailable."""
        for beside in (self._run_periodic_tasks, self._end_in_time):
            threading.Thread(target=beside, name=beside.__name__.strip("_"), daemon=True).start()
        swept = scratch.sweep()
        logger.info(
            "worker started",
            extra={"worker": self.name, "confinement": confinement.in_force().name, "scratch_directories_swept": swept},
        )
        outages: tuple[type[Exception], ...] = (DatabaseError, InterfaceError, *self._queue.outages)
        next_log = 0.0
        while not self._stop_requested:
            try:
                self._queue.work()
            except outages:
                if time.monotonic() >= next_log:
                    logger.exception("database or queue failed, retrying", extra={"worker": self.name})
                    next_log = time.monotonic() + OUTAGE_LOG_SECONDS
                connection.close()
                time.sleep(MAX_WAIT)
        self._over.set()
        logger.info("worker stopped", extra={"worker": self.name})

    def _run_periodic_tasks(self) -> None:
        if settings.KODIAI_SWEEP_SECONDS <= 0:
            return
        prepared, rest = False, 0.0
        while not self._over.wait(PERIODIC_SECONDS):
            close_old_connections()
            try:
                if not prepared:
                    scheduler.prepare()
                    prepared = True
                    self._over.wait(rest)
                scheduler.run_due()
            except Exception:  # the edge of a worker: the database may be unavailable for a while
                logger.exception("periodic tasks failed")
                connection.close()
                prepared, rest = False, REST_SECONDS

    def _end_in_time(self) -> None:
        while not self._stop_requested:
            if self._over.wait(0.2):
                return
        if self._over.wait(max(0.0, settings.KODIAI_GRACE_SECONDS - LEAVING_SECONDS)):
            return
        try:
            release()
        except Exception:  # the edge of a worker: it ends anyway, and its lease expires
            logger.exception("run not released")
        os._exit(0)
