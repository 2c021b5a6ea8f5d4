"""Points of a run, and of what is done about runs, at which a test lets something happen: a kill, a push, an outage.

A point is a time stamp of a run and its rows (right after it is stored), or one of the others that `POINTS` names. What
happens does so once, when the point is reached next.
"""

from collections.abc import Callable
from typing import Any

import pytest
from django_tasks_db.models import DBTaskResult

from reviews import service
from reviews.commands import handlers
from reviews.intake import inbox
from reviews.maintenance import recovery
from reviews.models import CheckRunReport, CommandOutcome, Review
from reviews.publishing import check_runs, publish, resolve_threads
from reviews.runs import runner

STAMPS = (
    "started_at",
    "applied_at",
    "answering_at",
    "answered_at",
    "loaded_at",
    "enriched_at",
    "rate_limit_event_tried_at",
    "rate_limit_event_recorded_at",
    "analysed_at",
    "publishing_at",
    "published_at",
    "finished_at",
    "execution_recorded_at",
    "posting_at",
    "reported_at",
)
EFFECTS = (
    "answer-posted",
    "event-written",
    "summary-updated",
    "review-posted",
    "threads-resolved",
    "comment-edited",
    "execution-written",
    "check-run-posted",
)
IN_A_RUN = ("given-out", "claimed", *STAMPS, *EFFECTS, "put-back")
"""`given-out`: a worker has the task and not yet the claim. Effects: right after each, before its time stamp is stored.
`put-back`: the attempt has ended, its claim has not."""
IN_A_SWEEP = ("swept", "queued")
"""`swept`: the sweep has taken a dead worker's claim. `queued`: a task was made, its transaction is not committed."""


class Killed(BaseException):
    """The process is gone: nothing that would put a run back hears of it, and what is not committed never was."""


class Points:
    """What is to happen at which point. Its wrappers stay for as long as `monkeypatch` does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._plan: dict[str, Callable[[], None]] = {}
        set_failed = DBTaskResult.set_failed

        def then_reached(stamp: Callable[..., None]) -> Callable[..., None]:
            def stamp_then(row: Review | CommandOutcome | CheckRunReport, step: str, **values: object) -> None:
                stamp(row, step, **values)
                self.reach(step)

            return stamp_then

        def set_failed_if_alive(task: Any, error: BaseException) -> None:
            if isinstance(error, Killed):
                raise error
            set_failed(task, error)

        for model in (Review, CommandOutcome, CheckRunReport):
            monkeypatch.setattr(model, "stamp", then_reached(model.stamp))
        monkeypatch.setattr(DBTaskResult, "set_failed", set_failed_if_alive)
        for module, name, point in (
            (runner, "claim", "claimed"),
            (handlers, "post", "answer-posted"),
            (service, "record_rate_limit_event", "event-written"),
            (publish, "update_summary", "summary-updated"),
            (publish, "post", "review-posted"),
            (resolve_threads, "resolve", "threads-resolved"),
            (resolve_threads, "edit", "comment-edited"),
            (service, "record_execution", "execution-written"),
            (check_runs, "post", "check-run-posted"),
            (inbox, "enqueue", "queued"),
            (runner, "enqueue", "queued"),
            (recovery, "enqueue", "queued"),
        ):
            monkeypatch.setattr(module, name, self._then(getattr(module, name), point))
        for module, name, point in (
            (runner, "process", "given-out"),
            (runner, "reschedule", "put-back"),
            (recovery, "fail_attempt", "swept"),
        ):
            monkeypatch.setattr(module, name, self._before(getattr(module, name), point))

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

    def _then(self, function: Callable[..., Any], point: str) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            self.reach(point)
            return result

        return wrapped

    def _before(self, function: Callable[..., Any], point: str) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.reach(point)
            return function(*args, **kwargs)

        return wrapped
