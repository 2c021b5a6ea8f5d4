"""The publish window: a worker dies between the post of a review and storing that it was posted."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from sandbox import Fault, FaultKind
from tests.support.running_kodiai import Kodiai, running_kodiai
from tests.support.waiting import eventually

pytestmark = pytest.mark.ops04

GITHUB_ENDS_REQUESTS_AFTER = 10.0
"""Seconds. Source: GitHub REST docs, "Best practices", time-outs."""


def run_of(kodiai: Kodiai, columns: str) -> tuple[Any, ...]:
    return kodiai.rows(f"SELECT {columns} FROM reviews_review r JOIN reviews_delivery d ON d.id = r.delivery_id")[0]


def test_a_kill_before_github_stored_the_review_posts_no_second(tmp_path: Path) -> None:
    """GitHub works on the post for as long as it ever does, while the next worker could already look for its marker."""
    with running_kodiai(tmp_path, workers=2) as kodiai:
        pull = kodiai.github.create_repository("octo/late").open_pull_request(changes={"a.py": "import os\n"})
        held = kodiai.github.fail("create_review", Fault(FaultKind.APPLIED_LATE))
        kodiai.send(pull, delivery_id="late")
        eventually(held.reached.is_set, "GitHub has the request")
        # The time is what is tested: no sooner than GitHub's last moment.
        threading.Timer(GITHUB_ENDS_REQUESTS_AFTER, held.release).start()

        (owner,) = run_of(kodiai, "r.lease_owner")
        os.kill(int(owner.split(":")[1]), signal.SIGKILL)

        # The run is put back long before the review is there: only the wait keeps it from being posted again.
        eventually(lambda: run_of(kodiai, "d.status, r.lease_owner") == ("queued", ""), "the run is put back")
        eventually(lambda: run_of(kodiai, "d.status, r.execution_recorded_at IS NOT NULL") == ("done", True), "it ends")
        assert [review["id"] for review in pull.reviews] == list(run_of(kodiai, "r.github_review_id"))
        assert run_of(kodiai, "r.conclusion, r.lease_owner, r.attempts") == ("success", "", 1)
        assert kodiai.github.count("create_review") == 1
        for table in ("rate_limit_events", "executions"):
            assert kodiai.rows(f"SELECT count(*) FROM {table} WHERE delivery_id = 'late'") == [(1,)]
