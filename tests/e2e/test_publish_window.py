"""The publish window: a worker dies between the post of a review and storing that it was posted."""

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import Fault, FaultKind, PullRequest
from tests.support.running_kodiai import Kodiai, running_kodiai
from tests.support.waiting import eventually

pytestmark = [pytest.mark.ops04, pytest.mark.xdist_group("e2e")]

GITHUB_ENDS_REQUESTS_AFTER = 10.0
"""Seconds. Source: GitHub REST docs, "Best practices", time-outs."""


@pytest.fixture(scope="module")
def kodiai(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kodiai]:
    with running_kodiai(tmp_path_factory.mktemp("window"), workers=2) as running:
        yield running


def run_of(kodiai: Kodiai, delivery_id: str, columns: str) -> tuple[Any, ...]:
    return kodiai.rows(
        f"SELECT {columns} FROM reviews_review r JOIN reviews_delivery d ON d.id = r.delivery_id"
        f" WHERE d.delivery_id = '{delivery_id}'"
    )[0]


def kill_the_worker_of(kodiai: Kodiai, delivery_id: str) -> None:
    """SIGKILL for the process that has claimed a run; the claim names it."""
    (owner,) = run_of(kodiai, delivery_id, "r.lease_owner")
    os.kill(int(owner.split(":")[1]), signal.SIGKILL)


def assert_published_once(kodiai: Kodiai, delivery_id: str, pull: PullRequest) -> None:
    """Wait for the end of the run; there is one review, the row says which, and telemetry has one row of each."""
    eventually(
        lambda: run_of(kodiai, delivery_id, "d.status, r.execution_recorded_at IS NOT NULL") in [("done", True)],
        "the run ends",
    )
    assert [review["id"] for review in pull.reviews] == list(run_of(kodiai, delivery_id, "r.github_review_id"))
    assert run_of(kodiai, delivery_id, "r.conclusion, r.lease_owner, r.attempts") == ("success", "", 1)
    for table in ("rate_limit_events", "executions"):
        assert kodiai.rows(f"SELECT count(*) FROM {table} WHERE delivery_id = '{delivery_id}'") == [(1,)]


def test_a_kill_after_github_took_the_review_posts_no_second(kodiai: Kodiai) -> None:
    repo = kodiai.github.create_repository("octo/taken", files={"a.py": "x = 1\n"})
    pull = repo.open_pull_request(changes={"a.py": "import os\n"})
    held = kodiai.github.fail("create_review", Fault(FaultKind.APPLIED_THEN_DELAYED))
    kodiai.send(pull, delivery_id="taken")
    eventually(held.reached.is_set, "GitHub has taken the review")

    kill_the_worker_of(kodiai, "taken")

    assert_published_once(kodiai, "taken", pull)
    held.release()


def test_a_kill_before_github_stored_the_review_posts_no_second(kodiai: Kodiai) -> None:
    """GitHub works on the post for as long as it ever does, while the next worker could already look for its marker."""
    repo = kodiai.github.create_repository("octo/late", files={"a.py": "x = 1\n"})
    pull = repo.open_pull_request(changes={"a.py": "import os\n"})
    before = kodiai.github.count("create_review")
    held = kodiai.github.fail("create_review", Fault(FaultKind.APPLIED_LATE))
    kodiai.send(pull, delivery_id="late")
    eventually(held.reached.is_set, "GitHub has the request")
    # The time is what is tested: no sooner than GitHub's last moment.
    threading.Timer(GITHUB_ENDS_REQUESTS_AFTER, held.release).start()

    kill_the_worker_of(kodiai, "late")

    # The run is put back long before the review is there: only the wait keeps it from being posted again.
    eventually(lambda: run_of(kodiai, "late", "d.status, r.lease_owner") == ("queued", ""), "the run is put back")
    assert not held.applied.is_set()
    eventually(held.applied.is_set, "GitHub has stored the review")
    assert_published_once(kodiai, "late", pull)
    assert kodiai.github.count("create_review") == before + 1
