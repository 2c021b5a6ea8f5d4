"""Lists of days long ago."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.support.factories import RateLimitEventFactory

pytestmark = pytest.mark.django_db

LIST = "/admin/telemetry/ratelimitevent/"
DAY = datetime(2026, 2, 1, 12, tzinfo=UTC)


def shown(client: Client, day: datetime) -> list[int]:
    """The keys of a day's rows."""
    page = client.get(LIST, {"since": day.date(), "until": day.date()})
    return [row.pk for row in page.context["cl"].result_list]


def test_a_day_long_ago_is_whole_in_any_order_of_ids(admin_client: Client) -> None:
    old = RateLimitEventFactory(created_at=DAY)
    RateLimitEventFactory()
    imported = RateLimitEventFactory(created_at=DAY)

    assert shown(admin_client, DAY) == [imported.pk, old.pk]
    assert shown(admin_client, DAY - timedelta(days=1)) == []


def test_on_postgresql_later_rows_are_not_walked_past(admin_client: Client) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite collects the keys of the day from its index first")
    old = RateLimitEventFactory(created_at=DAY)
    RateLimitEventFactory.create_batch(3)

    with CaptureQueriesContext(connection) as captured:
        assert shown(admin_client, DAY) == [old.pk]

    assert any(f'"id" <= {old.pk}' in query["sql"] and "ORDER BY" in query["sql"] for query in captured)
