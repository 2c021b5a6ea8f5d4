"""What the telemetry API is filtered by, and that it refuses what it does not understand."""

from copy import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.support.factories import ExecutionFactory, RateLimitEventFactory
from tests.telemetry.test_api import EVENTS, EXECUTIONS, RESOURCES, reader, rows, with_token

pytestmark = [pytest.mark.database, pytest.mark.django_db]


@pytest.fixture
def client() -> Client:
    return with_token(reader())


MINE = {"repo": "acme/mine", "pr_number": 7, "event_type": "issue_comment.created", "delivery_id": "d-1"}


@pytest.mark.parametrize(
    ("address", "factory", "ended"),
    [
        (EVENTS, RateLimitEventFactory, {"degradation_path": "search-api-rate-limit"}),
        (EXECUTIONS, ExecutionFactory, {"conclusion": "partial"}),
    ],
)
def test_rows_are_filtered_by_an_exact_value(client: Client, address: str, factory: Any, ended: dict[str, str]) -> None:
    mine = factory(**MINE, **ended)
    factory(repo="acme/mine2", pr_number=77, event_type="issue_comment.created2", delivery_id="d-12")

    for name, value in (MINE | ended).items():
        assert [row["id"] for row in rows(client, f"{address}?{name}={value}")] == [mine.pk], name
        assert rows(client, f"{address}?{name}={value}&repo=acme/other") == [], name


RANGES = {
    "created_after=2026-03-01T12:00:00Z": [2, 1],
    "created_before=2026-03-01T12:00:00Z": [0],
    "created_after=2026-03-01T12:00:00Z&created_before=2026-03-02T00:00:00Z": [1],
    "created_after=2026-03-01T14:00:00%2B02:00": [2, 1],
    "created_after=2026-03-01T12:00:00.000001Z": [2],
    "created_after=2026-03-02": [2],
    "created_after=2026-03-01T12:00:00": [2, 1],
}


@pytest.mark.parametrize(("address", "factory"), RESOURCES)
def test_a_time_range_has_its_start_and_not_its_end(client: Client, address: str, factory: Any) -> None:
    times = [(1, 11), (1, 12), (2, 0)]
    made = [factory(created_at=datetime(2026, 3, day, hour, tzinfo=UTC)).pk for day, hour in times]

    for query, expected in RANGES.items():
        assert [row["id"] for row in rows(client, f"{address}?{query}")] == [made[index] for index in expected], query


SENSELESS = {
    "repo": ["acme%00web", ""],
    "delivery_id": ["%00"],
    "event_type": ["%00"],
    "pr_number": ["seven", "7.5", "9" * 5000, "1_0", "7.0", "%2B7", "\N{FULLWIDTH DIGIT SEVEN}"],
    "created_after": ["yesterday", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00%2B14:00", ""],
    "created_before": ["9999-12-31T23:59:59-14:00", "%00"],
    "page_size": ["0", "-1", "501", "9" * 5000, "many", "", "5_0", "5.0", "\N{FULLWIDTH DIGIT FIVE}"],
    "ordering": ["", "repo", "-created_at"],
    "reop": ["acme/web"],
    "page": [""],
    "format": ["json"],
}


@pytest.mark.parametrize("address", [EVENTS, EXECUTIONS])
def test_a_value_that_makes_no_sense_is_named(client: Client, address: str) -> None:
    for name, values in SENSELESS.items():
        for value in values:
            answer = client.get(f"{address}?{name}={value}")
            named = [error["parameter"] for error in answer.json()["errors"]]
            assert (answer.status_code, named) == (400, [name]), value


# Which index answers a filter, as the database's own planner says


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
