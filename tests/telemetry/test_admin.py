"""Telemetry in the admin: to be read, never changed, without counting or walking the whole table."""

import re
from typing import Any

import pytest
from django.contrib.admin import site
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from telemetry import read_only_admin
from tests.support.factories import ExecutionFactory, RateLimitEventFactory

pytestmark = pytest.mark.django_db

PAGES = [("ratelimitevent", RateLimitEventFactory), ("execution", ExecutionFactory)]


def queries(client: Client, address: str) -> tuple[str, list[str]]:
    with CaptureQueriesContext(connection) as captured:
        page = client.get(address)
    assert page.status_code == 200
    return page.content.decode(), [query["sql"] for query in captured.captured_queries]


@pytest.mark.parametrize(("name", "factory"), PAGES)
def test_a_page_costs_the_same_for_two_rows_and_for_sixty(admin_client: Client, name: str, factory: Any) -> None:
    factory.create_batch(2)
    _, few = queries(admin_client, f"/admin/telemetry/{name}/")
    factory.create_batch(58)

    _, many = queries(admin_client, f"/admin/telemetry/{name}/")

    assert len(many) == len(few)


@pytest.mark.parametrize(("name", "factory"), PAGES)
def test_no_page_counts_the_whole_table(
    admin_client: Client, name: str, factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_only_admin, "MAX_ROWS", 20)
    factory.create_batch(25)

    page, run = queries(admin_client, f"/admin/telemetry/{name}/")

    counts = [sql for sql in run if "COUNT(" in sql]
    assert counts
    assert all(re.search(r"LIMIT 2[01]\)", sql) for sql in counts), counts
    assert "20+" in page


@pytest.mark.parametrize(("name", "factory"), PAGES)
def test_a_delivery_is_found_by_its_id(admin_client: Client, name: str, factory: Any) -> None:
    row, other = factory(repo="acme/found"), factory(repo="acme/other")

    page, run = queries(admin_client, f"/admin/telemetry/{name}/?q={row.delivery_id}")

    assert "acme/found" in page
    assert f">{other.delivery_id}<" not in page
    assert not [sql for sql in run if "LIKE" in sql], "a search that walks the table"


@pytest.mark.parametrize(
    ("name", "factory", "query"),
    [
        ("ratelimitevent", RateLimitEventFactory, "repo=acme/mine"),
        ("ratelimitevent", RateLimitEventFactory, "event_type=issue_comment.created"),
        ("ratelimitevent", RateLimitEventFactory, "degradation_path__exact=search-api-rate-limit"),
        (
            "ratelimitevent",
            RateLimitEventFactory,
            "created_at__gte=2020-01-01T00:00:00Z&repo=acme/mine",
        ),
        ("execution", ExecutionFactory, "repo=acme/mine"),
        ("execution", ExecutionFactory, "conclusion__exact=partial"),
    ],
)
def test_rows_are_filtered(admin_client: Client, name: str, factory: Any, query: str) -> None:
    special = {"repo": "acme/mine", "event_type": "issue_comment.created"}
    special |= {"degradation_path": "search-api-rate-limit"} if name == "ratelimitevent" else {"conclusion": "partial"}
    mine = factory(**special)
    factory(repo="acme/other")

    page, _ = queries(admin_client, f"/admin/telemetry/{name}/?{query}")

    assert f">{mine.delivery_id}<" in page
    assert "1 result" in page or re.search(r"paginator.*\n?\s*1 ", page)


def test_a_filter_offers_the_values_of_the_latest_rows(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_only_admin, "MAX_ROWS", 3)
    for repo in ("acme/old", "acme/b", "acme/a", "acme/b"):
        RateLimitEventFactory(repo=repo)

    page, _ = queries(admin_client, "/admin/telemetry/ratelimitevent/")

    assert re.findall(r'href="\?repo=([^"]+)"', page) == ["acme%2Fa", "acme%2Fb"]


@pytest.mark.parametrize("factory", [RateLimitEventFactory, ExecutionFactory])
def test_a_time_that_cannot_be_read_is_shown_as_such(factory: Any) -> None:
    row = factory.build()
    page: Any = site.get_model_admin(type(row))
    assert page.recorded_at(row) == row.created_at

    row.created_at = None

    assert page.recorded_at(row) == "unreadable"
    assert "recorded_at" in page.list_display
    assert "recorded_at" in page.readonly_fields


@pytest.mark.parametrize(("name", "factory"), PAGES)
def test_nothing_is_added_changed_or_deleted(admin_client: Client, name: str, factory: Any) -> None:
    row = factory()

    assert admin_client.get(f"/admin/telemetry/{name}/add/").status_code == 403
    assert admin_client.post(f"/admin/telemetry/{name}/{row.pk}/change/", {"repo": "x"}).status_code == 403
    assert admin_client.post(f"/admin/telemetry/{name}/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert admin_client.get(f"/admin/telemetry/{name}/{row.pk}/change/").status_code == 200


def test_event_execution_review_and_delivery_are_linked(admin_client: Client) -> None:
    event = RateLimitEventFactory()
    ExecutionFactory(delivery_id=event.delivery_id, event_type=event.event_type)

    page, _ = queries(admin_client, "/admin/telemetry/ratelimitevent/")
    for address in (
        f"/admin/telemetry/execution/?delivery_id__exact={event.delivery_id}&amp;event_type={event.event_type}",
        f"/admin/reviews/review/?q={event.delivery_id}",
        f"/admin/reviews/delivery/?q={event.delivery_id}",
    ):
        assert address in page
        assert admin_client.get(address.replace("&amp;", "&")).status_code == 200
    page, _ = queries(admin_client, "/admin/telemetry/execution/")
    assert f"/admin/telemetry/ratelimitevent/?delivery_id__exact={event.delivery_id}" in page


def test_a_row_without_a_delivery_has_no_links(admin_client: Client) -> None:
    RateLimitEventFactory(delivery_id=None)

    page, _ = queries(admin_client, "/admin/telemetry/ratelimitevent/")

    assert "/admin/reviews/review/?q=" not in page
