"""The worker: runs tasks as they come, from whichever queue is configured, and the periodic tasks beside them."""

import logging
import os
import socket
import threading
import time

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.utils.crypto import get_random_string

from reviews import shutdown
from reviews.maintenance import scheduler
from reviews.runs.queues import MAX_WAIT, configured_queue
from reviews.runs.runner import release

logger = logging.getLogger(__name__)

PERIODIC_SECONDS = 1.0
"""Seconds between two looks at whether a periodic task is due."""
OUTAGE_LOG_SECONDS = 30.0
"""Seconds between two log lines about an outage that lasts."""
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
        self._queue = configured_queue(self.name)

    def stop(self) -> None:
        """Take no more work. Safe to call from a signal handler."""
        shutdown.stop()
        self._queue.stop()
        self._told_to_stop = True

    def run(self) -> None:
        """Work until stopped. A database or a queue that is away is waited for."""
        for beside in (self._run_periodic_tasks, self._end_in_time):
            threading.Thread(target=beside, name=beside.__name__.strip("_"), daemon=True).start()
        logger.info("worker started", extra={"worker": self.name})
        outages: tuple[type[Exception], ...] = (DatabaseError, InterfaceError, *self._queue.outages)
        next_log = 0.0
        while not self._told_to_stop:
            try:
                self._queue.work()
            except outages:
                if time.monotonic() >= next_log:
                    logger.exception("database or queue failed, the worker tries again", extra={"worker": self.name})
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
            release()
        except Exception:  # the edge of a worker: it ends all the same, and its lease runs out
            logger.exception("run not handed back")
        os._exit(0)
