"""What the telemetry API is filtered by, and that it refuses what it does not understand."""

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from tests.support.factories import ExecutionFactory, RateLimitEventFactory
from tests.telemetry.test_api import EVENTS, EXECUTIONS, RESOURCES, reader, rows, with_token

pytestmark = [pytest.mark.database, pytest.mark.django_db]


@pytest.fixture
def client() -> Client:
    return with_token(reader())


MINE = {"repo": "acme/mine", "pr_number": 7, "event_type": "issue_comment.created", "delivery_id": "d-1"}


@pytest.mark.parametrize(("address", "factory"), RESOURCES)
def test_rows_are_filtered_by_an_exact_value(client: Client, address: str, factory: Any) -> None:
    mine = factory(**MINE)
    factory(repo="acme/mine2", pr_number=77, event_type="issue_comment.created2", delivery_id="d-12")

    for name, value in MINE.items():
        assert [row["id"] for row in rows(client, f"{address}?{name}={value}")] == [mine.pk], name
        assert rows(client, f"{address}?{name}={value}&repo=acme/other") == [], name


@pytest.mark.parametrize(
    ("address", "factory", "name", "value"),
    [
        (EVENTS, RateLimitEventFactory, "degradation_path", "search-api-rate-limit"),
        (EXECUTIONS, ExecutionFactory, "conclusion", "partial"),
    ],
)
def test_rows_are_filtered_by_how_they_ended(client: Client, address: str, factory: Any, name: str, value: str) -> None:
    factory()
    mine = factory(**{name: value})

    assert [row["id"] for row in rows(client, f"{address}?{name}={value}")] == [mine.pk]


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


def test_a_value_that_no_row_can_have_finds_none(client: Client) -> None:
    RateLimitEventFactory()

    for number in ("9" * 30, "-" + "9" * 30):
        assert rows(client, f"{EVENTS}?pr_number={number}") == []
    for query in ("repo=%ED%A0%80", "repo=%FF", "delivery_id=" + "x" * 5000):
        assert rows(client, f"{EVENTS}?{query}") == []


def test_a_cursor_that_was_not_given_is_no_page(client: Client) -> None:
    RateLimitEventFactory()

    made = [
        b64encode(text).decode()
        for text in (b"p=abc", b"p=", b"p=" + b"9" * 5000, b"p=%00", b"r=x", b"o=-1", b"p=1_0", b"o=0", b"\0\0")
    ]
    for cursor in ("%00", "é", *made):
        assert client.get(EVENTS, {"cursor": cursor}).status_code == 404, cursor
