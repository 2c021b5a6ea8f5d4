"""The dashboard: its figures are those of the rows, its charts are safe and whole, its queries few."""

from datetime import datetime, timedelta

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from kodiai.dashboard.charts import Chart, Series
from kodiai.dashboard.figures import figures
from kodiai.dashboard.ranges import MAX_DAYS, read_range
from reviews.models import DeliveryStatus
from telemetry.models import Execution
from tests.support.factories import (
    DeliveryFactory,
    ExecutionFactory,
    GitHubLimitFactory,
    GitHubOutageFactory,
    RateLimitEventFactory,
    ReviewFactory,
)

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def hours_ago(hours: float) -> datetime:
    return timezone.now() - timedelta(hours=hours)


def test_figures_are_those_of_the_range() -> None:
    for hours, conclusion, seconds in ((1, "success", 4), (2, "success", 8), (3, "partial", 20), (30, "error", 1)):
        at = hours_ago(hours)
        published = at + timedelta(seconds=seconds)
        ReviewFactory(
            created_at=at,
            published_at=published,
            conclusion=conclusion,
            delivery__received_at=at,
            delivery__status="done",
        )
    DeliveryFactory(status=DeliveryStatus.IGNORED, ignore_reason="bot-sender")
    for hours, path, rate in ((1, "none", 1.0), (2, "search-api-rate-limit", 0.0), (50, "search-api-error", 0.0)):
        RateLimitEventFactory(created_at=hours_ago(hours), degradation_path=path, cache_hit_rate=rate)
    for hours, model, cost in ((1, "analyzers", 0.0), (2, "a-model", 0.5), (3, "a-model", 0.25), (50, "a-model", 9.0)):
        ExecutionFactory(created_at=hours_ago(hours), model=model, cost_usd=cost, input_tokens=10, output_tokens=5)

    found = figures(read_range({}))

    runs, limits = found.runs, found.limits
    assert (runs.deliveries, runs.ignored, runs.runs) == (4, 1, 3)
    assert runs.conclusions == {"success": 2, "partial": 1}
    assert (runs.p50, runs.measured) == (8.0, 3)
    assert runs.p95 == pytest.approx(18.8)
    assert runs.succeeded == pytest.approx(2 / 3)
    assert (limits.events, limits.reasons, limits.cache_hit_rate) == (2, {"search-api-rate-limit": 1}, 0.5)
    assert [(model.name, model.runs, model.tokens, model.cost) for model in found.models] == [
        ("a-model", 2, 30, 0.75),
        ("analyzers", 1, 15, 0.0),
    ]
    assert sum(runs.chart.series[0].values) == 2
    assert figures(read_range({"range": "7d"})).runs.conclusions["error"] == 1


def test_what_waits_fails_and_is_pending_now() -> None:
    later = timezone.now() + timedelta(hours=1)
    DeliveryFactory(status=DeliveryStatus.QUEUED, queued_at=hours_ago(1), author="a")
    deferred = DeliveryFactory(status=DeliveryStatus.QUEUED, queued_at=later, author="b", repo="acme/web", pr_number=7)
    for number in range(3):
        text = f"Traceback\nRefused: GitHub answered 403 to GET /repos/acme/shop-{number}/pulls/{number}"
        DeliveryFactory(status=DeliveryStatus.FAILED, failure=text, received_at=hours_ago(3 - number))
    ReviewFactory(delivery__status="failed", conclusion="error", conclusion_reason="abandoned")
    ReviewFactory(rate_limit_event_recorded_at=None, created_at=hours_ago(5))
    ReviewFactory(execution_recorded_at=None, created_at=hours_ago(4))
    GitHubOutageFactory()

    now = figures(read_range({})).now

    assert (now.due, now.deferred, now.failed, now.running) == (1, 1, 4, 0)
    assert now.next_deferred == [(deferred.pk, "acme/web#7", later)]
    assert [failure.count for failure in now.failures] == [3, 1]
    assert now.failures[0].last > now.failures[0].first
    assert now.failures[1].reason == "abandoned"
    assert (now.pending_events, now.pending_executions, len(now.outages)) == (1, 1, 1)
    assert now.pending_since < hours_ago(4.5)


def test_the_page_shows_hostile_text_as_text_in_few_queries(admin_client: Client) -> None:
    attack = "<script>alert(1)</script>"
    DeliveryFactory(status=DeliveryStatus.FAILED, failure=attack)
    DeliveryFactory(status=DeliveryStatus.QUEUED, queued_at=timezone.now() + timedelta(hours=1), repo=attack)
    ExecutionFactory(model=attack)
    RateLimitEventFactory(degradation_path=attack)
    GitHubLimitFactory(resource=attack[:32])

    with CaptureQueriesContext(connection) as few:
        page = admin_client.get("/admin/?range=30d").content.decode()
    for _ in range(20):
        ReviewFactory()
        ExecutionFactory()
        DeliveryFactory(status=DeliveryStatus.FAILED)
    with CaptureQueriesContext(connection) as many:
        admin_client.get("/admin/?range=30d")

    assert attack not in page
    assert page.count("&lt;script&gt;alert(1)") >= 4
    assert len(many) <= len(few) <= 25


def test_a_broken_telemetry_store_leaves_the_rest(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    ReviewFactory()

    def fail(*args: object, **query: object) -> None:
        raise DatabaseError("no such table: executions")

    monkeypatch.setattr(Execution.objects, "filter", fail)

    page = admin_client.get("/admin/").content.decode()
    assert "The telemetry store could not be read: no such table: executions" in page
    assert "Runs by how they ended" in page


@pytest.mark.parametrize(
    ("query", "columns", "note"),
    [
        ({}, 25, ""),
        ({"range": "7d"}, 8, ""),
        ({"range": "nonsense"}, 25, ""),
        ({"since": "2026-09-11", "until": "2026-09-12"}, 48, ""),
        ({"since": "2026-09-12", "until": "2026-09-01"}, 12, ""),
        ({"since": "2025-09-01", "until": "2026-09-12"}, MAX_DAYS, "last 62 days"),
        ({"since": "someday"}, 25, "2026-09-11"),
        ({"since": "9999-12-31", "until": "9999-12-31"}, 25, "2026-09-11"),
    ],
)
def test_a_range_is_read_from_the_query(query: dict[str, str], columns: int, note: str) -> None:
    span = read_range(query)

    assert len(span.columns) in (columns, columns - 1)
    assert span.columns == sorted(set(span.columns))
    assert note in span.note


def test_a_chart_has_all_its_figures_twice_and_no_style() -> None:
    series = [Series("good & well", "success", [3, 0, 120]), Series("<b>", "error", [0, 0, 5])]
    chart = Chart("Runs", ["2026-09-11 08", "2026-09-11 09", "2026-09-11 10"], series)

    assert chart.rows == [("2026-09-11 08", ["3", "0"]), ("2026-09-11 10", ["120", "5"])]
    assert chart.scale == ("150", "75", "0")
    assert chart.ends == ("08:00", "09:00", "10:00")
    assert "<title>2026-09-11 10: good &amp; well 120, &lt;b&gt; 5</title>" in chart.svg
    assert "style=" not in chart.svg
    assert chart.svg.count("<rect") == 3
