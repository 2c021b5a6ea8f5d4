"""`manage.py telemetry_report` sums up the tables alike on each database, as a table, JSON, CSV and one HTML page."""

import csv
import io
import json
import re
import statistics
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.utils import timezone

from telemetry.models import Execution, RateLimitEvent
from tests.support.databases import POSTGRES_URL
from tests.support.factories import ExecutionFactory, RateLimitEventFactory

pytestmark = [pytest.mark.database, pytest.mark.django_db]

HOSTILE = "=1+1/<script>alert(1)</script>"
DURATIONS = [100, 250, 900, 1200, 5000, 61_000, 61_001]


def report(*arguments: str) -> str:
    output = io.StringIO()
    call_command("telemetry_report", *arguments, stdout=output)
    return output.getvalue()


def figures(*arguments: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(report("--format", "json", *arguments))
    return document


@pytest.fixture
def rows() -> None:
    for number, duration in enumerate(DURATIONS):
        same = {"delivery_id": f"d-{number}", "repo": "acme/web" if number < 5 else "acme/api"}
        ExecutionFactory(
            **same, duration_ms=duration, conclusion="partial" if number < 2 else "success", cost_usd=0.5,
            input_tokens=10, output_tokens=3, pr_author="mona" if number < 3 else None,
            model="large" if number == 6 else "analyzers",
        )  # fmt: skip
        RateLimitEventFactory(
            **same, cache_hit_rate=number % 2, skipped_queries=number < 2, retry_attempts=2 * (number == 0),
            degradation_path=["search-api-rate-limit", "search-api-error"][number] if number < 2 else "none",
        )  # fmt: skip
    # Its run has another row, which has the identity.
    ExecutionFactory(delivery_id=None, legacy_delivery_id="d-1", cost_usd=1000)
    RateLimitEventFactory(delivery_id=None, legacy_delivery_id="d-1", retry_attempts=1000)
    ExecutionFactory(delivery_id="old", conclusion="error")
    Execution.objects.filter(delivery_id="old").update(created_at=timezone.now() - timedelta(days=40))
    # A run whose execution is pending still.
    RateLimitEventFactory(delivery_id="pending", repo="acme/web", cache_hit_rate=0.0)


def percentile(values: list[int], hundredth: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[hundredth - 1]


def test_all_figures_are_those_of_the_rows(rows: None) -> None:
    total = figures()["total"]

    assert total["duration_p50_ms"] == pytest.approx(percentile(DURATIONS, 50))
    assert total["duration_p95_ms"] == pytest.approx(percentile(DURATIONS, 95))
    assert total["cache_hit_rate"] == pytest.approx(3 / 8)
    del total["duration_p50_ms"], total["duration_p95_ms"], total["cache_hit_rate"]
    assert total == {
        "name": "all", "runs": 7, "conclusions": {"success": 5, "partial": 2}, "input_tokens": 70,
        "output_tokens": 21, "cache_read_tokens": 0, "cache_creation_tokens": 0, "cost_usd": 3.5, "events": 8,
        "degraded": {"search-api-rate-limit": 1, "search-api-error": 1}, "degraded_share": 0.25,
        "skipped_queries": 2, "retry_attempts": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("repo", [("acme/web", 5, 6), ("acme/api", 2, 2)]),
        ("event-type", [("pull_request.opened", 7, 8)]),
        ("author", [("(unknown)", 4, 5), ("mona", 3, 3)]),
        ("model", [("analyzers", 6, 6), ("large", 1, 1), ("(unknown)", 0, 1)]),
    ],
)
def test_groups_have_the_events_of_their_executions(rows: None, by: str, expected: list[tuple[str, int, int]]) -> None:
    groups = figures("--by", by)["groups"]

    assert [(group["name"], group["runs"], group["events"]) for group in groups] == expected
    if by == "repo":
        assert groups[0]["duration_p95_ms"] == pytest.approx(percentile(DURATIONS[:5], 95))
        assert groups[1]["duration_p50_ms"] == pytest.approx(61_000.5)


def test_a_range_ends_where_it_says(rows: None) -> None:
    assert figures("--range", "60d")["total"]["conclusions"] == {"success": 5, "partial": 2, "error": 1}
    assert figures("--range", "all")["total"]["runs"] == 8
    days = figures("--range", "7d")["periods"]
    assert len(days) == 8
    assert days[-1]["conclusions"] == {"success": 5, "partial": 2}
    assert (days[-1]["events"], days[-1]["degraded"], days[0]["events"]) == (8, 2, 0)
    assert [month["events"] for month in figures("--range", "all")["periods"]][-1] == 8
    assert figures("--range", days[0]["name"])["periods"] == days, "of a date, such as the first of this month"


def test_a_table_shows_every_figure(rows: None) -> None:
    plain, grouped = report(), report("--by", "repo")

    for shown in ("success 5, partial 2", "25.0% (search-api-error 1, search-api-rate-limit 1)", "37.5%", "$3.50"):
        assert shown in plain
        assert shown in grouped
    assert "acme/api" in grouped


def test_csv_has_a_line_for_each_group_and_no_formula(rows: None) -> None:
    Execution.objects.filter(delivery_id="d-6").update(repo=HOSTILE)

    lines = list(csv.DictReader(io.StringIO(report("--format", "csv", "--by", "repo"))))

    assert [line["repo"] for line in lines] == ["acme/web", "acme/api", f"'{HOSTILE}", "all"]
    assert [line["conclusion success"] for line in lines] == ["3", "1", "1", "5"]
    assert lines[-1]["cost_usd"] == "3.5"


class Page(HTMLParser):
    """What a page consists of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_stands_alone_and_escapes_what_it_shows(rows: None) -> None:
    Execution.objects.update(repo=HOSTILE, conclusion=HOSTILE)
    RateLimitEvent.objects.update(degradation_path=HOSTILE)

    text = report("--format", "html", "--by", "repo")
    page = Page(text)

    charts = [ElementTree.fromstring(chart) for chart in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]  # noqa: S314
    assert len(charts) == 4
    assert "script" not in page.tags
    assert HOSTILE in page.text
    assert not {name for name, _ in page.attributes} & {"src", "href", "srcset", "style"}
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not re.search(r"https?:|url\(|@import", text)


@pytest.mark.parametrize("form", ["table", "html"])
def test_an_empty_range_says_so(form: str) -> None:
    assert "no rows. A longer --range, such as all, may have some." in report("--format", form)


def test_no_range_is_longer_than_all() -> None:
    assert report("--range", "all").endswith(" UTC: no rows.\n")


def test_all_has_rows_whose_time_is_unreadable(rows: None) -> None:
    unreadable = ["infinity", "-infinity"] if POSTGRES_URL else ["garbage", ""]
    with connection.cursor() as cursor:
        for table in ("executions", "rate_limit_events"):
            for number, value in enumerate(unreadable):
                cursor.execute(f"UPDATE {table} SET created_at = %s WHERE delivery_id = %s", [value, f"d-{number}"])

    found = figures("--range", "all")

    assert (found["total"]["runs"], found["total"]["events"]) == (8, 8)
    assert found["periods"][0] == {
        "name": "(unknown)", "conclusions": {"partial": 2}, "cost_usd": 1.0, "events": 2, "degraded": 2,
    }  # fmt: skip
    assert sum(period["events"] for period in found["periods"]) == 8


@pytest.mark.parametrize("given", ["", "7", "0d", "-1d", "99999d", "d", "7 days"])
def test_a_range_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(CommandError, match="such as 24h, 7d or 4w"):
        call_command("telemetry_report", f"--range={given}")
