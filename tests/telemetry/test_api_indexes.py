"""Which index answers a filter of the API, as the database's own planner says."""

from copy import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.support.factories import ExecutionFactory, RateLimitEventFactory
from tests.telemetry.test_api import EVENTS, EXECUTIONS, reader, with_token

pytestmark = [pytest.mark.database, pytest.mark.django_db]

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
    rows: list[Any] = []
    template = factory.build()
    for n in range(3000):
        row = copy(template)
        row.repo, row.delivery_id, row.created_at = f"acme/{n % 60}", f"d-{n}", START + timedelta(hours=n)
        rows.append(row)
    factory._meta.model.objects.bulk_create(rows)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


@pytest.mark.parametrize(
    ("factory", "address", "indexes"),
    [
        (
            RateLimitEventFactory,
            EVENTS,
            {
                "delivery_id=d-77": "idx_rate_limit_events_delivery_event",
                "repo=acme/7&created_after=2026-03-01&created_before=2026-03-08": "idx_rate_limit_events_repo_created",
            },
        ),
        (
            ExecutionFactory,
            EXECUTIONS,
            {
                "delivery_id=d-77": "idx_executions_delivery_event",
                "repo=acme/7&created_after=2026-03-01": "idx_executions_repo",
                "created_after=2026-03-01&created_before=2026-03-02": "idx_executions_created_at",
            },
        ),
    ],
)
def test_filters_use_an_index_and_pages_are_not_sorted(factory: Any, address: str, indexes: dict[str, str]) -> None:
    fill(factory)
    client = with_token(reader())

    for query, index in indexes.items():
        assert index in plan(client, f"{address}?{query}")
    for page in (address, client.get(address).json()["next"], f"{address}?ordering=id"):
        found = plan(client, page)
        assert "Sort" not in found
        assert "TEMP B-TREE" not in found
