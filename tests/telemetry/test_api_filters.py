"""What the telemetry API is filtered by, and that it refuses what it does not understand."""

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from tests.support.factories import ExecutionFactory, RateLimitEventFactory
from tests.telemetry.test_api import EVENTS, EXECUTIONS, RESOURCES, reader, rows, with_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return with_token(reader())


MINE = {"repo": "acme/mine", "pr_number": 7, "event_type": "issue_comment.created", "delivery_id": "d-1"}


@pytest.mark.parametrize(("address", "factory"), RESOURCES)
@pytest.mark.parametrize("name", MINE)
def test_rows_are_filtered_by_an_exact_value(client: Client, address: str, factory: Any, name: str) -> None:
    mine = factory(**MINE)
    factory(repo="acme/mine2", pr_number=77, event_type="issue_comment.created2", delivery_id="d-12")

    assert [row["id"] for row in rows(client, f"{address}?{name}={MINE[name]}")] == [mine.pk]
    assert rows(client, f"{address}?{name}={MINE[name]}&repo=acme/other") == []


def test_events_are_filtered_by_degradation_path(client: Client) -> None:
    RateLimitEventFactory()
    mine = RateLimitEventFactory(degradation_path="search-api-rate-limit")

    assert [row["id"] for row in rows(client, f"{EVENTS}?degradation_path=search-api-rate-limit")] == [mine.pk]


def test_executions_are_filtered_by_conclusion(client: Client) -> None:
    ExecutionFactory()
    mine = ExecutionFactory(conclusion="partial")

    assert [row["id"] for row in rows(client, f"{EXECUTIONS}?conclusion=partial")] == [mine.pk]


@pytest.mark.parametrize(("address", "factory"), RESOURCES)
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("created_after=2026-03-01T12:00:00Z", [2, 1]),
        ("created_before=2026-03-01T12:00:00Z", [0]),
        ("created_after=2026-03-01T12:00:00Z&created_before=2026-03-02T00:00:00Z", [1]),
        ("created_after=2026-03-01T14:00:00%2B02:00", [2, 1]),
        ("created_after=2026-03-01T12:00:00.000001Z", [2]),
        ("created_after=2026-03-02", [2]),
        ("created_after=2026-03-01T12:00:00", [2, 1]),
    ],
)
def test_a_time_range_has_its_start_and_not_its_end(
    client: Client, address: str, factory: Any, query: str, expected: list[int]
) -> None:
    times = [(1, 11), (1, 12), (2, 0)]
    made = [factory(created_at=datetime(2026, 3, day, hour, tzinfo=UTC)).pk for day, hour in times]

    assert [row["id"] for row in rows(client, f"{address}?{query}")] == [made[index] for index in expected]


@pytest.mark.parametrize("address", [EVENTS, EXECUTIONS])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("repo", "acme%00web"),
        ("delivery_id", "%00"),
        ("event_type", "%00"),
        ("pr_number", "seven"),
        ("pr_number", "7.5"),
        ("pr_number", "9" * 5000),
        ("created_after", "yesterday"),
        ("created_after", "2026-02-30T00:00:00Z"),
        ("created_after", "0001-01-01T00:00:00%2B14:00"),
        ("created_before", "9999-12-31T23:59:59-14:00"),
        ("created_before", "%00"),
        ("page_size", "0"),
        ("page_size", "-1"),
        ("page_size", "501"),
        ("page_size", "9" * 5000),
        ("page_size", "many"),
        ("page_size", ""),
        ("ordering", ""),
        ("ordering", "repo"),
        ("ordering", "-created_at"),
        ("repo", ""),
        ("created_after", ""),
        ("reop", "acme/web"),
        ("page", ""),
        ("format", "json"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(client: Client, address: str, name: str, value: str) -> None:
    answer = client.get(f"{address}?{name}={value}")

    assert answer.status_code == 400
    assert [error["parameter"] for error in answer.json()["errors"]] == [name]


@pytest.mark.parametrize(
    "query",
    ["pr_number=" + "9" * 30, "pr_number=-" + "9" * 30, "repo=%ED%A0%80", "repo=%FF", "delivery_id=" + "x" * 5000],
)
def test_a_value_that_no_row_can_have_finds_none(client: Client, query: str) -> None:
    RateLimitEventFactory()

    assert rows(client, f"{EVENTS}?{query}") == []


@pytest.mark.parametrize(
    "cursor",
    ["%00", "é", b64encode(b"p=abc").decode(), b64encode(b"p=").decode(), b64encode(b"p=" + b"9" * 5000).decode(),
     b64encode(b"p=%00").decode(), b64encode(b"r=x").decode(), b64encode(b"o=-1").decode()],
)  # fmt: skip
def test_a_cursor_that_was_not_given_is_no_page(client: Client, cursor: str) -> None:
    RateLimitEventFactory()

    assert client.get(EVENTS, {"cursor": cursor}).status_code == 404


@pytest.mark.parametrize("key", ["0", "9" * 30, "9" * 5000, "-1", "x", "%00"])
def test_a_row_that_there_is_not_is_not_found(client: Client, key: str) -> None:
    assert client.get(f"{EVENTS}{key}/").status_code == 404
