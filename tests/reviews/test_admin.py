"""Deliveries and runs in the admin: read, searched, and requeued where they failed; hostile text is text."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_tasks_db.models import DBTaskResult

from reviews.findings import Finding, LeftOut, LeftOutReason, Report, Severity
from reviews.models import Delivery, DeliveryStatus, Review
from tests.kodiai.test_pages import needs_nothing_forbidden
from tests.support.factories import DeliveryFactory, ExecutionFactory, RateLimitEventFactory, ReviewFactory
from tests.support.webhooks import deliver, pull_request_payload

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def delivery(client: Client) -> Delivery:
    deliver(client, pull_request_payload(), delivery_id="d-1")
    return Delivery.objects.get()


def queue_again(client: Client, *deliveries: Delivery) -> str:
    answer = client.post(
        "/admin/reviews/delivery/",
        {"action": "queue_again", "_selected_action": [delivery.pk for delivery in deliveries]},
        follow=True,
    )
    assert answer.status_code == 200
    return answer.content.decode()


def test_only_a_delivery_that_failed_is_queued_again(admin_client: Client, delivery: Delivery) -> None:
    assert "0 queued again. 1 left alone" in queue_again(admin_client, delivery)
    assert DBTaskResult.objects.count() == 1
    Delivery.objects.update(status=DeliveryStatus.FAILED)

    assert "1 queued again." in queue_again(admin_client, delivery)

    delivery.refresh_from_db()
    assert delivery.status == DeliveryStatus.QUEUED
    assert DBTaskResult.objects.count() == 2


@pytest.mark.parametrize("page", ["delivery", "review"])
def test_pages_cost_the_same_for_many_rows(admin_client: Client, client: Client, page: str) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert admin_client.get(f"/admin/reviews/{page}/?q=octo/demo").status_code == 200
        return len(captured.captured_queries)

    deliver(client, pull_request_payload(), delivery_id="first")
    one = cost()
    for number in range(30):
        deliver(client, pull_request_payload(), delivery_id=str(number))

    assert cost() == one
    assert "31 " in admin_client.get(f"/admin/reviews/{page}/?q=octo/demo").content.decode()
    row = (Delivery if page == "delivery" else Review).objects.latest("pk")
    assert admin_client.get(f"/admin/reviews/{page}/{row.pk}/change/").status_code == 200


# Hostile text is shown as text


ATTACK = "\"'></a></td><script>alert(1)</script><img src=x onerror=alert(1)><svg/onload=alert(1)>{{7*7}}{% debug %}"
TABLES = ("reviews/delivery", "reviews/review", "telemetry/ratelimitevent", "telemetry/execution")


@pytest.fixture
def rows() -> dict[str, int]:
    """One row of each table, hostile wherever a stranger's text can get."""
    names = dict.fromkeys(("delivery_id", "event_type", "repo"), ATTACK)
    delivery = DeliveryFactory(event=ATTACK, sender=ATTACK, failure=ATTACK, status=DeliveryStatus.FAILED, **names)
    report = Report(
        findings=(Finding(ATTACK, 1, 1, Severity.MAJOR, ATTACK, ATTACK, rule_url="javascript:alert(1)"),),
        left_out=(LeftOut(ATTACK, LeftOutReason.UNAVAILABLE),),
        engine_failures=((ATTACK, ATTACK),),
    )
    review = ReviewFactory(
        delivery=delivery, repo=ATTACK, pr_author=ATTACK, conclusion="error", conclusion_reason=ATTACK,
        github_review_url="javascript:alert(1)//https://github.com", report=report.to_json(), lease_owner=ATTACK[:100],
    )  # fmt: skip
    event = RateLimitEventFactory(degradation_path=ATTACK, **names)
    texts = ("pr_author", "provider", "model", "conclusion", "session_id", "stop_reason")
    execution = ExecutionFactory(**names, **dict.fromkeys(texts, ATTACK))
    return {table: row.pk for table, row in zip(TABLES, (delivery, review, event, execution), strict=True)}


@pytest.mark.parametrize("table", TABLES)
def test_every_page_of_a_table_shows_hostile_rows_as_text(
    admin_client: Client, rows: dict[str, int], table: str
) -> None:
    for page in ("", f"{rows[table]}/change/", f"{rows[table]}/history/"):
        answer = admin_client.get(f"/admin/{table}/{page}")
        assert answer.status_code == 200
        html = answer.content.decode()
        # The attack is there, as text.
        assert "&lt;script&gt;alert(1)" in html
        needs_nothing_forbidden(answer)
        assert "<script>alert(1)" not in html
        assert "{{7*7}}" in html


def test_hostile_searches_and_filters_are_shown_as_text(admin_client: Client, rows: dict[str, int]) -> None:
    for table in rows:
        for query in ({"q": ATTACK}, {"event_type": ATTACK}, {"repo": ATTACK}, {"q": "\0"}, {ATTACK: ATTACK}):
            answer = admin_client.get(f"/admin/{table}/", query, follow=True)
            assert answer.status_code in (200, 400), (table, query)
            assert "<script>alert(1)" not in answer.content.decode()
