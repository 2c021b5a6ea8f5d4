"""What is proved of telemetry tables that others have made."""

from datetime import UTC, datetime

import pytest
from django.db import connection

from telemetry.models import Execution, RateLimitEvent
from telemetry.verification import oldest_row
from tests.support.databases import POSTGRES_URL
from tests.support.factories import ExecutionFactory, RateLimitEventFactory

pytestmark = [pytest.mark.database, pytest.mark.django_db, pytest.mark.ops04]

OLD = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.skipif(not POSTGRES_URL, reason="SQLite's times are text")
def test_a_time_without_a_zone_is_in_utc() -> None:
    with connection.cursor() as cursor:
        for model in (RateLimitEvent, Execution):
            cursor.execute(f"ALTER TABLE {model._meta.db_table} ALTER created_at TYPE timestamp")
    row = ExecutionFactory(created_at=OLD)

    row.refresh_from_db()

    assert (row.created_at, row.created_at.tzinfo) == (OLD, UTC)
    assert oldest_row() == OLD


@pytest.mark.parametrize("value", ["infinity", "-infinity"] if POSTGRES_URL else ["", "garbage", "17 November", 5])
def test_the_oldest_row_is_one_whose_time_can_be_read(value: str | int) -> None:
    RateLimitEventFactory(created_at=OLD)
    odd = RateLimitEventFactory()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE rate_limit_events SET created_at = %s WHERE id = %s", [value, odd.pk])

    assert oldest_row() == OLD
