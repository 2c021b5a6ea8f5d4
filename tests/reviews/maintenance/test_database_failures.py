"""A database that fails in the middle of a run uses none of its attempts, and loses nothing."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection
from django_tasks_db.models import DBTaskResult

from reviews import service
from reviews.maintenance.recovery import flush_outbox, sweep
from reviews.models import Delivery, DeliveryStatus, Review
from reviews.runs import runner
from reviews.runs.lease import claim
from reviews.runs.runner import release
from reviews.shutdown import WorkerStopping
from sandbox import PullRequest, Sandbox
from telemetry.models import Conclusion, Execution
from tests.support.runs import admit, assert_finishes_once, expire_leases, process, run

pytestmark = [pytest.mark.database, pytest.mark.django_db(transaction=True), pytest.mark.ops04]

STEPS = ["loaded_at", "enriched_at", "analysed_at", "publishing_at", "published_at", "conclusion"]


def disk_full() -> OperationalError:
    return OperationalError("the disk is full")


def closed() -> InterfaceError:
    return InterfaceError("connection already closed")


@contextmanager
def outage(
    step: str, error: Callable[[], Exception], between_tries: Callable[[threading.Event], object]
) -> Iterator[None]:
    """Let each statement of a run fail from the moment at which `step` is to be stored, until the event is cleared.

    `between_tries` is called with the event before a worker tries again.
    """
    failing = threading.Event()

    def execute(run_it: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("UPDATE") and f'"{step}"' in sql.partition(" WHERE ")[0]:
            failing.set()
        if failing.is_set():
            raise error()
        return run_it(sql, params, many, context)

    with pytest.MonkeyPatch.context() as patch, connection.execute_wrapper(execute):
        # The connection stays, and with it the fault that was put into it.
        patch.setattr(connection, "close", lambda: None)
        patch.setattr(runner, "OUTAGE_SECONDS", 0)
        patch.setattr(runner, "raise_if_stopping", lambda: between_tries(failing))
        yield


def assert_released(delivery: Delivery) -> None:
    review = Review.objects.select_related("delivery").get(delivery=delivery)
    assert (review.attempts, review.lease_owner, review.delivery.status) == (0, "", DeliveryStatus.QUEUED)


def test_a_failure_while_rescheduling_costs_no_attempt(pull: PullRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The claim is released and the task queued in one transaction: what fails in its middle is rolled back."""
    delivery = admit(pull)
    enqueue, failures = runner.enqueue, [disk_full(), disk_full()]

    def enqueue_when_it_works(*args: Any, **options: Any) -> None:
        if failures:
            raise failures.pop()
        enqueue(*args, **options)

    monkeypatch.setattr(runner, "enqueue", enqueue_when_it_works)
    with outage("analysed_at", disk_full, threading.Event.clear):
        process(delivery.pk)

    assert failures == []
    assert_released(delivery)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("step", STEPS)
def test_a_database_outage_costs_no_attempt(pull: PullRequest, step: str) -> None:
    delivery, tries = admit(pull), iter(range(3))
    # After the third try the database is there again.
    with outage(step, disk_full, lambda failing: None if next(tries) < 2 else failing.clear()):
        process(delivery.pk)

    assert_released(delivery)
    assert Review.objects.get(delivery=delivery).deferred_until is not None
    assert_finishes_once(pull, delivery)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("step", "error"), [("analysed_at", closed), *((step, disk_full) for step in STEPS)])
def test_a_worker_stopped_in_an_outage_loses_nothing(
    github: Sandbox, pull: PullRequest, step: str, error: Callable[[], Exception]
) -> None:
    def stop_requested(failing: threading.Event) -> None:
        raise WorkerStopping

    delivery = admit(pull)
    with outage(step, error, stop_requested), pytest.raises(WorkerStopping):
        process(delivery.pk)
    # The lease of the run could not be released either. It expires.
    expire_leases()
    sweep()

    assert_finishes_once(pull, delivery)
    assert github.count("search") <= 1 + (step == "enriched_at")


def failing_once_at(step: str, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first attempt to store `step` raise `error` after the statement, as a commit can."""
    stamp, errors = Review.stamp, [error]

    def fail(review: Review, name: str, **values: object) -> None:
        stamp(review, name, **values)
        if name == step and errors:
            raise errors.pop()

    monkeypatch.setattr(Review, "stamp", fail)


@pytest.mark.parametrize("error", [disk_full(), ZeroDivisionError("a bug")], ids=type)
def test_a_failure_after_the_end_changes_nothing(
    pull: PullRequest, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_once_at("execution_recorded_at", error, monkeypatch)

    review = run(admit(pull))

    assert (review.conclusion, review.attempts, review.delivery.status) == ("success", 0, DeliveryStatus.DONE)
    assert DBTaskResult.objects.count() == 1
    flush_outbox()
    assert Execution.objects.get().conclusion == Conclusion.SUCCESS


def test_a_finished_run_is_not_released(pull: PullRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "record_execution", lambda **values: release())

    review = run(admit(pull))

    assert (review.conclusion, review.delivery.status) == ("success", DeliveryStatus.DONE)
    assert DBTaskResult.objects.count() == 1


def test_a_failure_while_claiming_leaves_no_claim(pull: PullRequest) -> None:
    delivery = admit(pull)

    def execute(run_it: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("SELECT") and "reviews_review" in sql:
            raise OperationalError("server closed the connection unexpectedly")
        return run_it(sql, params, many, context)

    with connection.execute_wrapper(execute), pytest.raises(OperationalError):
        claim(delivery.pk, "a worker")

    assert Review.objects.get().lease_owner == ""
    assert Delivery.objects.get().status == DeliveryStatus.QUEUED
