"""Retention removes only what is old, finished and fully reported, and only where configured."""

import io
from datetime import timedelta

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone
from django_tasks_db.models import DBTaskResult
from pytest_django import Settings

from reviews.maintenance import retention
from reviews.maintenance.retention import retain
from reviews.models import Delivery, GitHubLimit, MissedDelivery, Review, Turn
from sandbox import PullRequest
from telemetry.models import Execution, RateLimitEvent
from tests.support.factories import (
    ExecutionFactory,
    GitHubLimitFactory,
    MissedDeliveryFactory,
    RateLimitEventFactory,
    TurnFactory,
)
from tests.support.runs import admit, run

pytestmark = [pytest.mark.database, pytest.mark.django_db]

LONG_AGO = timedelta(days=31)


def age(**rows: object) -> None:
    """Make everything that there is 31 days old."""
    then = timezone.now() - LONG_AGO
    Delivery.objects.update(received_at=then)
    Delivery.objects.exclude(finished_at=None).update(finished_at=then)
    RateLimitEvent.objects.update(created_at=then)
    Execution.objects.update(created_at=then)
    MissedDelivery.objects.update(delivered_at=then)


def test_by_default_only_old_ignored_and_queue_rows_are_removed(pull: PullRequest) -> None:
    kept = admit(pull)
    run(kept)
    ignored = admit(pull, "labeled")
    TurnFactory(started_at=timezone.now() - timedelta(days=2), used_at=timezone.now() - timedelta(days=2))
    limit = GitHubLimitFactory(seen_at=timezone.now() - timedelta(days=8))
    age()
    DBTaskResult.objects.update(status="SUCCESSFUL", finished_at=timezone.now() - timedelta(days=2))

    assert retain() == {"old tasks removed": 1, "deliveries removed": 1}
    assert Delivery.objects.get() == kept
    assert not Delivery.objects.filter(pk=ignored.pk).exists()
    assert Review.objects.count() == RateLimitEvent.objects.count() == 1
    assert not Turn.objects.exists()
    assert not GitHubLimit.objects.filter(pk=limit.pk).exists()


def test_rows_older_than_the_retention_are_removed(
    pull: PullRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.KODIAI_RETENTION_DAYS = 30
    monkeypatch.setattr(retention, "BATCH", 1)
    run(admit(pull))
    admit(pull, "labeled")
    MissedDeliveryFactory()
    age()
    young = admit(pull)
    run(young)

    assert retain() == {"old tasks removed": 0, "deliveries removed": 2, "telemetry rows removed": 2}
    assert Delivery.objects.get() == young
    assert RateLimitEvent.objects.get().delivery_id == Execution.objects.get().delivery_id == young.delivery_id
    assert not MissedDelivery.objects.exists()


def test_what_waits_or_has_pending_telemetry_is_kept(pull: PullRequest, settings: Settings) -> None:
    settings.KODIAI_RETENTION_DAYS = 30
    waiting = admit(pull)
    pending_event, pending_execution = admit(pull), admit(pull)
    for delivery in (pending_event, pending_execution):
        run(delivery)
    Review.objects.filter(delivery=pending_event).update(rate_limit_event_recorded_at=None)
    Review.objects.filter(delivery=pending_execution).update(execution_recorded_at=None)
    age()

    retain()

    assert set(Delivery.objects.all()) == {waiting, pending_event, pending_execution}


@pytest.mark.parametrize(("days", "refused"), [(0, False), (1, True), (7, True), (8, False)])
def test_a_retention_below_redelivery_is_refused(settings: Settings, days: int, refused: bool) -> None:
    settings.KODIAI_RETENTION_DAYS = days

    assert ("kodiai.E003" in [message.id for message in run_checks()]) is refused


def test_purge_telemetry_removes_old_rows_and_says_how_many() -> None:
    old, young = RateLimitEventFactory(), RateLimitEventFactory()
    RateLimitEvent.objects.filter(pk=old.pk).update(created_at=timezone.now() - LONG_AGO)
    ExecutionFactory()
    output = io.StringIO()

    call_command("purge_telemetry", older_than=30, dry_run=True, stdout=output)
    assert RateLimitEvent.objects.count() == 2
    call_command("purge_telemetry", "--older-than", "30d", stdout=output)

    assert RateLimitEvent.objects.get() == young
    assert Execution.objects.count() == 1
    assert output.getvalue().splitlines() == [
        "1 row is older than 30 days. Nothing was removed.",
        "1 row older than 30 days was removed.",
    ]
    with pytest.raises(CommandError, match="1 or more"):
        call_command("purge_telemetry", older_than=0)
