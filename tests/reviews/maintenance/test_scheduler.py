"""Periodic tasks run when due, once at a time, and their state is visible to operators."""

import io
from collections.abc import Mapping
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from reviews.maintenance import scheduler
from reviews.maintenance.scheduler import Periodic, prepare, run_all, run_due
from reviews.models import PeriodicTask, Review
from reviews.runs.lease import claim
from sandbox import PullRequest
from tests.support.runs import admit, run

pytestmark = [pytest.mark.database, pytest.mark.django_db]

STARTS: list[str] = []


def counted() -> Mapping[str, int]:
    STARTS.append("started")
    return {"things done": 2}


def failing() -> Mapping[str, int]:
    raise ValueError("it \0 went wrong")


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tasks of the tests' own in place of Kodiai's."""
    STARTS.clear()
    tasks = (Periodic("failing", failing, lambda: 60), Periodic("counted", counted, lambda: 60))
    monkeypatch.setattr(scheduler, "PERIODIC", tasks)
    prepare()


@pytest.mark.usefixtures("only")
def test_a_task_runs_when_it_is_due_and_not_before() -> None:
    run_due()
    run_due()
    assert len(STARTS) == 1

    PeriodicTask.objects.update(due_at=timezone.now())
    run_due()
    assert len(STARTS) == 2


@pytest.mark.usefixtures("only")
def test_a_failing_task_is_kept_and_the_others_run() -> None:
    run_due()

    failed, went_well = PeriodicTask.objects.get(name="failing"), PeriodicTask.objects.get(name="counted")
    assert (failed.finished_at, failed.held_until) == (None, None)
    assert failed.failed_at is not None
    assert "ValueError: it \N{REPLACEMENT CHARACTER} went wrong" in failed.failure
    assert failed.due_at > timezone.now()
    assert (went_well.failed_at, went_well.outcome) == (None, "things done: 2")


@pytest.mark.usefixtures("only")
def test_a_task_of_another_process_is_left_to_it() -> None:
    PeriodicTask.objects.update(held_until=timezone.now() + timedelta(seconds=30))
    run_due()
    assert run_all() == {"failing": None, "counted": None}
    assert STARTS == []

    PeriodicTask.objects.update(held_until=timezone.now() - timedelta(seconds=1))
    run_due()
    assert len(STARTS) == 1


@pytest.mark.usefixtures("only")
def test_a_task_that_is_turned_off_runs_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "PERIODIC", (Periodic("counted", counted, lambda: 0),))

    run_due()
    assert STARTS == []
    assert run_all() == {"counted": {"things done": 2}}


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("only")
def test_of_eight_workers_one_runs_a_task_that_is_due() -> None:
    together = Barrier(8)

    def work() -> None:
        together.wait()
        try:
            run_due()
        finally:
            connection.close()

    workers = [Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert len(STARTS) == 1


def test_the_sweep_is_due_when_the_next_lease_runs_out(pull: PullRequest, settings: Settings) -> None:
    settings.KODIAI_SWEEP_SECONDS, settings.KODIAI_LEASE_SECONDS = 15, 4
    prepare()
    claim(admit(pull).pk, "at work")

    run_due()

    assert PeriodicTask.objects.get(name="sweep").due_at == Review.objects.get().lease_expires_at


def test_maintain_prints_what_each_task_did(pull: PullRequest) -> None:
    run(admit(pull))
    output = io.StringIO()

    call_command("maintain", stdout=output)

    assert "sweep: runs rescheduled: 0, deliveries requeued: 0, tasks of dead workers ended: 0\n" in output.getvalue()
    assert "pending-telemetry: rows recorded: 0\n" in output.getvalue()
    assert "retention: old tasks removed: 0, deliveries removed: 0\n" in output.getvalue()
    assert "check-runs: reported: 0, deferred: 0, abandoned: 0" in output.getvalue()


@pytest.mark.usefixtures("only")
def test_maintain_fails_with_what_failed_and_still_runs_the_rest() -> None:
    output = io.StringIO()

    with pytest.raises(CommandError, match=r"(?s)Failed: failing \(ValueError: it .* went wrong\)"):
        call_command("maintain", stdout=output)
    assert output.getvalue() == "counted: things done: 2\n"


@pytest.mark.usefixtures("only")
def test_the_last_runs_are_seen_in_readyz_and_the_admin(client: Client, admin_client: Client) -> None:
    run_due()

    last_runs = client.get("/readyz").json()["last_run_seconds"]
    page = admin_client.get("/admin/reviews/periodictask/").content.decode()

    assert last_runs["failing"] is None
    assert 0 <= last_runs["counted"] < 60
    assert "things done: 2" in page
    change = admin_client.get("/admin/reviews/periodictask/failing/change/").content.decode()
    assert "went wrong" in change
