"""A process that runs one delivery and is killed at one point of it: `python -m tests.killed_run <delivery> <point>`.

A point is a time stamp of `Review` (the process dies right after it is stored), or one of three between an effect and
its time stamp: `event-written`, `review-posted`, `execution-written`. A third argument names another signal: SIGSTOP.
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
from reviews.models import Review  # noqa: E402
from reviews.runner import process  # noqa: E402


def dying_after(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if point == name:
            os.kill(os.getpid(), deadly)
        return result

    return wrapped


stamp = Review.stamp


def dying_stamp(review: Review, step: str, **values: object) -> None:
    stamp(review, step, **values)
    if point == step:
        os.kill(os.getpid(), deadly)


Review.stamp = dying_stamp  # type: ignore[method-assign]
service.record_rate_limit_event = dying_after("event-written", service.record_rate_limit_event)
service.post = dying_after("review-posted", service.post)
service.record_execution = dying_after("execution-written", service.record_execution)
process(delivery_pk)
