"""Telemetry in the admin: to be read, never changed, without counting or walking the whole table."""

import csv
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from telemetry import read_only_admin
from telemetry.models import Execution, RateLimitEvent
from telemetry.recording import record_execution
from tests.support.databases import POSTGRES_URL
from tests.support.factories import ExecutionFactory, RateLimitEventFactory, execution_values

pytestmark = [pytest.mark.database, pytest.mark.django_db]

EVENTS, EXECUTIONS = "/admin/telemetry/ratelimitevent/", "/admin/telemetry/execution/"
PAGES = [(EVENTS, RateLimitEventFactory), (EXECUTIONS, ExecutionFactory)]


def queries(client: Client, address: str) -> tuple[str, list[str]]:
    with CaptureQueriesContext(connection) as captured:
        page = client.get(address)
    assert page.status_code == 200
    return page.content.decode(), [query["sql"] for query in captured.captured_queries]


@pytest.mark.parametrize(("page_url", "factory"), PAGES)
def test_every_row_is_reached_by_paging_and_none_counted(
    admin_client: Client, page_url: str, factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_only_admin.ReadOnlyAdmin, "list_per_page", 10)
    rows = factory.create_batch(25)

    seen: list[list[int]] = []
    costs: set[int] = set()
    address: str | None = ""
    while address is not None:
        page, run = queries(admin_client, f"{page_url}{address}")
        assert not [sql for sql in run if "COUNT(" in sql or "OFFSET" in sql]
        costs.add(len(run))
        seen.append([int(pk) for pk in re.findall(rf'<th class="field-event_type"><a href="{page_url}(\d+)/', page)])
        found = re.search(r'rel="next" href="([^"]+)"', page)
        address = found[1] if found else None
    assert len(costs) == 1, "a page of five rows costs as many queries as one of ten"
    assert [pk for page_of_rows in seen for pk in page_of_rows] == sorted((row.pk for row in rows), reverse=True)

    (newer,) = re.findall(r'rel="prev" href="([^"]+)"', page)
    assert newer == f"?after={seen[2][0]}"
    page, _ = queries(admin_client, f"{page_url}{newer}")
    assert [int(pk) for pk in re.findall(rf'<th class="field-event_type"><a href="{page_url}(\d+)/', page)] == seen[1]


@pytest.mark.parametrize(("page_url", "factory"), PAGES)
def test_a_day_of_long_ago_is_one_form_away(admin_client: Client, page_url: str, factory: Any) -> None:
    for day in ("2026-09-10T23:59:59Z", "2026-09-11T00:00:00Z", "2026-09-12T23:59:59Z", "2026-09-13T00:00:00Z"):
        factory(created_at=datetime.fromisoformat(day), repo=f"acme/at-{day[:10]}")

    page, _ = queries(admin_client, f"{page_url}?since=2026-09-11&until=2026-09-12")

    assert set(re.findall(r'field-where">acme/at-([\d-]+)#', page)) == {"2026-09-11", "2026-09-12"}
    assert "2026-09-12 23:59:59 UTC" in page
    assert 'href="?since=2026-09-09&amp;until=2026-09-10">earlier' in page
    assert admin_client.get(f"{page_url}?since=someday").status_code == 302


@pytest.mark.parametrize(("page_url", "factory"), PAGES)
def test_what_a_list_shows_is_exported(admin_client: Client, page_url: str, factory: Any) -> None:
    mine = factory.create_batch(3, repo="acme/mine", event_type='=HYPERLINK("x")')
    factory(repo="acme/other")

    lines = admin_client.get(f"{page_url}export.csv?repo=acme/mine&before=1").getvalue().decode().splitlines()
    table = list(csv.DictReader(lines))
    objects = [
        json.loads(line) for line in admin_client.get(f"{page_url}export.jsonl?repo=acme/mine").getvalue().splitlines()
    ]

    assert [int(row["id"]) for row in table] == [row["id"] for row in objects] == [row.pk for row in reversed(mine)]
    assert {row["event_type"] for row in table} == {'\'=HYPERLINK("x")'}
    assert {row["event_type"] for row in objects} == {'=HYPERLINK("x")'}
    assert table[0].keys() == objects[0].keys() == {field.attname for field in mine[0]._meta.concrete_fields}
    assert datetime.fromisoformat(table[0]["created_at"]) == mine[2].created_at
    assert admin_client.get(f"{page_url}export.xlsx").status_code == 404
    assert admin_client.get(f"{page_url}export.csv?nope=1").status_code == 400


@pytest.mark.parametrize(("page_url", "factory"), PAGES)
def test_a_delivery_is_found_by_its_id(admin_client: Client, page_url: str, factory: Any) -> None:
    row, _ = factory(repo="acme/found"), factory(repo="acme/other")

    page, run = queries(admin_client, f"{page_url}?q={row.delivery_id}")

    assert "acme/found" in page
    assert "acme/other#" not in page
    assert not [sql for sql in run if "LIKE" in sql], "a search that walks the table"


@pytest.mark.parametrize(
    ("page_url", "factory", "query"),
    [
        (EVENTS, RateLimitEventFactory, "repo=acme/mine"),
        (EVENTS, RateLimitEventFactory, "event_type=issue_comment.created"),
        (EVENTS, RateLimitEventFactory, "degradation_path__exact=search-api-rate-limit"),
        (EVENTS, RateLimitEventFactory, "created_at__gte=2020-01-01T00:00:00Z&repo=acme/mine"),
        (EXECUTIONS, ExecutionFactory, "repo=acme/mine"),
        (EXECUTIONS, ExecutionFactory, "conclusion__exact=partial"),
    ],
)
def test_rows_are_filtered(admin_client: Client, page_url: str, factory: Any, query: str) -> None:
    special = {"degradation_path": "search-api-rate-limit"} if page_url == EVENTS else {"conclusion": "partial"}
    mine = factory(repo="acme/mine", event_type="issue_comment.created", **special)
    factory(repo="acme/other")

    page, _ = queries(admin_client, f"{page_url}?{query}")

    assert f"{page_url}{mine.pk}/change/" in page
    assert len(re.findall('<th class="field-event_type">', page)) == 1


def test_a_filter_offers_the_values_of_the_latest_rows(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_only_admin, "MAX_ROWS", 3)
    for repo in ("acme/old", "acme/b", "acme/a", "acme/b"):
        RateLimitEventFactory(repo=repo)

    page, _ = queries(admin_client, EVENTS)

    assert re.findall(r'href="\?repo=([^"]+)"', page) == ["acme%2Fa", "acme%2Fb"]


def test_event_execution_review_and_delivery_are_linked(admin_client: Client) -> None:
    event = RateLimitEventFactory()
    execution = ExecutionFactory(delivery_id=event.delivery_id, event_type=event.event_type)

    page, _ = queries(admin_client, f"{EVENTS}{event.pk}/change/")
    for address in (
        f"/admin/telemetry/execution/?delivery_id__exact={event.delivery_id}&amp;event_type={event.event_type}",
        f"/admin/reviews/review/?q={event.delivery_id}",
        f"/admin/reviews/delivery/?q={event.delivery_id}",
    ):
        assert address in page
        assert admin_client.get(address.replace("&amp;", "&")).status_code == 200
    page, _ = queries(admin_client, f"{EXECUTIONS}{execution.pk}/change/")
    assert f"/admin/telemetry/ratelimitevent/?delivery_id__exact={event.delivery_id}" in page
    page, _ = queries(admin_client, f"{EVENTS}{RateLimitEventFactory(delivery_id=None).pk}/change/")
    assert "/admin/reviews/review/?q=" not in page


# Lists of days long ago


DAY = datetime(2026, 2, 1, 12, tzinfo=UTC)


def shown(client: Client, day: datetime) -> list[int]:
    """The keys of a day's rows."""
    page = client.get(EVENTS, {"since": day.date(), "until": day.date()})
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


# A row whose time cannot be read is shown without it, and everything else goes on


UNREADABLE = (
    ["infinity", "-infinity", "0044-03-15 00:00:00 BC", "12026-01-01 00:00:00"]
    if POSTGRES_URL
    else ["", "garbage", 5, 2.5, b"\xff\x00", "2026-13-45 00:00:00", "0000-00-00 00:00:00", "0001-01-01T00:00:00+05:00"]
)


def spoil(row: RateLimitEvent | Execution, value: Any) -> None:
    """Write a time that another program might have written."""
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {row._meta.db_table} SET created_at = %s WHERE id = %s", [value, row.pk])


@pytest.mark.ops04
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


@pytest.mark.ops04
def test_a_run_that_ends_again_keeps_a_time_that_is_unreadable() -> None:
    row = record_execution(**execution_values())
    spoil(row, UNREADABLE[0])

    assert record_execution(**execution_values(conclusion="error")) is not None

    row.refresh_from_db()
    assert (row.conclusion, row.created_at) == ("error", None)


@pytest.mark.ops04
@pytest.mark.parametrize(
    "value", ["2026-01-02 03:04:05", "2026-01-02 03:04:05.000", "2026-01-02T03:04:05Z", "2026-01-02T05:04:05+02:00"]
)
def test_times_in_every_usual_form_are_read(value: str) -> None:
    row = RateLimitEventFactory.create()
    spoil(row, value)

    row.refresh_from_db()

    assert row.created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert row.created_at.utcoffset() == timedelta(0)
