"""The inbox: of equal deliveries one is accepted, and a failed one starts anew."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection, transaction
from django.db.models import Model
from django.test import Client
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from reviews.github.facts import POST_VISIBILITY_DELAY
from reviews.intake.inbox import accept_all, requeue
from reviews.intake.payloads import ParsedDelivery
from reviews.intake.receive import store
from reviews.models import Delivery, DeliveryStatus, IgnoreReason, Review
from reviews.models.insert import insert_rows
from tests.support.factories import DeliveryFactory
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


def test_a_requeued_delivery_starts_anew_at_once(client: Client, failed: Delivery) -> None:
    deliver(client, pull_request_payload(), delivery_id="d-2")
    Delivery.objects.update(status=DeliveryStatus.FAILED)
    Review.objects.update(conclusion="error", started_at=timezone.now())

    assert requeue(failed)

    other = Delivery.objects.get(delivery_id="d-2")
    assert (other.status, other.review.conclusion) == (DeliveryStatus.FAILED, "error")
    delivery, review = Delivery.objects.get(pk=failed.pk), Review.objects.get(delivery=failed)
    assert (delivery.status, delivery.finished_at, delivery.failure) == (DeliveryStatus.QUEUED, None, "")
    assert (review.attempts, review.conclusion, review.conclusion_reason) == (0, "", "")
    assert (review.started_at, review.finished_at, review.execution_recorded_at) == (None, None, None)
    assert (review.deferred_since, review.deferred_until) == (None, None)
    assert queued_tasks()[-1].run_after is None


def test_a_requeued_delivery_that_may_have_posted_waits(failed: Delivery) -> None:
    Review.objects.update(publishing_at=timezone.now())
    earliest = timezone.now() + POST_VISIBILITY_DELAY

    assert requeue(failed)

    until = Review.objects.get().deferred_until
    assert until >= earliest
    assert queued_tasks()[-1].run_after == until


def test_an_installation_delivery_is_requeued_without_a_run(client: Client) -> None:
    deliver(client, {"action": "created", "installation": {"id": 5}}, event="installation")
    Delivery.objects.update(status=DeliveryStatus.FAILED)

    assert requeue(Delivery.objects.get())

    assert [task.run_after for task in queued_tasks()] == [None, None]


# Deliveries that come together share a transaction, and no other's failure


def delivery(name: str, **fields: Any) -> ParsedDelivery:
    return ParsedDelivery(name, "pull_request", "opened", **{"repo": "octo/demo", "pr_number": 1, **fields})


def test_a_delivery_that_the_database_refuses_fails_alone(caplog: pytest.LogCaptureFixture) -> None:
    replies = store([delivery("a"), delivery("refused", sender=cast("str", None)), delivery("b")])

    assert [reply.status for reply in replies] == [202, 503, 202]
    assert [reply.content.get("status") for reply in replies] == ["queued", None, "queued"]
    assert set(Delivery.objects.values_list("delivery_id", flat=True)) == {"a", "b"}
    assert Review.objects.count() == len(queued_tasks()) == 2
    (line,) = caplog.records
    assert (line.getMessage(), vars(line)["delivery_id"]) == ("delivery not stored", "refused")


def test_a_database_that_fails_is_asked_once_for_a_group() -> None:
    asked: list[str] = []

    def fail(execute: Any, sql: str, *arguments: Any) -> Any:
        if Delivery._meta.db_table not in sql:
            return execute(sql, *arguments)
        asked.append(sql)
        raise OperationalError("disk full")

    with connection.execute_wrapper(fail):
        assert [reply.status for reply in store([delivery("a"), delivery("b")])] == [503, 503]

    assert len(asked) == 1


def test_a_group_may_hold_one_identity_twice() -> None:
    parsed = [delivery(name) for name in "aba"]

    assert accept_all(parsed) == [("queued", ""), ("queued", ""), ("duplicate", "")]
    assert accept_all(parsed) == [("duplicate", "")] * 3
    Delivery.objects.filter(delivery_id="a").update(status=DeliveryStatus.FAILED)
    assert accept_all(parsed) == [("requeued", ""), ("duplicate", ""), ("duplicate", "")]
    assert Delivery.objects.count() == Review.objects.count() == 2
    assert len(queued_tasks()) == 3


# Rows that are inserted together are those that bulk_create makes


TIMES = {"id", "received_at", "created_at", "enqueued_at"}
"""Fields that differ between two rows of the same values."""


def rows(model: type[Model]) -> list[dict[str, Any]]:
    found = model._default_manager.order_by("pk").values()
    return [{name: value for name, value in row.items() if name not in TIMES} for row in found]


@pytest.mark.parametrize(
    ("model", "given"),
    [
        (Delivery, {"delivery_id": "d", "event_type": "a", "repositories": ["o/r", '"'], "queued_at": timezone.now()}),
        (Delivery, {"delivery_id": "d", "event_type": "a", "pr_number": None, "addressed": True, "sender": "%s \\'ü"}),
        (Review, {"repo": "octo/demo", "repo_id": 2**62, "pr_number": None}),
        (DBTaskResult, {"args_kwargs": {"args": [1], "kwargs": {}}, "task_path": "a.b", "run_after": timezone.now()}),
    ],
)  # fmt: skip
def test_rows_are_those_that_bulk_create_makes(model: type[Model], given: dict[str, Any]) -> None:
    of_delivery = [{"delivery_id": DeliveryFactory().pk} if model is Review else {} for _ in range(2)]
    with transaction.atomic():
        model._default_manager.bulk_create(model(**given, **own) for own in of_delivery[:1])
        expected = rows(model)
        transaction.set_rollback(True)
    common = {name: value for name, value in given.items() if name in ("event_type", "task_path", "repo")}
    varying = {name: value for name, value in given.items() if name not in common} | of_delivery[0]

    ((key,),) = insert_rows(model, [varying], common, returning=("id",))

    assert rows(model) == expected
    assert model._default_manager.filter(pk=key).exists()


def test_a_row_that_is_there_is_refused_or_skipped() -> None:
    old, new = ({"delivery_id": name, "event_type": "a.b"} for name in ("old", "new"))
    assert insert_rows(Delivery, [old], returning=("delivery_id",)) == [("old",)]

    with pytest.raises(IntegrityError), transaction.atomic():
        insert_rows(Delivery, [new, old], returning=("delivery_id",))
    assert insert_rows(Delivery, [new, old], returning=("delivery_id",), or_skip=True) == [("new",)]
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_rows(Delivery, [{**new, "delivery_id": "x", "status": "odd"}], returning=("id",), or_skip=True)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no limit of length")
def test_a_text_that_is_too_long_is_refused_and_not_cut() -> None:
    with pytest.raises(DatabaseError, match="too long"), transaction.atomic():
        insert_rows(Delivery, [{"delivery_id": "x" * 256, "event_type": "a.b"}], returning=("id",))
