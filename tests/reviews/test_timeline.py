"""The page of a delivery: its timeline, and what an operator can do about it."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from reviews.admin.timeline import timeline_of
from reviews.maintenance import redelivery
from reviews.models import Delivery, DeliveryStatus, MissedDelivery
from sandbox import Fault, FaultKind, PullRequest, Sandbox, webhook_payload
from telemetry.models import Execution, RateLimitEvent
from tests.support.factories import DeliveryFactory, MissedDeliveryFactory, ReviewFactory
from tests.support.runs import admit, run

pytestmark = pytest.mark.django_db


def titles(delivery: Delivery) -> list[str]:
    return [entry.title for entry in timeline_of(delivery).entries]


def test_a_run_is_shown_from_webhook_to_check_run(github: Sandbox, pull: PullRequest, admin_client: Client) -> None:
    delivery = admit(pull)
    github.fail("search", Fault(FaultKind.PRIMARY_LIMIT, reset_in=60))
    run(delivery)
    delivery.refresh_from_db()

    found = titles(delivery)
    assert found == [
        "Webhook received",
        "Attempt 1 finished",
        "Pull request read",
        "Author looked up, degraded: search-api-rate-limit",
        "Rate-limit event recorded",
        "Files analysed",
        "Review published",
        "Run finished: partial",
        "Execution recorded",
        "Check run reported",
    ]
    page = admin_client.get(f"/admin/reviews/delivery/{delivery.pk}/change/").content.decode()
    assert f"/admin/telemetry/ratelimitevent/{RateLimitEvent.objects.get().pk}/change/" in page
    assert f"/admin/telemetry/execution/{Execution.objects.get().pk}/change/" in page
    assert 'rel="noreferrer">Open on GitHub' in page
    assert re.search(r"<code>GET /search/issues</code></td><td><span class=\"badge warn\">403", page)
    assert "&lt;event&gt;.&lt;action&gt;" in page


def test_each_state_says_what_it_waits_for(db: None) -> None:
    later = timezone.now() + timedelta(hours=1)
    states = [
        (DeliveryFactory(status=DeliveryStatus.QUEUED), "waiting"),
        (DeliveryFactory(status=DeliveryStatus.QUEUED, queued_at=later), "deferred"),
        (ReviewFactory(delivery__status="running", lease_owner="w:1", conclusion="").delivery, "running"),
        (DeliveryFactory(status=DeliveryStatus.IGNORED, ignore_reason="bot-sender"), "ignored"),
        (ReviewFactory(delivery__status="failed", conclusion="timeout").delivery, "timeout"),
    ]

    assert [timeline_of(delivery).state for delivery, _ in states] == [state for _, state in states]
    assert f"until {later:%Y-%m-%d %H:%M:%S} UTC" == timeline_of(states[1][0]).waits


def test_a_broken_telemetry_store_or_report_hides_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = ReviewFactory(report={"files": [{"of": "another version"}]}).delivery

    def fail(*args: object, **query: object) -> None:
        raise DatabaseError("no such table")

    monkeypatch.setattr(RateLimitEvent.objects, "filter", fail)

    timeline = timeline_of(delivery)
    assert timeline.telemetry == "The telemetry store could not be read: no such table"
    assert "Review published" in [entry.title for entry in timeline.entries]


def test_a_failed_delivery_is_run_again_once_and_logged(admin_client: Client, pull: PullRequest) -> None:
    delivery = admit(pull)
    Delivery.objects.update(status=DeliveryStatus.FAILED, failure="Traceback\nRuntimeError: disk full")
    act = f"/admin/reviews/delivery/{delivery.pk}/act/run-again/"

    assert "RuntimeError: disk full" in admin_client.get("/admin/reviews/delivery/").content.decode()
    first, second = (admin_client.post(act, follow=True).content.decode() for _ in range(2))

    assert "Queued again." in first
    assert "Left alone, because it had not failed." in second
    assert DBTaskResult.objects.count() == 2
    assert [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")] == [
        "Queued again.",
        "Left alone, because it had not failed.",
    ]
    assert "admin: Queued again." in second
    assert admin_client.get(f"/admin/reviews/delivery/{delivery.pk}/act/else/").status_code == 404


def test_github_is_asked_to_send_a_delivery_again(
    admin_client: Client, github: Sandbox, pull: PullRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GitHub's list has whole seconds, so an attempt of this second would else be younger than now.
    monkeypatch.setattr(redelivery, "UNDER_WAY", timedelta(seconds=-1))
    payload = webhook_payload(pull, "opened")
    github.send_webhook("http://127.0.0.1:1/webhooks/github", "pull_request", payload, delivery_id="lost")
    MissedDeliveryFactory(pk=7, delivery_id="lost", event_type="pull_request.opened")
    MissedDeliveryFactory(pk=8, delivery_id="unknown", event_type="pull_request.opened")

    def ask(pk: int) -> str:
        return admin_client.post(f"/admin/reviews/misseddelivery/{pk}/act/redeliver/", follow=True).content.decode()

    assert "Redelivery requested." in ask(7)
    assert "GitHub does not list this delivery any more" in ask(8)
    assert [missed.requests for missed in MissedDelivery.objects.order_by("pk")] == [1, 0]
    github.fail("hook_deliveries", Fault(FaultKind.STATUS, status=503), times=None)
    assert "GitHub was not asked: GitHub answered 503" in ask(8)
