"""The sweep requeues what dead workers and a forgetful queue left, once, and leaves the living alone."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.utils import timezone
from django.utils.crypto import get_random_string
from django_tasks_db.models import DBTaskResult
from pytest_django import Settings

from reviews.github.facts import POST_VISIBILITY_DELAY
from reviews.maintenance import recovery
from reviews.maintenance.recovery import sweep
from reviews.models import Delivery, DeliveryStatus, Review
from reviews.runs.lease import claim, expired
from sandbox import Fault, FaultKind, PullRequest, Sandbox
from telemetry.models import Conclusion
from tests.support.runs import admit, expire_leases, forget_tasks, queued_tasks, reschedule, run, take_tasks_and_die

pytestmark = [pytest.mark.database, pytest.mark.django_db, pytest.mark.ops04, pytest.mark.queue]


def test_a_sweep_reads_claimed_runs_by_their_index() -> None:
    with transaction.atomic():  # as long as SET LOCAL holds, also where the test itself is no transaction
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL enable_seqscan = off")  # which is as good where there are no rows
        plan = Review.objects.filter(expired()).explain()

    assert "reviews_lease_idx" in plan or "reviews_one_run_per_pull_request" in plan


def test_a_sweep_that_dies_leaves_its_run_to_the_next(pull: PullRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    assert claim(admit(pull).pk, "gone")
    assert reschedule() == 0, "it is taken for alive"
    expire_leases()

    def die(*args: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(recovery, "fail_attempt", die)
        with pytest.raises(SystemExit):
            sweep()

    assert reschedule() == 1
    assert Review.objects.get().attempts == 1


def test_of_two_sweeps_one_takes_a_dead_workers_run(pull: PullRequest) -> None:
    """The second has read the expired claim, and the first takes the run before it acts."""
    assert claim(admit(pull).pk, "gone")
    expire_leases()
    (seen,) = Review.objects.filter(expired()).select_related("delivery")
    assert reschedule() == 1

    assert not recovery._take_over(seen)
    assert Review.objects.get().attempts == 1


def test_a_run_whose_workers_keep_dying_is_abandoned(pull: PullRequest, settings: Settings) -> None:
    settings.KODIAI_MAX_ATTEMPTS = 3
    delivery = admit(pull, delivery_id="unlucky")
    for _ in range(3):
        assert claim(delivery.pk, "short-lived")
        expire_leases()
        assert reschedule() == 1

    review = Review.objects.select_related("delivery").get(delivery=delivery)
    assert (review.conclusion, review.delivery.status) == (Conclusion.ERROR, DeliveryStatus.FAILED)
    assert "short-lived" in review.conclusion_reason
    assert run(admit(pull, delivery_id="unlucky")).conclusion == Conclusion.SUCCESS


def test_a_worker_dead_before_its_claim_is_made_up_for(pull: PullRequest, settings: Settings) -> None:
    delivery = admit(pull)
    long_ago = timezone.now() - timedelta(seconds=settings.KODIAI_LEASE_SECONDS + 1)
    take_tasks_and_die(long_ago)
    Delivery.objects.update(queued_at=long_ago)

    assert reschedule() == 1
    assert reschedule() == 0

    assert [task.delivery_pk for task in queued_tasks()] == [delivery.pk]
    assert not DBTaskResult.objects.running().exists()
    assert run(delivery).conclusion == Conclusion.SUCCESS


def test_a_task_in_another_queue_is_made_up_for(pull: PullRequest, settings: Settings) -> None:
    delivery = admit(pull)
    forget_tasks()
    long_ago = timezone.now() - timedelta(seconds=settings.KODIAI_LEASE_SECONDS + 1)
    for task_id in (str(uuid4()), get_random_string(32)):
        Delivery.objects.update(task_id=task_id, queued_at=long_ago)

        assert reschedule() == 1

    assert [task.delivery_pk for task in queued_tasks()] == [delivery.pk] * 2


def test_a_deferred_run_is_not_forgotten(github: Sandbox, pull: PullRequest, settings: Settings) -> None:
    delivery = admit(pull)
    github.fail("files", Fault(FaultKind.PRIMARY_LIMIT, reset_in=3000))
    run(delivery)

    assert reschedule() == 0
    # Its time is long over, and no worker has come to it.
    Delivery.objects.update(queued_at=timezone.now() - timedelta(seconds=settings.KODIAI_LEASE_SECONDS + 1))
    assert reschedule() == 0


def test_a_post_announced_before_the_take_over_is_waited_for(pull: PullRequest) -> None:
    """The sweep has read the run, and its worker, which is only slow, goes on before the sweep takes the claim."""
    assert claim(admit(pull).pk, "slow")
    expire_leases()
    read = Review.objects.select_related("delivery").get()
    Review.objects.update(publishing_at=timezone.now())
    before = timezone.now()

    assert recovery._take_over(read)

    deferred_until = Review.objects.get().deferred_until
    assert deferred_until >= before + POST_VISIBILITY_DELAY


def test_a_run_that_may_be_posted_waits_from_the_sweep_on(pull: PullRequest) -> None:
    """A slow worker may have sent the post long after it stored that it would."""
    delivery = admit(pull)
    assert claim(delivery.pk, "slow")
    Review.objects.update(publishing_at=timezone.now() - POST_VISIBILITY_DELAY)
    expire_leases()
    gone = timezone.now()

    assert reschedule() == 1

    deferred_until = Review.objects.get().deferred_until
    assert deferred_until >= gone + POST_VISIBILITY_DELAY
