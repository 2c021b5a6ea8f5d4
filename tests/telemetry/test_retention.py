"""`manage.py purge_telemetry` removes what is old, and nothing of which that cannot be known."""

import io
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from telemetry.models import Execution, RateLimitEvent
from tests.support.databases import POSTGRES_URL
from tests.support.factories import ExecutionFactory, RateLimitEventFactory

pytestmark = [pytest.mark.database, pytest.mark.django_db, pytest.mark.ops04]

NO_TIMES = (
    ["infinity", "-infinity", "0044-03-15 00:00:00 BC"]
    if POSTGRES_URL
    else [
        "", "garbage", 5, "5", 1795000000000, "1795000000000", "1712113012345", b"\xff", "0000-00-00 00:00:00",
        "2026-13-45 00:00:00", "0000-01-01 00:00:00",
    ]
)  # fmt: skip
OLD = ["2025-01-02 03:04:05", "2025-01-02 03:04:05.123", "2025-01-02T03:04:05Z", "2025-01-02T03:04:05+02:00"]


def purge(*arguments: str) -> list[str]:
    output = io.StringIO()
    call_command("purge_telemetry", *arguments, stdout=output)
    return output.getvalue().splitlines()


@pytest.fixture(params=["Kodiai's own columns", "legacy columns"])
def _text_columns(request: pytest.FixtureRequest) -> None:
    """Times are TEXT in the legacy tables, which turns a number into text."""
    if request.param != "legacy columns":
        return
    if POSTGRES_URL:
        pytest.skip("times are times there")
    with connection.cursor() as cursor:
        for model in (RateLimitEvent, Execution):
            table = model._meta.db_table
            cursor.execute(f"ALTER TABLE {table} RENAME TO old")
            cursor.execute("SELECT sql FROM sqlite_master WHERE name = 'old'")
            sql = cursor.fetchone()[0].replace('"created_at" datetime', '"created_at" TEXT').replace('"old"', table)
            cursor.execute("DROP TABLE old")
            cursor.execute(sql)


@pytest.mark.usefixtures("_text_columns")
@pytest.mark.parametrize("factory", [RateLimitEventFactory, ExecutionFactory])
def test_a_row_whose_time_cannot_be_read_is_kept(factory: Any) -> None:
    young = factory()
    for value in (*NO_TIMES, *OLD):
        with connection.cursor() as cursor:
            row = factory()
            cursor.execute(f"UPDATE {row._meta.db_table} SET created_at = %s WHERE id = %s", [value, row.pk])
    kept = f"Rows with a time that cannot be read, which are kept: {len(NO_TIMES)}."

    dry = purge("--older-than", "30", "--dry-run")
    real = purge("--older-than", "30")

    assert dry == ["4 rows are older than 30 days. Nothing was removed.", kept]
    assert real == ["4 rows older than 30 days were removed.", kept]
    left = list(type(young).objects.order_by("pk").values_list("created_at", flat=True))
    assert left == [young.created_at] + [None] * len(NO_TIMES)


@pytest.mark.parametrize("days", ["99999999999", "999999999", "900000"])
def test_more_days_than_there_are_is_one_sentence(days: str) -> None:
    with pytest.raises(CommandError, match="takes fewer days"):
        purge("--older-than", days)
