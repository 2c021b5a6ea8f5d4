"""A process that runs one delivery and is killed at one point of it.

`python -m tests.support.killed_process <delivery> <point>` starts it.

A point is a time stamp of a run and its rows (the process dies right after it is stored), or one right after an effect:
`answer-posted`, `event-written`, `summary-updated`, `review-posted`, `threads-resolved`, `comment-edited`,
`execution-written`, `check-run-posted`. A third argument names another signal: SIGSTOP.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import django

delivery_pk, point = int(sys.argv[1]), sys.argv[2]
deadly = signal.Signals[sys.argv[3]] if len(sys.argv) > 3 else signal.SIGKILL
django.setup()

from reviews import service  # noqa: E402
from reviews.commands import handlers  # noqa: E402
from reviews.models import CheckRunReport, CommandOutcome, Review  # noqa: E402
from reviews.publishing import check_runs, publish, resolve_threads  # noqa: E402
from reviews.runs.runner import process  # noqa: E402


def dying_after(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if point == name:
            os.kill(os.getpid(), deadly)
        return result

    return wrapped


def dying_at_its_step(stamp: Callable[..., None]) -> Callable[..., None]:
    def dying_stamp(row: Review | CommandOutcome | CheckRunReport, step: str, **values: object) -> None:
        stamp(row, step, **values)
        if point == step:
            os.kill(os.getpid(), deadly)

    return dying_stamp


for model in (Review, CommandOutcome, CheckRunReport):
    model.stamp = dying_at_its_step(model.stamp)  # type: ignore[method-assign]
handlers.post = dying_after("answer-posted", handlers.post)
service.record_rate_limit_event = dying_after("event-written", service.record_rate_limit_event)
publish.update_summary = dying_after("summary-updated", publish.update_summary)
publish.post = dying_after("review-posted", publish.post)
resolve_threads.resolve = dying_after("threads-resolved", resolve_threads.resolve)
resolve_threads.edit = dying_after("comment-edited", resolve_threads.edit)
service.record_execution = dying_after("execution-written", service.record_execution)
check_runs.post = dying_after("check-run-posted", check_runs.post)
process(delivery_pk)
