"""A worker stops on any number of signals, and its run goes on in another."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reviews.models import Delivery, DeliveryStatus
from reviews.worker import LEAVING_SECONDS
from sandbox import Fault, FaultKind, PullRequest, Sandbox
from telemetry.models import Conclusion, Execution, RateLimitEvent
from tests.support import processes
from tests.support.processes import ROOT
from tests.support.runs import admit, process_settings, queued_tasks, run
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.queue

MAX_SIGNALS = 5_000


@pytest.fixture
def pull(github: Sandbox) -> PullRequest:
    repo = github.create_repository("octo/stopped", files={"a.py": "x = 1\n"})
    return repo.open_pull_request(changes={"a.py": "import os\nx = 1\n"}, author="mona")


@contextmanager
def worker(log: Path, **settings: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker process on this test's database and sandbox."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            processes.bound(sys.executable, "manage.py", "worker"),
            env=processes.environment(**process_settings(**settings)), cwd=ROOT, stderr=output,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def is_handed_back(delivery: Delivery) -> None:
    """Assert that a run waits for the next worker, with all its attempts, and that it is then done once."""
    delivery.refresh_from_db()
    assert (delivery.status, delivery.review.lease_owner, delivery.review.attempts) == (DeliveryStatus.QUEUED, "", 0)
    assert delivery.review.loaded_at is not None
    assert delivery.pk in [task.delivery_pk for task in queued_tasks()]
    assert run(delivery).conclusion == Conclusion.SUCCESS
    assert RateLimitEvent.objects.count() == Execution.objects.count() == 1


@pytest.mark.ops04
@pytest.mark.django_db(transaction=True)
def test_a_step_past_the_grace_period_releases_the_run(github: Sandbox, pull: PullRequest, tmp_path: Path) -> None:
    delivery = admit(pull)
    held = github.fail("graphql", Fault(FaultKind.APPLIED_THEN_DELAYED))
    log = tmp_path / "log"
    with worker(log, KODIAI_GRACE_SECONDS=str(LEAVING_SECONDS + 0.5)) as process:
        assert held.reached.wait(PATIENCE)

        process.terminate()

        assert process.wait(PATIENCE) == 0
    held.release()
    assert "step exceeds the grace period, releasing its run" in log.read_text()
    is_handed_back(delivery)
    assert len(pull.reviews) == 1


@pytest.mark.ops04
@pytest.mark.django_db(transaction=True)
def test_a_run_is_released_between_two_steps(github: Sandbox, pull: PullRequest, tmp_path: Path) -> None:
    delivery = admit(pull)
    held = github.fail("graphql", Fault(FaultKind.APPLIED_THEN_DELAYED))
    log = tmp_path / "log"
    # Longer than any step, however slow the machine is.
    with worker(log, KODIAI_GRACE_SECONDS=str(PATIENCE)) as process:
        assert held.reached.wait(PATIENCE)

        process.terminate()
        held.release()

        assert process.wait(PATIENCE) == 0
    assert "worker stopping, run released" in log.read_text()
    is_handed_back(delivery)
    assert len(pull.reviews) == 1


@pytest.mark.django_db(transaction=True)
def test_an_idle_worker_survives_many_signals_at_once(tmp_path: Path) -> None:
    """The supervisor, the process group and Linux (a parent that died) may all signal it in the same moment."""
    for attempt in range(2):
        log = tmp_path / f"{attempt}.log"
        with worker(log) as process:
            eventually(lambda log=log: "worker started" in log.read_text(), "the worker is at work")
            for _ in range(MAX_SIGNALS):
                if process.poll() is not None:
                    break
                os.kill(process.pid, signal.SIGTERM)
            # Python gives signals back to the system at its very end: one that comes even later ends the process.
            assert process.wait(PATIENCE) in (0, -signal.SIGTERM)
        assert "worker stopped" in log.read_text()
