"""A worker on the Redis queue when something fails around a task."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.db import OperationalError
from django.utils import timezone
from pytest_django import Settings

from reviews import tasks
from reviews.maintenance.recovery import sweep
from reviews.models import Delivery, DeliveryStatus, Review
from reviews.runs import runner
from reviews.runs.queues import enqueue
from reviews.runs.queues.redis_settings import redis_queue
from sandbox import PullRequest
from telemetry.models import Conclusion
from tests.support.runs import QueuedTask, admit, queued_tasks

pytestmark = [
    pytest.mark.database,
    pytest.mark.skipif(not settings.KODIAI_TASKS_URL, reason="the queue is in the database"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.ops04,
]


def work(*, stop_requested: bool = False) -> None:
    from reviews.runs.queues.redis import RedisQueue

    queue = RedisQueue("worker")
    if stop_requested:
        queue.stop()
    queue.work()


def test_a_task_that_meets_a_broken_database_waits_on(pull: PullRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = admit(pull)

    def broken(delivery_pk: int) -> None:
        raise OperationalError("the server closed the connection")

    with monkeypatch.context() as patch:
        patch.setattr(runner, "take_turn", broken)
        with pytest.raises(OperationalError):
            work()

    assert queued_tasks() == [QueuedTask(delivery.pk, None)]
    work()
    assert Review.objects.get(delivery=delivery).conclusion == Conclusion.SUCCESS


def test_a_task_that_cannot_be_understood_is_left_out(pull: PullRequest, caplog: pytest.LogCaptureFixture) -> None:
    tasks.process_delivery.enqueue("no key")

    work()

    assert "task failed" in caplog.text
    assert queued_tasks() == []


def test_a_stopping_worker_takes_no_task(pull: PullRequest) -> None:
    delivery = admit(pull)

    work(stop_requested=True)

    delivery.refresh_from_db()
    assert delivery.status == DeliveryStatus.QUEUED
    assert queued_tasks() == [QueuedTask(delivery.pk, None)]


def test_a_sweep_notices_once_that_redis_is_away(
    pull: PullRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        admit(pull, delivery_id=f"away-{number}")
    Delivery.objects.update(task_id="", queued_at=timezone.now() - timedelta(seconds=10))
    monkeypatch.setattr(enqueue, "_away_until", 0.0)
    settings.RQ_QUEUES = {"default": redis_queue("redis://127.0.0.1:1/0")}

    assert sweep()["deliveries requeued"] == 1

    assert caplog.text.count("Redis failed") == 1
    assert Delivery.objects.filter(task_id="").count() == 3
