"""Counters of /metrics: each row is counted once, whatever becomes of it, and in however many processes."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from reviews.intake.inbox import requeue
from reviews.maintenance import tallies
from reviews.maintenance.retention import retain
from reviews.maintenance.tallies import add_up
from reviews.models import CountedUntil, Delivery, DeliveryStatus, IgnoreReason, Review, Tally
from telemetry.models import Conclusion, DegradationPath
from tests.support.factories import DeliveryFactory, LanguageModelUsageFactory, ReviewFactory

pytestmark = [pytest.mark.database, pytest.mark.django_db]

EARLIER = timedelta(minutes=10)
USAGE = {"provider": "openai", "model": "gpt-5-mini", "input_tokens": 1000, "output_tokens": 50, "cost_usd": 0.25}


def ended(seconds: float = 30, **values: Any) -> Review:
    """A run that ended ten minutes ago, `seconds` after its webhook."""
    now = timezone.now() - EARLIER
    run: Review = ReviewFactory(finished_at=now, published_at=now, **values)
    Delivery.objects.filter(pk=run.delivery_id).update(received_at=now - timedelta(seconds=seconds))
    return run


def totals() -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for tally in Tally.objects.all():
        found.setdefault(tally.metric, {})[tally.label] = tally.value
    return found


def test_a_run_is_counted_with_all_that_it_was() -> None:
    ended(45)
    ended(
        4000, conclusion=Conclusion.PARTIAL, degradation_path=DegradationPath.SEARCH_RATE_LIMIT,
        skipped_queries=1, retry_attempts=2,
    )  # fmt: skip
    LanguageModelUsageFactory(review=ended(45), usage=USAGE)
    ReviewFactory()  # Too young: its clock may be wrong.

    add_up()

    found = totals()
    assert found["runs"] == {"success": 2, "partial": 1}
    assert found["degradations"] == {"search-api-rate-limit": 1}
    assert (found["search_queries_skipped"][""], found["search_retries"][""]) == (1, 2)
    assert found["webhook_to_published"] == {"60": 2, "21600": 1}
    assert found["webhook_to_published_sum"][""] == pytest.approx(4090)
    assert found["language_model_cost_usd"] == {"openai:gpt-5-mini": 0.25}
    assert found["language_model_tokens"] == {
        json.dumps(["openai:gpt-5-mini", kind]): amount for kind, amount in (("input", 1000), ("output", 50))
    }


def test_deliveries_are_counted_by_why_they_were_ignored() -> None:
    for reason in ("", "", IgnoreReason.BOT_SENDER):
        DeliveryFactory(ignore_reason=reason, received_at=timezone.now() - EARLIER)

    add_up()

    assert totals() == {"deliveries_accepted": {"": 2}, "deliveries_ignored": {"bot-sender": 1}}


@pytest.mark.parametrize("limit", [1, 2, 5000])
def test_a_second_round_adds_nothing(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(tallies, "MAX_RUNS", limit)
    at_once = timezone.now() - EARLIER
    for _ in range(3):
        ended()
    Review.objects.update(finished_at=at_once)
    ended()

    assert add_up() == {"deliveries counted": 4, "runs counted": 4}
    assert add_up() == {"deliveries counted": 0, "runs counted": 0}
    assert totals()["runs"] == {"success": 4}


def test_a_round_that_another_process_overtakes_adds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ended()
    add = tallies._add

    def overtaken(source: str, since: Any, *args: Any) -> bool:
        CountedUntil.objects.filter(source=source).update(moment=timezone.now())
        return add(source, since, *args)

    monkeypatch.setattr(tallies, "_add", overtaken)

    assert add_up() == {"deliveries counted": 0, "runs counted": 0}
    assert totals() == {}


def retained(run: Review, settings: Settings) -> None:
    settings.KODIAI_RETENTION_DAYS = 30
    long_ago = timezone.now() - timedelta(days=31)
    Delivery.objects.filter(pk=run.delivery_id).update(finished_at=long_ago)
    retain()
    assert not Review.objects.exists()


def requeued(run: Review, settings: Settings) -> None:
    Delivery.objects.filter(pk=run.delivery_id).update(status=DeliveryStatus.FAILED)
    assert requeue(run.delivery)


@pytest.mark.parametrize("happen", [retained, requeued])
def test_no_counter_falls(happen: Callable[[Review, Settings], None], settings: Settings) -> None:
    run = ended(conclusion=Conclusion.ERROR)
    LanguageModelUsageFactory(review=run, usage=USAGE)
    add_up()
    before = totals()

    happen(run, settings)
    add_up()

    assert totals() == before


def test_a_requeued_run_ends_twice_and_costs_once(settings: Settings) -> None:
    run = ended(conclusion=Conclusion.ERROR)
    LanguageModelUsageFactory(review=run, usage=USAGE)
    add_up()
    requeued(run, settings)
    Review.objects.update(finished_at=timezone.now() - tallies.LAG, conclusion=Conclusion.SUCCESS)

    CountedUntil.objects.filter(source="runs").update(moment=timezone.now() - 2 * tallies.LAG)
    add_up()

    found = totals()
    assert found["runs"] == {"error": 1, "success": 1}
    assert found["language_model_cost_usd"] == {"openai:gpt-5-mini": 0.25}
    assert found["webhook_to_published"] == {"30": 1}


def test_a_row_is_counted_before_retention_removes_it(settings: Settings) -> None:
    retained(ended(), settings)

    assert totals()["runs"] == {"success": 1}
