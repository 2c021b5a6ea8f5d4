"""Concurrent deliveries share a transaction, and no other's failure."""

from typing import Any, cast

import pytest
from django.db import OperationalError, connection

from reviews.intake.inbox import accept_all
from reviews.intake.payloads import ParsedDelivery
from reviews.intake.receive import store
from reviews.models import Delivery, DeliveryStatus, Review
from tests.support.runs import queued_tasks

pytestmark = [pytest.mark.django_db, pytest.mark.database]


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
