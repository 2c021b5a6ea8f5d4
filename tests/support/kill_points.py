"""The points of a run and of a sweep at which a test lets something happen: a kill, a push, an outage.

A point is a time stamp of a run or of its rows, right after it is stored, or before or after a function that `watch`
wraps.
Nothing of Kodiai is imported here before `watch`: workers that die on order need the names before Django is ready.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

UNTIL_PUBLISHED = (
    "started_at",
    "loaded_at",
    "enriched_at",
    "event-written",
    "rate_limit_event_recorded_at",
    "analysed_at",
    "publishing_at",
    "review-posted",
    "published_at",
)
IN_PUBLISH_WINDOW = ("publishing_at", "review-posted")
OF_THE_CHECK_RUN = ("posting_at", "check-run-posted", "reported_at")
AFTER_THE_END = ("execution-written", "execution_recorded_at", *OF_THE_CHECK_RUN)
"""The run has ended, and nobody has to claim it again."""
OF_A_RUN = (*UNTIL_PUBLISHED, "finished_at", *AFTER_THE_END)
"""The points of a run that ends well, in their order. `finished_at` is in a transaction, which a kill undoes."""

AFTER = (
    ("reviews.commands.handlers", "post", "answer-posted"),
    ("reviews.service", "record_rate_limit_event", "event-written"),
    ("reviews.publishing.publish", "update_summary", "summary-updated"),
    ("reviews.publishing.publish", "post", "review-posted"),
    ("reviews.publishing.resolve_threads", "resolve", "threads-resolved"),
    ("reviews.publishing.resolve_threads", "edit", "comment-edited"),
    ("reviews.service", "finish", "finished"),
    ("reviews.runs.runner", "finish", "finished"),
    ("reviews.service", "record_execution", "execution-written"),
    ("reviews.publishing.check_runs", "post", "check-run-posted"),
    ("reviews.intake.inbox", "enqueue", "queued"),
    ("reviews.intake.inbox", "enqueue_new", "queued"),
    ("reviews.runs.runner", "enqueue", "queued"),
    ("reviews.maintenance.recovery", "enqueue", "queued"),
)
"""Functions after which a point lies. The effect is there; its time stamp, or its transaction, is not."""
BEFORE = (
    ("tests.support.runs", "process", "given-out"),
    ("reviews.runs.runner", "take_turn", "given-out"),
    ("reviews.runs.runner", "_run", "claimed"),
    ("reviews.runs.runner", "reschedule", "put-back"),
    ("reviews.maintenance.recovery", "fail_attempt", "swept"),
)
"""Functions before which a point lies: a worker has a task and no claim yet, it has claimed a run and not begun it, the
attempt has ended and its claim has not, the sweep has taken a dead worker's claim."""
IN_A_RUN = (
    "given-out",
    "claimed",
    *UNTIL_PUBLISHED,
    "finished_at",
    *AFTER_THE_END,
    "rate_limit_event_tried_at",
    "execution_tried_at",
    "applied_at",
    "answering_at",
    "answer-posted",
    "answered_at",
    "summary-updated",
    "threads-resolved",
    "comment-edited",
    "put-back",
)
"""Every point of any run: of one that was interrupted, that answers a command, that follows another."""
IN_A_SWEEP = ("swept", "queued")


class Killed(BaseException):
    """The process is gone: nothing that would put a run back hears of it, and what is not committed never was."""


def watch(reach: Callable[..., None], replace: Callable[[Any, str, object], None] = setattr) -> None:
    """Call `reach(point, *args)` at every point from now on; `args` are those of the function that passes it."""

    def stamping(stamp: Callable[..., None]) -> Callable[..., None]:
        def watched(row: Any, step: str, **values: object) -> None:
            stamp(row, step, **values)
            reach(step, row)

        return watched

    def before(function: Callable[..., Any], point: str) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            reach(point, *args, *kwargs.values())
            return function(*args, **kwargs)

        return watched

    def after(function: Callable[..., Any], point: str) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            reach(point, *args, *kwargs.values())
            return result

        return watched

    for name in ("Review", "CommandOutcome", "CheckRunReport"):
        model = getattr(import_module("reviews.models"), name)
        replace(model, "stamp", stamping(model.stamp))
    for points, wrapped in ((AFTER, after), (BEFORE, before)):
        for path, name, point in points:
            module = import_module(path)
            replace(module, name, wrapped(getattr(module, name), point))


class Points:
    """What is to happen at which point: once, when it is reached next. It lasts for as long as `monkeypatch` does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from django_tasks_db.models import DBTaskResult

        self._plan: dict[str, Callable[[], None]] = {}
        set_failed = DBTaskResult.set_failed

        def set_failed_if_alive(task: Any, error: BaseException) -> None:
            if isinstance(error, Killed):
                raise error
            set_failed(task, error)

        monkeypatch.setattr(DBTaskResult, "set_failed", set_failed_if_alive)
        watch(lambda point, *_: self.reach(point), monkeypatch.setattr)

    def plan(self, point: str, what: Callable[[], None]) -> None:
        """Let `what` happen when `point` is reached next."""
        self._plan[point] = what

    def forget(self) -> None:
        """Let nothing happen any more."""
        self._plan.clear()

    def reach(self, point: str) -> None:
        """Let happen what is planned for this point."""
        if what := self._plan.pop(point, None):
            what()


def die() -> None:
    """End the process, as far as anybody else can see."""
    raise Killed
