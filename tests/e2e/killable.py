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
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.apps import AppConfig

from tests.support import kill_points as steps

POINTS = (
    "task-taken",  # the task is the worker's, the run is not yet
    "claimed",
    *steps.UNTIL_PUBLISHED,
    "finished_at",  # in the transaction, which is lost
    "finished",
    *steps.AFTER_THE_END,
    "taken-over",  # a sweep that has found a run whose worker died, dies too
)
"""Where a worker can be ordered to die: time stamps, and what lies between an effect and its stamp."""
IN_PUBLISH_WINDOW = ("publishing_at", "review-posted")
AFTER_THE_END = ("finished", *steps.AFTER_THE_END)
"""Points at which nobody has to claim the run again."""

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
    from reviews import service, worker
    from reviews.maintenance import recovery
    from reviews.models import CheckRunReport, Delivery, Review
    from reviews.publishing import check_runs, publish
    from reviews.runs import runner

    def then(name: str, function: Callable[..., Any], delivery_id: Callable[..., str]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            _die_if_ordered(delivery_id(*args, **kwargs), name)
            return result

        return wrapped

    run, claim, fail_attempt = worker.Worker.run, runner.claim, recovery.fail_attempt

    def watched_run(self: worker.Worker) -> None:
        _log(event="start")
        run(self)

    def watched_claim(delivery_pk: int, worker: str) -> Review | None:
        _die_if_ordered(Delivery.objects.get(pk=delivery_pk).delivery_id, "task-taken")
        review = claim(delivery_pk, worker)
        if review is not None:
            _log(event="claim", delivery=review.delivery.delivery_id)
            _die_if_ordered(review.delivery.delivery_id, "claimed")
        return review

    def dying(stamp: Callable[..., None]) -> Callable[..., None]:
        def dying_stamp(row: Review | CheckRunReport, step: str, **values: object) -> None:
            stamp(row, step, **values)
            review = row if isinstance(row, Review) else row.review
            _die_if_ordered(review.delivery.delivery_id, step)

        return dying_stamp

    def dying_sweep(review: Review, *args: Any, **kwargs: Any) -> None:
        _die_if_ordered(review.delivery.delivery_id, "taken-over")
        fail_attempt(review, *args, **kwargs)

    worker.Worker.run = watched_run  # type: ignore[method-assign]
    runner.claim = watched_claim
    Review.stamp = dying(Review.stamp)  # type: ignore[method-assign]
    CheckRunReport.stamp = dying(CheckRunReport.stamp)  # type: ignore[method-assign]
    recovery.fail_attempt = dying_sweep
    publish.post = then("review-posted", publish.post, lambda _, review, *__: review.delivery.delivery_id)
    check_runs.post = then("check-run-posted", check_runs.post, lambda _, row, *__: row.review.delivery.delivery_id)
    finish = then("finished", service.finish, lambda review, *_, **__: review.delivery.delivery_id)
    service.finish = runner.finish = finish
    service.record_rate_limit_event = then(
        "event-written", service.record_rate_limit_event, lambda delivery_id, **_: delivery_id
    )
    service.record_execution = then("execution-written", service.record_execution, lambda delivery_id, **_: delivery_id)


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
