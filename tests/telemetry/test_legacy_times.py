"""A row whose time cannot be read is shown without it, and everything else goes on."""

import datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from telemetry.models import Execution, RateLimitEvent
from telemetry.recording import record_execution
from tests.support.databases import POSTGRES_URL
from tests.support.factories import RateLimitEventFactory, execution_values
from tests.telemetry.test_admin import PAGES

pytestmark = [pytest.mark.database, pytest.mark.ops04, pytest.mark.django_db]

UNREADABLE = (
    ["infinity", "-infinity", "0044-03-15 00:00:00 BC", "12026-01-01 00:00:00"]
    if POSTGRES_URL
    else ["", "garbage", 5, 2.5, b"\xff\x00", "2026-13-45 00:00:00", "0000-00-00 00:00:00", "0001-01-01T00:00:00+05:00"]
)


def spoil(row: RateLimitEvent | Execution, value: Any) -> None:
    """Write a time that another program might have written."""
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {row._meta.db_table} SET created_at = %s WHERE id = %s", [value, row.pk])


@pytest.mark.parametrize(("page_url", "factory"), PAGES)
def test_the_admin_shows_a_row_with_an_unreadable_time(admin_client: Client, page_url: str, factory: Any) -> None:
    rows = [factory(repo=f"acme/unreadable-{number}") for number in range(len(UNREADABLE))]
    factory(repo="acme/readable")
    for row, value in zip(rows, UNREADABLE, strict=True):
        spoil(row, value)

    for address in ("?created_at__gte=1999-01-01+00%3A00%3A00%2B00%3A00&o=1", "?created_at__year=2026"):
        assert admin_client.get(f"{page_url}{address}").status_code == 200
    page = admin_client.get(page_url).content.decode()
    assert page.count(">unreadable<") == len(rows)
    for row in (*rows, "acme/readable"):
        assert (row if isinstance(row, str) else row.repo) in page
    for row in rows:
        assert admin_client.get(f"{page_url}{row.pk}/change/").status_code == 200
        row.refresh_from_db()
        assert row.created_at is None


def test_a_run_that_ends_again_keeps_a_time_that_is_unreadable() -> None:
    row = record_execution(**execution_values())
    spoil(row, UNREADABLE[0])

    assert record_execution(**execution_values(conclusion="error")) is not None

    row.refresh_from_db()
    assert (row.conclusion, row.created_at) == ("error", None)


@pytest.mark.parametrize(
    "value", ["2026-01-02 03:04:05", "2026-01-02 03:04:05.000", "2026-01-02T03:04:05Z", "2026-01-02T05:04:05+02:00"]
)
def test_times_in_every_usual_form_are_read(value: str) -> None:
    row = RateLimitEventFactory.create()
    spoil(row, value)

    row.refresh_from_db()

    assert row.created_at == datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    assert row.created_at.utcoffset() == datetime.timedelta(0)
