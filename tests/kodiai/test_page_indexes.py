"""The operators' pages read indexes, however many rows there are and however long the range is."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.support.factories import ExecutionFactory, RateLimitEventFactory, ReviewFactory

pytestmark = pytest.mark.django_db
on_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL plans by the number of rows")


def plans(client: Client, address: str) -> list[list[str]]:
    """How SQLite finds the rows of each query of a page."""
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    found = []
    with connection.cursor() as cursor:
        for query in captured.captured_queries:
            cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
            found.append([row[-1] for row in cursor.fetchall()])
    return found


@on_sqlite
def test_the_dashboard_reads_indexes_in_any_range(admin_client: Client) -> None:
    ReviewFactory()
    ExecutionFactory()
    RateLimitEventFactory()
    two_months_ago = (timezone.now() - timedelta(days=61)).date()

    day, two_months = plans(admin_client, "/admin/"), plans(admin_client, f"/admin/?since={two_months_ago}")

    assert len(day) == len(two_months) <= 25
    steps = [step for plan in two_months for step in plan]
    scans = [step for step in steps if re.match(r"SCAN (reviews_delivery|reviews_review|rate_limit|executions)", step)]
    partial = r".* INDEX reviews_(pending_|one_run_)"
    assert not [step for step in scans if not re.match(partial, step)], "only what is pending or claimed is scanned"
    for index in ("reviews_delivery_time_idx", "reviews_review_time_idx", "idx_rate_limit_events_created"):
        counted = [step for step in steps if index in step and "COVERING" in step]
        assert counted, f"{index} has all that is counted"


@on_sqlite
def test_rows_are_counted_without_their_ids(admin_client: Client) -> None:
    """PostgreSQL's indexes do not have them: it would read the rows, which hold whole reports."""
    with CaptureQueriesContext(connection) as captured:
        admin_client.get("/admin/?range=30d")

    assert not [query["sql"] for query in captured.captured_queries if re.search(r'COUNT\("\w+"\."id"\)', query["sql"])]


@on_sqlite
def test_the_charts_group_one_day_at_a_time(admin_client: Client) -> None:
    """Grouping two months at once sorts all their rows."""
    since = (timezone.now() - timedelta(days=61)).date()

    grouped = [plan for plan in plans(admin_client, f"/admin/?since={since}") if any("UNION" in step for step in plan)]

    assert len(grouped) == 2
    for plan in grouped:
        assert len([step for step in plan if step.startswith("SEARCH")]) == 62


@on_sqlite
def test_reviews_of_a_repository_come_in_order_from_its_index(admin_client: Client) -> None:
    ReviewFactory(repo="acme/shop")

    for query in ("repo=acme/shop", "q=acme/shop"):
        plan = next(p for p in plans(admin_client, f"/admin/reviews/review/?{query}") if "LIST SUBQUERY" in "".join(p))
        assert any("COVERING INDEX reviews_review_repo_idx (repo=?)" in step for step in plan), plan
        assert "TEMP B-TREE" not in "".join(plan)


@pytest.mark.database
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite reads no index of what is not a value")
def test_events_of_one_reason_are_read_from_their_index(admin_client: Client) -> None:
    with CaptureQueriesContext(connection) as captured:
        admin_client.get("/admin/telemetry/ratelimitevent/?degradation_path__exact=search-api-error")
    listed = [one["sql"] for one in captured.captured_queries if "rate_limit_events" in one["sql"]]

    with connection.cursor() as cursor:
        # The table is empty here, and would be read.
        cursor.execute("SET LOCAL enable_seqscan = off")
        plans = []
        for query in listed:
            cursor.execute(f"EXPLAIN {query}")
            plans.append("\n".join(row[0] for row in cursor.fetchall()))

    assert any("idx_rate_limit_events_degraded" in plan for plan in plans), plans
