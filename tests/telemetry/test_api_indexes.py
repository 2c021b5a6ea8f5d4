"""Which index answers a filter of the API, as the database's own planner says."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.support.factories import ExecutionFactory, RateLimitEventFactory
from tests.telemetry.test_api import EVENTS, EXECUTIONS, reader, with_token

pytestmark = pytest.mark.django_db

START = datetime(2026, 1, 1, tzinfo=UTC)


def plan(client: Client, address: str) -> str:
    """How the database finds the rows of a page."""
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(address)
    assert answer.status_code == 200
    assert answer.json()["results"]
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        (page,) = [query["sql"] for query in captured.captured_queries if "ORDER BY" in query["sql"]]
        cursor.execute(f"{explain} {page}")
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


def fill(factory: Any) -> None:
    """Three thousand rows of sixty repositories, one each hour, and what the planner knows of them."""
    rows = [
        factory.build(repo=f"acme/{n % 60}", delivery_id=f"d-{n}", created_at=START + timedelta(hours=n))
        for n in range(3000)
    ]
    factory._meta.model.objects.bulk_create(rows)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


@pytest.mark.parametrize(
    ("factory", "address", "index"),
    [
        (RateLimitEventFactory, f"{EVENTS}?delivery_id=d-77", "idx_rate_limit_events_delivery_event"),
        (ExecutionFactory, f"{EXECUTIONS}?delivery_id=d-77", "idx_executions_delivery_event"),
        (
            RateLimitEventFactory,
            f"{EVENTS}?repo=acme/7&created_after=2026-03-01&created_before=2026-03-08",
            "idx_rate_limit_events_repo_created",
        ),
        (ExecutionFactory, f"{EXECUTIONS}?repo=acme/7&created_after=2026-03-01", "idx_executions_repo"),
        (
            ExecutionFactory,
            f"{EXECUTIONS}?created_after=2026-03-01&created_before=2026-03-02",
            "idx_executions_created_at",
        ),
    ],
)
def test_a_filter_is_answered_by_an_index(factory: Any, address: str, index: str) -> None:
    fill(factory)

    assert index in plan(with_token(reader()), address)


@pytest.mark.parametrize(("factory", "address"), [(RateLimitEventFactory, EVENTS), (ExecutionFactory, EXECUTIONS)])
def test_a_page_is_read_in_the_order_of_its_ids_and_not_sorted(factory: Any, address: str) -> None:
    fill(factory)
    client = with_token(reader())

    for page in (address, client.get(address).json()["next"], f"{address}?ordering=id"):
        found = plan(client, page)
        assert "Sort" not in found
        assert "TEMP B-TREE" not in found
