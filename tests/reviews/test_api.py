"""The API of deliveries, runs, limits and aggregates: who may do what, what it answers, and what that costs."""

import json
from copy import copy
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from reviews.findings import Finding, Report, Severity, fingerprinted
from reviews.models import AuthorTier, Delivery, DeliveryStatus, Review
from telemetry.models import Conclusion
from tests.support.factories import (
    DeliveryFactory,
    ExecutionFactory,
    GitHubLimitFactory,
    RateLimitEventFactory,
    ReviewFactory,
)
from tests.support.runs import queued_tasks
from tests.telemetry.test_api import reader, rows, with_session, with_token

pytestmark = [pytest.mark.django_db, pytest.mark.database]

DELIVERIES, REVIEWS, LIMITS = "/api/v1/deliveries/", "/api/v1/reviews/", "/api/v1/limits/"
AGGREGATES = "/api/v1/aggregates/"
HOUR = timedelta(hours=1)


@pytest.fixture
def root() -> Client:
    return with_token(User.objects.create_superuser("root"))


# Who may do what


def test_each_resource_has_its_permission() -> None:
    review = ReviewFactory()
    limit = GitHubLimitFactory()
    needs = {
        DELIVERIES: ["view_delivery"],
        f"{DELIVERIES}{review.delivery_id}/": ["view_delivery"],
        REVIEWS: ["view_review"],
        f"{REVIEWS}{review.pk}/findings/": ["view_review"],
        f"{REVIEWS}{review.pk}/coverage/": ["view_review"],
        LIMITS: ["view_githublimit"],
        f"{LIMITS}{limit.pk}/": ["view_githublimit"],
        f"{AGGREGATES}author-tiers/": ["view_review"],
        f"{AGGREGATES}rules/": ["view_reportedfinding"],
        **{
            f"{AGGREGATES}{name}/": ["view_execution", "view_ratelimitevent"]
            for name in ("repositories", "event-types", "authors", "models")
        },
    }
    user = User.objects.create_user("somebody")
    client = with_token(user)

    for address, names in needs.items():
        assert Client().get(address).status_code == 401, address
        allowed = Permission.objects.filter(codename__in=names)
        user.user_permissions.set(Permission.objects.exclude(pk=allowed[0].pk))
        assert client.get(address).status_code == 403, address
        user.user_permissions.set(allowed)
        assert client.get(address).status_code == 200, address
        assert client.delete(address).status_code == 405, address


def test_only_who_may_change_deliveries_queues_them_again() -> None:
    delivery = DeliveryFactory(status=DeliveryStatus.FAILED)
    address = f"{DELIVERIES}{delivery.pk}/requeue/"
    user = reader("delivery")
    client = with_token(user)

    assert Client().post(address).status_code == 401
    assert client.post(address).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="change_delivery"))
    assert client.get(address).status_code == 405
    assert client.post(address).status_code == 200


def test_a_session_needs_a_csrf_token_to_change_anything() -> None:
    delivery = DeliveryFactory(status=DeliveryStatus.FAILED)
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("root"))

    assert client.post(f"{DELIVERIES}{delivery.pk}/requeue/").status_code == 403
    delivery.refresh_from_db()
    assert delivery.status == DeliveryStatus.FAILED


# Deliveries


def test_deliveries_are_filtered_and_know_their_run(root: Client) -> None:
    now = timezone.now()
    run = ReviewFactory(repo="acme/mine", pr_number=7)
    values = {"status": "failed", "delivery_id": "d-1", "event_type": "issue_comment.created", "installation_id": 9}
    Delivery.objects.filter(pk=run.delivery_id).update(**values, received_at=now - 2 * HOUR)
    DeliveryFactory(received_at=now, ignore_reason="bot-sender", status=DeliveryStatus.IGNORED)

    early = (now - HOUR).isoformat().replace("+", "%2B")
    for query in (
        *(f"{name}={value}" for name, value in values.items()),
        "repo=acme/mine",
        "pr_number=7",
        f"received_before={early}",
    ):
        (found,) = rows(root, f"{DELIVERIES}?{query}")
        assert (found["id"], found["review"]) == (run.delivery_id, run.pk), query
    for query in (f"received_after={early}", "ignore_reason=bot-sender"):
        (found,) = rows(root, f"{DELIVERIES}?{query}")
        assert (found["status"], found["review"]) == ("ignored", None), query


def test_a_failed_delivery_is_queued_again_and_noted(root: Client) -> None:
    run = ReviewFactory(conclusion=Conclusion.ERROR)
    Delivery.objects.filter(pk=run.delivery_id).update(status=DeliveryStatus.FAILED, failure="Traceback …")
    address = f"{DELIVERIES}{run.delivery_id}/"
    assert root.get(address).json()["failure"] == "Traceback …"

    answer = root.post(f"{address}requeue/")

    assert (answer.status_code, answer.json()["status"], answer.json()["review"]) == (200, "queued", run.pk)
    assert [task.delivery_pk for task in queued_tasks()] == [run.delivery_id]
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.object_id) == ("root", str(run.delivery_id))
    assert entry.get_edited_object() == run.delivery
    assert entry.get_change_message() == "Queued again by the API."


@pytest.mark.parametrize("status", [DeliveryStatus.DONE, DeliveryStatus.RUNNING, DeliveryStatus.QUEUED])
def test_what_has_not_failed_is_not_queued_again(root: Client, status: str) -> None:
    delivery = DeliveryFactory(status=status)

    answer = root.post(f"{DELIVERIES}{delivery.pk}/requeue/")

    assert (answer.status_code, answer["Content-Type"]) == (409, "application/problem+json")
    assert "has not failed" in answer.json()["detail"]
    assert not LogEntry.objects.exists()
    assert root.post(f"{DELIVERIES}999999999/requeue/").status_code == 404


# Runs and limits


def test_a_run_shows_its_findings_the_most_severe_first(root: Client) -> None:
    found = [
        fingerprinted(Finding("a.py", line, line, severity, "ruff/F401", "unused", engine="ruff"), "a.py")
        for line, severity in ((1, Severity.MINOR), (2, Severity.MAJOR))
    ]
    report = Report(findings=tuple(found), pre_existing=3)
    run = ReviewFactory(report=json.loads(json.dumps(report.to_json())))

    answer = root.get(f"{REVIEWS}{run.pk}/findings/").json()

    assert [(one["start_line"], one["severity"]) for one in answer["findings"]] == [(2, "major"), (1, "minor")]
    assert answer["findings"][0]["fingerprint"] == found[1].fingerprint
    assert (answer["pre_existing"], answer["suppressed"]) == (3, 0)
    assert root.get(f"{REVIEWS}{ReviewFactory().pk}/findings/").json()["findings"] == []


def test_limits_are_filtered_by_installation_and_resource(root: Client) -> None:
    limit = GitHubLimitFactory(installation_id=7, resource="search", remaining=4)
    GitHubLimitFactory(installation_id=7)
    GitHubLimitFactory(resource="search")

    (found,) = rows(root, f"{LIMITS}?installation_id=7&resource=search")

    assert (found["id"], found["remaining"]) == (limit.pk, 4)


# Aggregates


def test_telemetry_is_summed_up_by_each_grouping(root: Client) -> None:
    for milliseconds in range(0, 1100, 100):
        ExecutionFactory(duration_ms=milliseconds, model="gpt-5", cost_usd=0.5, delivery_id=f"d-{milliseconds}")
    ExecutionFactory(repo="acme/api", pr_author="mona", model="analyzers", conclusion="error")
    RateLimitEventFactory(delivery_id="d-100", degradation_path="search-api-error", skipped_queries=1)

    for name, group in (("repositories", "acme/web"), ("authors", "octocat"), ("models", "gpt-5")):
        first, second = root.get(f"{AGGREGATES}{name}/").json()["results"]
        assert (first["name"], first["runs"], first["cost_usd"]) == (group, 11, 5.5)
        assert (first["duration_p50_ms"], first["duration_p95_ms"]) == (500, 950)
        assert (first["conclusions"], second["conclusions"]) == ({"success": 11}, {"error": 1})
        assert (first["degraded"], first["skipped_queries"]) == ({"search-api-error": 1}, 1)
    (only,) = root.get(f"{AGGREGATES}event-types/?repo=acme/api").json()["results"]
    assert (only["name"], only["runs"]) == ("pull_request.opened", 1)
    assert len(root.get(f"{AGGREGATES}repositories/?limit=1").json()["results"]) == 1


def test_runs_are_summed_up_by_author_tier(root: Client) -> None:
    now = timezone.now()
    for seconds in (10, 20, 30):
        run = ReviewFactory(
            author_tier=AuthorTier.CORE, started_at=now - timedelta(seconds=4), finished_at=now, published_at=now
        )
        Delivery.objects.filter(pk=run.delivery_id).update(received_at=now - timedelta(seconds=seconds))
    ReviewFactory(author_tier="", published_at=None, started_at=None, conclusion=Conclusion.SKIPPED)
    ReviewFactory(finished_at=now - timedelta(days=8))

    core, unknown = root.get(f"{AGGREGATES}author-tiers/").json()["results"]

    assert (core["name"], core["runs"], core["published"]) == ("core", 3, 3)
    assert core["duration_p50_ms"] == pytest.approx(4000, abs=1)
    assert core["webhook_to_published_p50_ms"] == pytest.approx(20_000, abs=1)
    assert core["webhook_to_published_p95_ms"] == pytest.approx(29_000, abs=1)
    assert (unknown["conclusions"], unknown["webhook_to_published_p50_ms"]) == ({"skipped": 1}, None)


def test_a_range_has_seven_days_and_at_most_31(root: Client) -> None:
    ExecutionFactory(created_at=timezone.now() - timedelta(days=8))
    address = f"{AGGREGATES}models/"

    assert root.get(address).json()["results"] == []
    assert [group["runs"] for group in root.get(f"{address}?days=31").json()["results"]] == [1]
    until = (timezone.now() - timedelta(days=5)).date()
    answer = root.get(f"{address}?created_before={until}T00:00:00Z").json()
    assert [group["runs"] for group in answer["results"]] == [1]
    assert answer["created_before"] == f"{until}T00:00:00Z"
    assert root.get(f"{address}?created_before=0001-01-01T00:00:00Z").json()["results"] == []


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("days=32", "days"),
        ("days=0", "days"),
        ("days=1_0", "days"),
        ("days=%D9%A3", "days"),
        ("days=31.0", "days"),
        ("created_before=soon", "created_before"),
        ("repo=", "repo"),
        ("repo=%00", "repo"),
        ("limit=501", "limit"),
        ("since=2026-01-01", "since"),
    ],
)
def test_a_range_that_is_not_valid_names_its_parameter(root: Client, query: str, parameter: str) -> None:
    answer = root.get(f"{AGGREGATES}models/?{query}")

    assert answer.status_code == 400
    assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


# What was read before


def test_who_has_the_answer_gets_no_second_one(root: Client) -> None:
    run = ReviewFactory()
    for address in (DELIVERIES, REVIEWS, f"{REVIEWS}{run.pk}/", f"{REVIEWS}{run.pk}/findings/"):
        first = root.get(address)
        tag = first["ETag"]
        assert first["Cache-Control"] == "private, no-cache"

        again = root.get(address, headers={"If-None-Match": tag})
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", tag)
        assert Client().get(address, headers={"If-None-Match": tag}).status_code == 401

    Review.objects.update(repo="acme/renamed")
    assert root.get(REVIEWS, headers={"If-None-Match": root.get(DELIVERIES)["ETag"]}).status_code == 200
    Delivery.objects.update(status=DeliveryStatus.FAILED)
    assert root.get(f"{REVIEWS}{run.pk}/", headers={"If-None-Match": tag}).status_code == 200


# What it costs


def test_a_page_costs_one_query_and_is_not_sorted() -> None:
    client = with_session(User.objects.create_superuser("root"))
    template = DeliveryFactory.build()
    built = [copy(template) for _ in range(3000)]
    for number, delivery in enumerate(built):
        delivery.delivery_id = f"d-{number}"
    deliveries = Delivery.objects.bulk_create(built)
    Review.objects.bulk_create(Review(delivery=delivery, repo=delivery.repo) for delivery in deliveries)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    for address in (
        f"{table}{query}" for table in (DELIVERIES, REVIEWS) for query in ("", "?ordering=id", "?repo=acme/web")
    ):
        with CaptureQueriesContext(connection) as captured:
            assert len(rows(client, address)) == 50
        (page,) = [query["sql"] for query in captured.captured_queries if "ORDER BY" in query["sql"]]
        assert "COUNT" not in page
        assert '"report"' not in page
        with connection.cursor() as cursor:
            cursor.execute(f"{explain} {page}")
            plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
        assert "TEMP B-TREE" not in plan, address
        assert "Sort" not in plan, address
