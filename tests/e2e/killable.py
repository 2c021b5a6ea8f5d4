"""A Django app of the tests whose workers die on order: the real processes, with a hook in each that no other has.

It wraps what a run goes through when a worker starts; `tests.e2e.killable_settings` adds it. An order is an empty file
`<digest of the delivery id>.<point>` in the folder `KILL_ORDERS`; the process that takes it away dies at that point by
SIGKILL. What was started, claimed and killed is written to the file `LOG` there, a line of JSON each.
"""

import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from django.apps import AppConfig

from tests.support import kill_points

POINTS = (
    "given-out",
    "claimed",
    *kill_points.UNTIL_PUBLISHED,
    "finished_at",
    "finished",
    *kill_points.AFTER_THE_END,
    "swept",
)
"""Where a worker can be ordered to die."""

LOG = "log"

_folder = Path(os.environ.get("KILL_ORDERS", os.devnull))


class Killable(AppConfig):
    name = "tests.e2e.killable"
    label = "killable"

    def ready(self) -> None:
        if "run" in sys.argv[1:2]:
            from kodiai import supervisor

            # Workers die here without being at fault, and are started again at once.
            supervisor.RESTART_SECONDS = (0.1, 0.1)
        if "worker" in sys.argv[1:2]:
            _hook()


def order_path(folder: Path, delivery_id: str, point: str) -> Path:
    return folder / f"{hashlib.sha256(delivery_id.encode()).hexdigest()[:24]}.{point}"


def _hook() -> None:
    from reviews import worker
    from reviews.models import CheckRunReport, Delivery, Review
    from reviews.runs import runner

    run, begin = worker.Worker.run, runner._run

    def watched_run(self: worker.Worker) -> None:
        _log(event="start")
        run(self)

    def watched_begin(review: Review) -> None:
        _log(event="claim", delivery=review.delivery.delivery_id)
        begin(review)

    def reach(point: str, *args: object) -> None:
        if point in POINTS:
            _die_if_ordered(delivery_id_of(args), point)

    def delivery_id_of(args: Sequence[object]) -> str:
        """The delivery of the run at a point: functions get the run, or first of all its delivery's key or id."""
        for arg in args:
            if isinstance(arg, CheckRunReport):
                arg = arg.review
            if isinstance(arg, Review):
                return arg.delivery.delivery_id
        return Delivery.objects.get(pk=args[0]).delivery_id if isinstance(args[0], int) else str(args[0])

    worker.Worker.run = watched_run  # type: ignore[method-assign]
    runner._run = watched_begin
    kill_points.watch(reach)


def _die_if_ordered(delivery_id: str, point: str) -> None:
    try:
        order_path(_folder, delivery_id, point).unlink()
    except (FileNotFoundError, NotADirectoryError):
        return
    _log(event="kill", delivery=delivery_id, point=point)
    os.kill(os.getpid(), signal.SIGKILL)


def _log(**fields: object) -> None:
    line = json.dumps({"at": time.time(), "pid": os.getpid(), **fields}) + "\n"
    # One write to a file opened for appending: lines of several processes do not mix.
    log = os.open(_folder / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(log, line.encode())
    finally:
        os.close(log)
