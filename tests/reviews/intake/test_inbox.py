"""The inbox: of equal deliveries one is accepted, and a failed one starts anew."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from reviews.github.facts import POST_VISIBILITY_DELAY
from reviews.intake.inbox import accept_all, requeue
from reviews.intake.payloads import ParsedDelivery
from reviews.models import Delivery, DeliveryStatus, IgnoreReason, Review
from tests.support.runs import queued_tasks
from tests.support.webhooks import deliver, pull_request_payload

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def failed(client: Client) -> Delivery:
    """A delivery whose run was abandoned."""
    deliver(client, pull_request_payload())
    now = timezone.now()
    Delivery.objects.update(status=DeliveryStatus.FAILED, finished_at=now, failure="a traceback")
    Review.objects.update(
        attempts=5,
        finished_at=now,
        conclusion="error",
        conclusion_reason="abandoned after 5 attempts",
        execution_recorded_at=now,
        deferred_since=now,
        deferred_until=now + timedelta(hours=1),
    )
    return Delivery.objects.get()


@pytest.mark.parametrize(
    ("ignore", "first", "second"),
    [
        (None, ("queued", ""), ("duplicate", "")),
        (IgnoreReason.ACTION, ("ignored", "action-not-handled"), ("ignored", "action-not-handled")),
    ],
)
def test_one_of_two_concurrent_deliveries_is_accepted(
    ignore: IgnoreReason | None, first: tuple[str, str], second: tuple[str, str]
) -> None:
    """One that another process stores after this one has looked for it, in a group with one that nobody else stores."""
    group = [
        ParsedDelivery(name, "pull_request", "opened", repo="octo/demo", pr_number=1, ignore=ignore)
        for name in ("both", "ours")
    ]
    answers: list[tuple[str, str]] = []

    def let_the_other_in(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        """Once the inbox was asked for the deliveries, and before they are stored."""
        asked = execute(sql, *arguments)
        if Delivery._meta.db_table in sql and not answers:
            answers.append(("", ""))
            answers[:] = accept_all(group[:1])
        return asked

    connection.ensure_connection()
    with connection.execute_wrapper(let_the_other_in):
        answers += accept_all(group)

    assert answers == [first, second, first]
    assert Delivery.objects.count() == 2
    assert len(queued_tasks()) == 2 * (first[0] == "queued")


def test_a_requeued_delivery_starts_anew_at_once(failed: Delivery) -> None:
    assert requeue(failed)

    delivery, review = Delivery.objects.get(), Review.objects.get()
    assert (delivery.status, delivery.finished_at, delivery.failure) == (DeliveryStatus.QUEUED, None, "")
    assert (review.attempts, review.conclusion, review.conclusion_reason) == (0, "", "")
    assert (review.finished_at, review.execution_recorded_at) == (None, None)
    assert (review.deferred_since, review.deferred_until) == (None, None)
    assert queued_tasks()[-1].run_after is None


def test_a_requeued_delivery_that_may_have_posted_waits(failed: Delivery) -> None:
    Review.objects.update(publishing_at=timezone.now())
    earliest = timezone.now() + POST_VISIBILITY_DELAY

    assert requeue(failed)

    until = Review.objects.get().deferred_until
    assert until is not None
    assert until >= earliest
    assert queued_tasks()[-1].run_after == until


def test_an_installation_delivery_is_requeued_without_a_run(client: Client) -> None:
    deliver(client, {"action": "created", "installation": {"id": 5}}, event="installation")
    Delivery.objects.update(status=DeliveryStatus.FAILED)

    assert requeue(Delivery.objects.get())

    assert [task.run_after for task in queued_tasks()] == [None, None]


def test_no_other_failed_delivery_is_queued_again(client: Client, failed: Delivery) -> None:
    deliver(client, pull_request_payload(), delivery_id="d-2")
    Delivery.objects.update(status=DeliveryStatus.FAILED)
    Review.objects.update(conclusion="error")

    assert requeue(failed)

    other = Delivery.objects.get(delivery_id="d-2")
    assert (other.status, other.review.conclusion) == (DeliveryStatus.FAILED, "error")
