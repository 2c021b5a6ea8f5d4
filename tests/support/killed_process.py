"""A process that runs one delivery and is killed at one point of it.

`python -m tests.support.killed_process <delivery> <point>`; a third argument names another signal than SIGKILL.
"""

import os
import signal
import sys

import django

from tests.support.kill_points import watch

delivery_pk, deadly_point = int(sys.argv[1]), sys.argv[2]
deadly = signal.Signals[sys.argv[3]] if len(sys.argv) > 3 else signal.SIGKILL


def die_there(point: str, *_: object) -> None:
    if point == deadly_point:
        os.kill(os.getpid(), deadly)


django.setup()
watch(die_there)

from reviews.runs import runner  # noqa: E402

runner.process(delivery_pk)
