"""Leases: a run belongs to one worker at a time, and to none for long after its worker died."""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from functools import partial

import pytest
from django.db import IntegrityError, OperationalError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone
from pytest_django import Settings

from reviews.exceptions import LeaseLost
from reviews.models import Delivery, DeliveryStatus, Review
from reviews.runs import lease, runner, turns
from reviews.runs.lease import claim, renewed
from reviews.service import run_review
from sandbox import Fault, FaultKind, PullRequest, Repository, Sandbox
from telemetry.models import Conclusion, Execution, RateLimitEvent
from tests.support.factories import CheckRunReportFactory
from tests.support.kill_points import UNTIL_PUBLISHED
from tests.support.runs import (
    admit,
    expire_leases,
    process,
    queued_tasks,
    reschedule,
    run,
    say,
    start_process,
    take_over_at,
)
from tests.support.shop import AFTER
from tests.support.waiting import PATIENCE, wait_until

pytestmark = [pytest.mark.database, pytest.mark.django_db, pytest.mark.ops04]


def test_a_run_is_claimed_once_and_comes_with_its_delivery(
    pull: PullRequest, settings: Settings, django_assert_num_queries: Callable[[int], AbstractContextManager[object]]
) -> None:
    delivery = admit(pull)
    lease_time = timedelta(seconds=settings.KODIAI_LEASE_SECONDS)
    before = timezone.now()

    claimed = claim(delivery.pk, "one")

    assert before + lease_time <= claimed.lease_expires_at <= timezone.now() + lease_time
    with django_assert_num_queries(0):
        assert (claimed.delivery, claimed.delivery.status) == (delivery, DeliveryStatus.RUNNING)
    assert claim(delivery.pk, "two") is None


def test_a_stamp_changes_no_other_unclaimed_run(pull: PullRequest, repo: Repository) -> None:
    mine = Review.objects.get(delivery=admit(pull))
    other = Review.objects.get(delivery=admit(repo.open_pull_request(changes={"b.py": "x = 1\n"})))

    mine.stamp("execution_recorded_at", conclusion_reason="mine")

    mine.refresh_from_db()
    other.refresh_from_db()
    assert (mine.conclusion_reason, other.conclusion_reason) == ("mine", "")
    assert other.execution_recorded_at is None


def test_a_stamp_changes_no_other_pending_check_run() -> None:
    pending = {"due_at": timezone.now(), "posting_at": None, "reported_at": None}
    mine, other = CheckRunReportFactory.create(**pending), CheckRunReportFactory.create(**pending)

    mine.stamp("posting_at")

    mine.refresh_from_db()
    other.refresh_from_db()
    assert (mine.posting_at is None, other.posting_at) == (False, None)


@pytest.mark.parametrize(
    ("posting", "posted", "deferred", "claimed"),
    [(False, False, True, True), (True, False, False, True), (True, False, True, False), (True, True, True, True)],
)
def test_only_a_run_that_may_have_posted_is_claimed_late(
    pull: PullRequest, posting: bool, posted: bool, deferred: bool, claimed: bool
) -> None:
    delivery, now = admit(pull), timezone.now()
    Review.objects.update(
        publishing_at=now if posting else None,
        published_at=now if posted else None,
        deferred_until=now + timedelta(minutes=1) if deferred else None,
    )

    assert (claim(delivery.pk, "early") is not None) is claimed


def test_a_finished_run_is_neither_claimed_nor_run_again(github: Sandbox, pull: PullRequest) -> None:
    delivery = admit(pull)
    run(delivery)
    github.reset_calls()

    assert claim(delivery.pk, "late") is None
    process(delivery.pk)
    assert (github.count(), len(pull.reviews)) == (0, 1)


def test_a_pull_request_has_one_claimed_run_at_a_time(pull: PullRequest) -> None:
    first, second = admit(pull), admit(pull, "synchronize")
    assert claim(first.pk, "one")

    with pytest.raises(IntegrityError):
        claim(second.pk, "two")


def test_a_run_comes_after_another_of_its_pull_request(pull: PullRequest, repo: Repository) -> None:
    first, second = admit(pull), admit(pull, "reopened")
    claimed = claim(first.pk, "one")
    assert claimed is not None

    process(second.pk)

    second.refresh_from_db()
    assert (second.status, second.review.attempts) == (DeliveryStatus.QUEUED, 0)
    assert sorted(task.delivery_pk for task in queued_tasks()) == [first.pk, second.pk, second.pk]
    other = admit(repo.open_pull_request(changes={"b.py": "x = 1\n"}))
    assert run(other).conclusion == Conclusion.SUCCESS, "of another pull request"
    run_review(claimed)
    assert run(second).conclusion == Conclusion.SUCCESS


def test_a_worker_that_lost_its_run_writes_nothing(pull: PullRequest) -> None:
    delivery = admit(pull)
    stale = claim(delivery.pk, "stopped for a while")
    assert stale is not None
    expire_leases()
    assert reschedule() == 1
    assert run(delivery).conclusion == Conclusion.SUCCESS
    before = Review.objects.values().get(delivery=delivery)

    with pytest.raises(LeaseLost):
        run_review(stale)

    assert len(pull.reviews) == 1
    assert Review.objects.values().get(delivery=delivery) == before
    assert RateLimitEvent.objects.count() == Execution.objects.count() == 1


def renewing() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "lease"]


def expiry() -> datetime | None:
    return Review.objects.values_list("lease_expires_at", flat=True).get()


def is_renewed(before: datetime | None) -> bool:
    return expiry() != before


@pytest.mark.django_db(transaction=True)
def test_a_lease_is_renewed_while_its_worker_works(
    pull: PullRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.KODIAI_LEASE_SECONDS = 3.6
    review = claim(admit(pull).pk, "at work")
    assert review is not None
    wait, waits = threading.Event.wait, []

    def watched(event: threading.Event, timeout: float | None = None) -> bool:
        if threading.current_thread().name == "lease":
            waits.append(timeout or 0)
        return wait(event, timeout)

    monkeypatch.setattr(threading.Event, "wait", watched)

    with renewed(review):
        [thread] = renewing()
        assert thread.daemon  # must not keep a worker from ending
        for _ in range(2):
            assert wait_until(partial(is_renewed, expiry()))
    assert not renewing()
    assert 0 < max(waits) < settings.KODIAI_LEASE_SECONDS / 2, "a renewal may fail, and the next is still in time"


@pytest.mark.django_db(transaction=True)
def test_the_end_of_a_renewal_closes_its_connection(
    pull: PullRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.KODIAI_LEASE_SECONDS = 0.3
    review = claim(admit(pull).pk, "at work")
    assert review is not None
    under_way, ended, until = threading.Event(), threading.Event(), lease._expiry()
    opened: list[BaseDatabaseWrapper] = []

    def take_a_while() -> object:
        under_way.set()
        connection.ensure_connection()
        opened.append(connections["default"])  # that of this thread
        ended.wait(PATIENCE)
        return until

    monkeypatch.setattr(lease, "_expiry", take_a_while)
    with renewed(review):
        assert under_way.wait(PATIENCE)
        threading.Timer(0.2, ended.set).start()
    assert ended.is_set()
    assert [each.connection for each in opened] == [None]


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_lost_its_run_renews_no_lease(pull: PullRequest, settings: Settings) -> None:
    settings.KODIAI_LEASE_SECONDS = 0.3
    review = claim(admit(pull).pk, "stopped for a while")
    assert review is not None
    until = timezone.now() + timedelta(minutes=5)
    Review.objects.update(lease_owner="another", lease_expires_at=until)

    with renewed(review):
        assert wait_until(lambda: not renewing())
    assert expiry() == until


@pytest.mark.django_db(transaction=True)
def test_a_failed_renewal_is_tried_again_soon(
    pull: PullRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings.KODIAI_LEASE_SECONDS = 3.0
    monkeypatch.setattr(lease, "RETRY_SECONDS", lease.RETRY_SECONDS / 20)
    delivery = admit(pull)
    review = claim(delivery.pk, "at work")
    assert review is not None
    first, new_expiry = expiry(), lease._expiry

    def the_server_is_away() -> None:
        raise OperationalError("the server is away")

    def the_connection_breaks() -> None:
        connection.ensure_connection()
        connection.connection.close()

    failures = iter([the_server_is_away, the_connection_breaks])

    def expiry_of_a_database_that_fails_twice() -> object:
        for fail in failures:
            fail()
            break
        return new_expiry()

    monkeypatch.setattr(lease, "_expiry", expiry_of_a_database_that_fails_twice)
    with renewed(review):
        assert wait_until(partial(is_renewed, first))
    reported = [vars(entry) for entry in caplog.records if entry.message == "lease not renewed"]
    assert [entry["delivery_id"] for entry in reported] == [delivery.delivery_id] * 2


@pytest.mark.sampled(4)
@pytest.mark.parametrize("point", [point for point in UNTIL_PUBLISHED if point != "publishing_at"])
def test_a_worker_stopped_between_steps_posts_no_second_review(pull: PullRequest, point: str) -> None:
    """`analysed_at` is right before the worker publishes, `review-posted` before it can say that it has."""
    taken_over = take_over_at(point, admit(pull))

    assert taken_over["conclusion"] == Conclusion.SUCCESS
    assert len(pull.reviews) == 1
    assert Review.objects.values().get() == taken_over
    assert RateLimitEvent.objects.count() == Execution.objects.count() == 1


@pytest.mark.parametrize("point", ["started_at", "answer-posted"])
def test_a_worker_stopped_past_its_lease_posts_no_second_reply(pull: PullRequest, point: str) -> None:
    taken_over = take_over_at(point, say(pull, "@kodiai help"))

    assert taken_over["conclusion"] == Conclusion.SKIPPED
    assert [comment["user"]["login"] for comment in pull.comments] == ["mona", "kodiai[bot]"]


def take_over_during_the_post(github: Sandbox, delivery: Delivery) -> None:
    """A real process is stopped (SIGSTOP) while GitHub answers, another takes over, the first goes on."""
    held = github.fail("create_review", Fault(FaultKind.APPLIED_THEN_DELAYED))
    with start_process(delivery) as stopped:
        try:
            assert held.reached.wait(PATIENCE)
            os.kill(stopped.pid, signal.SIGSTOP)
            expire_leases()
            assert reschedule() == 1
            assert run(delivery).conclusion == Conclusion.SUCCESS
            held.release()
            os.kill(stopped.pid, signal.SIGCONT)
            _, log = stopped.communicate(timeout=PATIENCE)
        finally:
            stopped.kill()
    assert stopped.returncode == 0, log
    assert "claim lost, the run was taken over or has finished" in log


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_worker_stopped_past_its_lease_posts_no_second_review(github: Sandbox, pull: PullRequest) -> None:
    take_over_during_the_post(github, admit(pull))

    assert len(pull.reviews) == 1
    assert Review.objects.get().github_review_id == pull.reviews[0]["id"]
    assert RateLimitEvent.objects.count() == Execution.objects.count() == 1


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_worker_that_lost_its_run_does_not_post_without_lines(github: Sandbox, pull: PullRequest) -> None:
    for number, _ in enumerate(AFTER.splitlines(), 1):
        github.reject_line("shop.py", number)
    take_over_during_the_post(github, admit(pull))

    assert len(pull.reviews) == 1
    assert github.count("create_review") == 3


def test_a_delivery_done_meanwhile_is_not_queued_again(pull: PullRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = admit(pull), admit(pull, "reopened")
    # Else it would not be the second one's turn.
    Delivery.objects.filter(pk=first.pk).update(author="")
    claimed = claim(first.pk, "one")
    assert claimed is not None
    queue_for_later = runner._queue_for_later

    def stopped_when_another_run_was_in_the_way(delivery: Delivery) -> None:
        run_review(claimed)
        assert run(second).conclusion == Conclusion.SUCCESS
        queue_for_later(delivery)

    monkeypatch.setattr(runner, "_queue_for_later", stopped_when_another_run_was_in_the_way)
    runner.take_turn(second.pk)

    second.refresh_from_db()
    assert second.status == DeliveryStatus.DONE


def test_a_wake_up_queues_no_delivery_that_is_done_meanwhile(
    pull: PullRequest, repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = admit(pull)
    second = admit(repo.open_pull_request(changes={"b.py": "x = 1\n"}, author="hubot"))
    in_order = turns.in_order

    def another_worker_is_faster() -> list[turns.NextRun]:
        order = in_order()
        run(second)
        return order

    monkeypatch.setattr(turns, "in_order", another_worker_is_faster)
    runner.take_turn(second.pk)

    assert set(Delivery.objects.values_list("pk", "status")) == {(first.pk, "done"), (second.pk, "done")}
