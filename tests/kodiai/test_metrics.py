"""/metrics: right names and numbers, few and cheap queries, and no traceback."""

import json
import re
from collections.abc import Iterator
from copy import copy
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from kodiai import metrics
from reviews.maintenance.tallies import add_up
from reviews.models import Delivery, DeliveryStatus, Review, Tally
from tests.support.factories import (
    DeliveryFactory,
    GitHubLimitFactory,
    GitHubOutageFactory,
    PeriodicTaskFactory,
    ReviewFactory,
)
from tests.support.processes import ROOT

pytestmark = [pytest.mark.django_db, pytest.mark.database]

HOUR = timedelta(hours=1)
NAMES = re.compile(r"\bkodiai_[a-z_]+")


@pytest.fixture(autouse=True)
def _nothing_cached(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(metrics, "_cached", None)
    yield
    metrics._cached = None


def scrape(client: Client) -> dict[str, float]:
    """Each sample by its name and labels, as Prometheus' own parser reads the answer."""
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.content
    found = {}
    for family in text_string_to_metric_families(answer.content.decode()):
        assert family.documentation
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name.removeprefix('kodiai_')}{{{labels}}}"] = sample.value
    return found


def test_the_queue_and_what_is_pending_are_counted(client: Client) -> None:
    now = timezone.now()
    DeliveryFactory(status=DeliveryStatus.QUEUED, queued_at=now - HOUR)
    DeliveryFactory(status=DeliveryStatus.QUEUED, queued_at=now + HOUR)
    DeliveryFactory(status=DeliveryStatus.FAILED)
    ReviewFactory(rate_limit_event_recorded_at=None, execution_recorded_at=None)
    ReviewFactory(execution_recorded_at=None)

    found = scrape(client)

    assert found["deliveries{status=queued}"] == 2
    assert found["deliveries{status=failed}"] == 1
    assert (found["deliveries_due{}"], found["deliveries_deferred{}"]) == (1, 1)
    assert 3600 <= found["oldest_due_seconds{}"] < 3700
    assert (found["telemetry_pending{kind=rate_limit_event}"], found["telemetry_pending{kind=execution}"]) == (1, 2)


def test_github_and_the_periodic_tasks_are_shown(client: Client) -> None:
    limit = GitHubLimitFactory(installation_id=7, resource="search", limit=30, remaining=4)
    GitHubOutageFactory(since=timezone.now() - HOUR)
    task = PeriodicTaskFactory(name="sweep")

    found = scrape(client)

    assert found["github_limit_remaining{installation_id=7,resource=search}"] == 4
    assert found["github_limit{installation_id=7,resource=search}"] == 30
    reset = found["github_limit_reset_timestamp_seconds{installation_id=7,resource=search}"]
    assert reset == pytest.approx(limit.reset_at.timestamp())
    assert found["github_outages{}"] == 1
    assert 3600 <= found["github_outage_seconds{}"] < 3700
    success = found["periodic_task_success_timestamp_seconds{task=sweep}"]
    assert success == pytest.approx(task.finished_at.timestamp())


def test_counters_and_the_histogram_come_from_the_tallies(client: Client) -> None:
    then = timezone.now() - HOUR
    for seconds in (3, 40, 100_000):
        run = ReviewFactory(published_at=then, finished_at=then)
        Delivery.objects.filter(pk=run.delivery_id).update(received_at=then - timedelta(seconds=seconds))
    add_up()
    Tally.add("telemetry_write_failures", "execution", 3)
    Tally.add("language_model_tokens", json.dumps(["openai:gpt-5-mini", "input"]), 70)

    found = scrape(client)

    assert found["runs_total{conclusion=success}"] == 3
    assert found["runs_total{conclusion=timeout}"] == 0
    assert found["deliveries_accepted_total{}"] == 3
    buckets = {le: found[f"webhook_to_published_seconds_bucket{{le={le}}}"] for le in ("2.0", "5.0", "60.0", "+Inf")}
    assert buckets == {"2.0": 0, "5.0": 1, "60.0": 2, "+Inf": 3}
    assert found["webhook_to_published_seconds_sum{}"] == pytest.approx(100_043)
    assert found["telemetry_write_failures_total{kind=execution}"] == 3
    assert found["language_model_tokens_total{kind=input,model=openai:gpt-5-mini}"] == 70


def test_label_values_are_bounded(client: Client) -> None:
    for number in range(metrics.MAX_MODELS + 5):
        Tally.add("language_model_cost_usd", f"openai:model-{number}", number)
    now = timezone.now()
    GitHubLimitFactory.create_batch(metrics.MAX_LIMITS, seen_at=now)
    left_out = GitHubLimitFactory(seen_at=now - HOUR)

    found = scrape(client)

    costs = [name for name in found if name.startswith("language_model_cost_usd_total")]
    assert len(costs) == metrics.MAX_MODELS
    assert "language_model_cost_usd_total{model=openai:model-4}" not in found
    assert len([name for name in found if name.startswith("github_limit{")]) == metrics.MAX_LIMITS
    assert f"github_limit{{installation_id={left_out.installation_id},resource=core}}" not in found


def test_openmetrics_is_answered_to_who_asks_for_it(client: Client) -> None:
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})

    assert answer["Content-Type"].startswith("application/openmetrics-text")
    families = list(openmetrics.text_string_to_metric_families(answer.content.decode()))
    assert "kodiai_runs" in {family.name for family in families}


def test_no_repository_and_no_person_is_named(client: Client) -> None:
    add_up()
    ReviewFactory(repo="acme/secret", pr_author="mona", rate_limit_event_recorded_at=None)

    text = client.get("/metrics").content.decode()

    assert "acme" not in text
    assert "mona" not in text


# Who may read, and what a failure looks like


@pytest.mark.parametrize(
    ("sent", "status"), [("", 401), ("Bearer wrong", 401), ("t0ken", 401), ("Bearer é", 401), ("Bearer t0ken", 200)]
)
def test_a_token_is_asked_for_where_one_is_set(client: Client, settings: Settings, sent: str, status: int) -> None:
    settings.KODIAI_METRICS_TOKEN = "t0ken"

    answer = client.get("/metrics", headers={"Authorization": sent} if sent else {})

    assert answer.status_code == status
    assert (status == 200) == (b"kodiai_" in answer.content)


def test_a_database_that_fails_is_a_503_in_one_line(client: Client) -> None:
    def fail(*args: object) -> object:
        raise OperationalError("the server at 10.0.0.7 closed the connection")

    with connection.execute_wrapper(fail):
        answer = client.get("/metrics")

    assert (answer.status_code, answer.content) == (503, b"database: OperationalError\n")
    assert client.get("/metrics").status_code == 200


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_nothing_can_be_written(client: Client, method: str) -> None:
    assert getattr(client, method)("/metrics").status_code == 405


# What it costs


def test_a_second_scrape_asks_nothing(client: Client) -> None:
    first = client.get("/metrics").content

    with CaptureQueriesContext(connection) as captured:
        assert client.get("/metrics").content == first
    assert [query["sql"] for query in captured.captured_queries if " FROM " in query["sql"]] == []


def test_no_query_reads_a_whole_table(client: Client) -> None:
    # Of 3,000 ended deliveries, with few that wait.
    template_delivery = DeliveryFactory.build()
    built = [copy(template_delivery) for _ in range(3000)]
    for number, delivery in enumerate(built):
        delivery.delivery_id = f"d-{number}"
    deliveries = Delivery.objects.bulk_create(built)
    template: dict[str, Any] = {"repo": "acme/web", "enriched_at": timezone.now(), "finished_at": timezone.now()}
    recorded = {"rate_limit_event_recorded_at": timezone.now(), "execution_recorded_at": timezone.now()}
    Review.objects.bulk_create(Review(delivery=delivery, **template, **recorded) for delivery in deliveries)
    DeliveryFactory(status=DeliveryStatus.QUEUED, queued_at=timezone.now())
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")

    with CaptureQueriesContext(connection) as captured:
        scrape(client)

    large = ("reviews_delivery", "reviews_review", "reviews_checkrunreport")
    queries = [query["sql"] for query in captured.captured_queries if " FROM " in query["sql"]]
    assert len(queries) == 11
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    for sql in queries:
        with connection.cursor() as cursor:
            cursor.execute(f"{explain} {sql}")
            plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
        for table in large:
            assert not re.search(rf"(?:SCAN|Seq Scan on) {table}$", plan, re.MULTILINE), (sql, plan)


# What is built on the names


def test_page_dashboard_and_alerts_use_names_that_exist(client: Client) -> None:
    GitHubLimitFactory()
    PeriodicTaskFactory()
    Tally.add("language_model_cost_usd", "openai:gpt-5-mini", 1)
    Tally.add("language_model_tokens", json.dumps(["openai:gpt-5-mini", "input"]), 1)
    samples = {"kodiai_" + name.partition("{")[0] for name in scrape(client)}
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in samples}

    for file in ("deploy/grafana/kodiai.json", "deploy/prometheus/alerts.yml"):
        used = set(NAMES.findall((ROOT / file).read_text()))
        assert used, file
        assert used <= samples, file
    page = (ROOT / "docs" / "metrics.md").read_text()
    assert set(NAMES.findall(page.partition("## Alerts")[0])) == families
