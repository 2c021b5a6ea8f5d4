"""Recovery after failures of workers and queue; a run uses an attempt only for its own faults."""

import io
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.utils import timezone
from django_tasks_db.models import DBTaskResult
from pytest_django import Settings

from reviews import service, shutdown
from reviews.github.facts import POST_VISIBILITY_DELAY
from reviews.maintenance.recovery import flush_outbox, sweep
from reviews.models import Delivery, DeliveryStatus, Review
from reviews.redaction import storable
from reviews.runs import runner
from reviews.runs.lease import claim
from reviews.runs.runner import release
from reviews.shutdown import WorkerStopping
from sandbox import Fault, FaultKind, PullRequest, Sandbox
from telemetry.models import Conclusion, RateLimitEvent
from tests.support.runs import admit, assert_finishes_once, expire_leases, meanwhile, process, run

pytestmark = [pytest.mark.database, pytest.mark.django_db, pytest.mark.ops04]


def wait_for_longer_than_a_lease(settings: Settings) -> None:
    long_ago = timezone.now() - timedelta(seconds=settings.KODIAI_LEASE_SECONDS + 1)
    Delivery.objects.update(queued_at=long_ago)
    DBTaskResult.objects.exclude(started_at=None).update(started_at=long_ago)


# The queue


@pytest.mark.parametrize(
    ("task", "lost"),
    [
        ({}, False),
        ({"status": "RUNNING", "started_at": timezone.now()}, True),
        ({"status": "FAILED"}, True),
        ({"status": "SUCCESSFUL"}, True),
        (None, True),
    ],
    ids=["ready", "running", "failed", "successful", "gone"],
)
def test_a_waiting_delivery_without_a_task_is_queued_again(
    pull: PullRequest, settings: Settings, task: dict[str, Any] | None, lost: bool
) -> None:
    delivery = admit(pull)
    if task is None:
        DBTaskResult.objects.all().delete()
    else:
        DBTaskResult.objects.update(**task)
    wait_for_longer_than_a_lease(settings)

    assert sweep()["deliveries requeued"] == int(lost)
    assert sweep()["deliveries requeued"] == 0
    assert DBTaskResult.objects.filter(status="READY").count() == 1
    assert run(delivery).conclusion == Conclusion.SUCCESS


def test_a_task_that_was_given_out_a_moment_ago_is_not_lost(pull: PullRequest, settings: Settings) -> None:
    admit(pull)
    wait_for_longer_than_a_lease(settings)
    DBTaskResult.objects.update(status="RUNNING", started_at=timezone.now())

    assert sweep() == {"runs rescheduled": 0, "deliveries requeued": 0, "tasks of dead workers ended": 0}


def test_only_a_dead_workers_queue_row_is_closed(pull: PullRequest, settings: Settings) -> None:
    delivery = admit(pull)
    DBTaskResult.objects.update(status="RUNNING", started_at=timezone.now())
    wait_for_longer_than_a_lease(settings)
    claim(delivery.pk, "alive, and long at work")

    assert sweep()["tasks of dead workers ended"] == 0
    expire_leases()
    assert sweep() == {"runs rescheduled": 1, "deliveries requeued": 0, "tasks of dead workers ended": 1}


# A failed attempt


def test_every_database_takes_what_is_stored_of_a_failure() -> None:
    assert storable("NUL \0, half a pair \ud800, a smile \U0001f600") == (
        "NUL \N{REPLACEMENT CHARACTER}, half a pair \N{REPLACEMENT CHARACTER}, a smile \U0001f600"
    )


# A post whose outcome is not known


def test_a_run_that_may_have_posted_waits_before_a_retry(github: Sandbox, pull: PullRequest) -> None:
    delivery = admit(pull)
    github.fail("create_review", Fault(FaultKind.RESET))
    review = run(delivery)
    assert review.deferred_until >= review.publishing_at + POST_VISIBILITY_DELAY
    assert DBTaskResult.objects.latest("enqueued_at").run_after == review.deferred_until
    github.reset_calls()

    process(delivery.pk)

    assert github.count() == 0, "a task that comes too early starts nothing"
    assert claim(delivery.pk, "early") is None
    assert run(delivery).conclusion == Conclusion.SUCCESS


# A worker that is asked to stop


@pytest.fixture
def stop_requested(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(shutdown, "_stopping", True)
    yield
    shutdown._stopping = False


@pytest.mark.parametrize("last", ["load", "enrich_author", "analyse"])
def test_a_stopping_worker_releases_its_run_after_the_step(
    github: Sandbox, pull: PullRequest, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = admit(pull)
    step = getattr(service, last)

    def step_and_be_stopped(*args: Any) -> Any:
        result = step(*args)
        shutdown.stop()
        return result

    monkeypatch.setattr(shutdown, "_stopping", False)
    with monkeypatch.context() as patch:
        patch.setattr(service, last, step_and_be_stopped)
        review = run(delivery)
    assert (review.attempts, review.lease_owner, review.published_at) == (0, "", None)
    assert review.delivery.status == DeliveryStatus.QUEUED
    github.reset_calls()

    shutdown._stopping = False
    assert run(delivery).conclusion == Conclusion.SUCCESS
    assert github.count("search") == (1 if last == "load" else 0)
    assert len(pull.reviews) == 1


@pytest.mark.usefixtures("stop_requested")
def test_a_stopping_worker_begins_no_run(github: Sandbox, pull: PullRequest) -> None:
    delivery = admit(pull)

    assert run(delivery).loaded_at is None
    assert github.count() == 0
    with pytest.raises(WorkerStopping):
        shutdown.raise_if_stopping()


@pytest.mark.django_db(transaction=True)
def test_a_run_released_within_a_step_publishes_nothing(pull: PullRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = admit(pull)

    def be_handed_back() -> None:
        other = threading.Thread(target=lambda: (release(), connection.close()))
        other.start()
        other.join()

    with monkeypatch.context() as patch:
        meanwhile(patch, be_handed_back)
        review = run(delivery)

    assert (review.attempts, review.lease_owner, review.publishing_at) == (0, "", None)
    assert pull.reviews == []
    assert_finishes_once(pull, delivery)


def test_there_is_nothing_to_hand_back_where_no_run_is_under_way(pull: PullRequest) -> None:
    admit(pull)

    release()

    assert runner._running is None
    assert DBTaskResult.objects.count() == 1


# Telemetry


def test_a_changing_claim_stops_no_other_event(pull: PullRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(service, "record_rate_limit_event", lambda **values: None)
        for _ in range(2):
            run(admit(pull))
    taken = Review.objects.order_by("pk")[0]
    record = service.record_rate_limit_event

    def record_while_it_is_taken(**values: Any) -> RateLimitEvent | None:
        Review.objects.filter(pk=taken.pk).update(lease_owner="another")
        return record(**values)

    monkeypatch.setattr(service, "record_rate_limit_event", record_while_it_is_taken)

    assert flush_outbox() == 1
    assert RateLimitEvent.objects.count() == 2


# manage.py recover


@pytest.fixture
def failed(github: Sandbox, pull: PullRequest, settings: Settings) -> Delivery:
    settings.KODIAI_MAX_ATTEMPTS = 1
    delivery = admit(pull, delivery_id="failed-1")
    github.fail("pull", Fault(FaultKind.WRONG_JSON), times=3)
    assert run(delivery).delivery.status == DeliveryStatus.FAILED
    return delivery


def recover(*arguments: str) -> str:
    output = io.StringIO()
    call_command("recover", *arguments, stdout=output)
    return output.getvalue()


def test_it_lists_what_is_deferred_and_that_nothing_failed(github: Sandbox, pull: PullRequest) -> None:
    github.fail("files", Fault(FaultKind.PRIMARY_LIMIT, reset_in=1800))
    until = run(admit(pull)).deferred_until

    assert f"Deferred: 1, the last until {until:%Y-%m-%d %H:%M:%S} UTC" in recover()
    assert recover("--failed").splitlines()[-1] == "No delivery has failed."


def test_it_lists_failures_with_their_tracebacks(failed: Delivery, pull: PullRequest) -> None:
    output = recover()

    assert "Failed: failed-1 pull_request.opened of octo/demo#1: abandoned after 1 attempts: Unavailable: " in output
    assert "manage.py recover --failed" in output
    failed.refresh_from_db()
    assert failed.failure.startswith("Traceback (most recent call last):")
    assert "reviews.github.errors.Unavailable: GitHub's answer to GET" in failed.failure


@pytest.mark.parametrize("arguments", [["--failed"], ["failed-1"]])
def test_it_queues_failed_deliveries_again(failed: Delivery, pull: PullRequest, arguments: list[str]) -> None:
    assert "failed-1 pull_request.opened: requeued" in recover(*arguments)
    assert run(failed).conclusion == "success"
    assert "not requeued: it is done" in recover("failed-1")
    assert len(pull.reviews) == 1


def test_an_unknown_id_is_an_error_and_queues_nothing(failed: Delivery) -> None:
    with pytest.raises(CommandError, match=r"Not in the inbox: unheard-of\. Nothing was requeued\."):
        recover("failed-1", "unheard-of")
    failed.refresh_from_db()
    assert failed.status == DeliveryStatus.FAILED
