"""The operator is notified once of what is wrong, and once that it is over, over real HTTP."""

import hashlib
import hmac
import json
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone
from pytest_django import Settings

from reviews.maintenance import scheduler
from reviews.maintenance.notifications import notify
from reviews.models import Delivery, DeliveryStatus, Notification, NotificationKind, PeriodicTask, Review
from telemetry.models import Conclusion, DegradationPath
from tests.sandbox.receiver import Receiver
from tests.support.factories import GitHubOutageFactory, NotificationFactory, ReviewFactory

pytestmark = pytest.mark.django_db

SECRET = "the-secret-of-the-receiver"


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    """Who is notified by a signed webhook."""
    with Receiver() as server:
        settings.KODIAI_NOTIFY_URL = server.url
        settings.KODIAI_NOTIFY_SECRET = SECRET
        yield server


def failed_run(reason: str = "abandoned after 5 attempts: Boom") -> None:
    run = ReviewFactory(repo="octo/demo", pr_number=7, conclusion=Conclusion.ERROR, conclusion_reason=reason)
    Delivery.objects.filter(pk=run.delivery_id).update(status=DeliveryStatus.FAILED)


def an_hour_later() -> None:
    then = timezone.now() - timedelta(hours=1, minutes=1)
    Delivery.objects.update(finished_at=then)
    Review.objects.update(finished_at=then)


def github_away() -> None:
    GitHubOutageFactory(since=timezone.now() - timedelta(minutes=6))


def degraded() -> None:
    ReviewFactory.create_batch(8)
    ReviewFactory.create_batch(2, conclusion=Conclusion.PARTIAL, degradation_path=DegradationPath.SEARCH_RATE_LIMIT)


def telemetry_pending() -> None:
    long_ago = timezone.now() - timedelta(hours=2)
    ReviewFactory(execution_recorded_at=None, finished_at=long_ago)
    ReviewFactory(rate_limit_event_recorded_at=None, enriched_at=long_ago, finished_at=None)


def posted(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(body) for _, body in receiver.received]


@pytest.mark.parametrize(
    ("happen", "kind", "text"),
    [
        (failed_run, "runs-failed", "1 run failed in the last hour. The last one: octo/demo#7: abandoned after 5"),
        (github_away, "github-away", "GitHub cannot be reached since"),
        (degraded, "reviews-degraded", "2 of 10 reviews of the last hour are partial"),
        (telemetry_pending, "telemetry-pending", "1 rate-limit events and 1 executions are not stored"),
    ],
)
def test_what_is_wrong_is_posted_once(receiver: Receiver, happen: Callable[[], None], kind: str, text: str) -> None:
    notify()
    assert receiver.received == []

    happen()
    assert notify() == {"notifications sent": 1, "notifications failed": 0}
    assert notify() == {"notifications sent": 0, "notifications failed": 0}

    (message,) = posted(receiver)
    assert (message["kind"], message["state"]) == (kind, "begun")
    ((headers, body),) = receiver.received
    expected = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["x-kodiai-signature-256"] == f"sha256={expected}"
    assert text in message["text"]


def test_less_than_the_threshold_is_no_notification(receiver: Receiver) -> None:
    ReviewFactory.create_batch(9)
    ReviewFactory(conclusion=Conclusion.PARTIAL, degradation_path=DegradationPath.SEARCH_RATE_LIMIT)
    GitHubOutageFactory(since=timezone.now() - timedelta(minutes=4))
    ReviewFactory(execution_recorded_at=None)

    notify()

    assert receiver.received == []


def test_the_end_is_posted_under_the_same_id_and_then_forgotten(receiver: Receiver) -> None:
    failed_run()
    notify()
    an_hour_later()

    assert notify()["notifications sent"] == 1
    begun, ended = posted(receiver)
    assert (begun["state"], ended["state"]) == ("begun", "ended")
    assert begun["id"] == ended["id"]
    assert not Notification.objects.exists()

    failed_run()
    notify()
    assert posted(receiver)[2]["id"] != begun["id"]


def test_a_channel_that_fails_is_tried_again_and_the_others_not(
    receiver: Receiver, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.KODIAI_NOTIFY_EMAIL = ["ops@example.org"]
    receiver.status = 500
    failed_run()
    github_away()

    # After its first failure the webhook is left alone until the next round.
    with caplog.at_level(logging.WARNING):
        assert notify() == {"notifications sent": 2, "notifications failed": 1}
    assert len(receiver.received) == 1
    assert "status 500" in Notification.objects.exclude(failure="").get().failure
    assert receiver.url not in caplog.text

    receiver.status = 204
    assert notify() == {"notifications sent": 2, "notifications failed": 0}
    assert len(mail.outbox) == 2


def test_slack_mentions_nobody_for_a_stranger(receiver: Receiver, settings: Settings) -> None:
    settings.KODIAI_NOTIFY_URL, settings.KODIAI_NOTIFY_SLACK_URL = "", receiver.url
    failed_run("boom <!channel> & co")

    notify()

    (message,) = posted(receiver)
    assert message["text"].startswith("Kodiai: Runs fail\n")
    assert "boom &lt;!channel&gt; &amp; co" in message["text"]


def test_a_mail_has_one_line_as_its_subject(settings: Settings) -> None:
    settings.KODIAI_NOTIFY_EMAIL = ["ops@example.org", "more@example.org"]
    failed_run("boom\nBcc: everybody@example.org")

    notify()

    (message,) = mail.outbox
    assert (message.subject, message.to) == ("Kodiai: Runs fail", ["ops@example.org", "more@example.org"])
    assert "Kind: runs-failed" in message.body


def test_nobody_there_fails_no_periodic_task(settings: Settings) -> None:
    failed_run()
    scheduler.prepare()
    scheduler.run_due()
    assert not Notification.objects.exists(), "without a channel nothing is looked at"
    settings.KODIAI_NOTIFY_URL = "http://127.0.0.1:1"
    PeriodicTask.objects.update(due_at=timezone.now())

    scheduler.run_due()

    task = PeriodicTask.objects.get(name="notifications")
    assert (task.outcome, task.failure) == ("notifications sent: 0, notifications failed: 1", "")


def test_what_is_back_before_its_end_was_heard_begins_anew(receiver: Receiver) -> None:
    NotificationFactory(
        kind=NotificationKind.RUNS_FAILED, begin_sent=["webhook"], end_sent=["webhook"], ended_at=timezone.now()
    )
    failed_run()

    notify()

    assert [message["state"] for message in posted(receiver)] == ["begun"]
