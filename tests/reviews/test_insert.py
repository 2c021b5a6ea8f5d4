"""Rows that are inserted together are those that `bulk_create` makes."""

from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import Model
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from reviews.models import Delivery, Review
from reviews.models.insert import insert_rows
from tests.support.factories import DeliveryFactory

pytestmark = [pytest.mark.django_db, pytest.mark.database]

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
