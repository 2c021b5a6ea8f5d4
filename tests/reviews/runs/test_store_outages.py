"""A broken telemetry store never stops a review, and its row is stored after the repair."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from reviews import service
from reviews.maintenance.recovery import flush_outbox
from reviews.models import Review
from sandbox import PullRequest
from telemetry.models import Execution, RateLimitEvent
from tests.support.runs import admit, body_without_marker, event_of, run
from tests.telemetry.test_recording_failures import FAILURES, Failure, same_identity_not_yet_committed

pytestmark = [pytest.mark.database, pytest.mark.ops05, pytest.mark.django_db(transaction=True)]

BOUND = timedelta(seconds=4)
"""A second is promised; the others are for a busy machine. What holds the store holds it for as long as we look."""


def published(pull: PullRequest) -> tuple[str, list[dict[str, Any]]]:
    """What people see of the latest review, which is brought up to date by each run."""
    return body_without_marker(pull.reviews[-1]), pull.reviews[-1]["comments"]


# That one is about an identity of its own tests; here it would not meet the run's.
IN_A_RUN = [failure for failure in FAILURES if failure is not same_identity_not_yet_committed]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("failure", IN_A_RUN)
def test_a_broken_store_stops_no_review_and_gets_its_row_later(
    pull: PullRequest, failure: Failure, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The store is in the reviews' own database, so it fails for as long as the event is recorded, and no longer."""
    healthy = run(admit(pull))
    expected = published(pull)
    delivery = admit(pull)
    record = service.record_rate_limit_event
    recorded: list[dict[str, Any]] = []

    def record_into_the_failing_store(**event: Any) -> RateLimitEvent | None:
        with failure() as values:
            recorded.append(event | values)
            return record(**recorded[-1])

    with monkeypatch.context() as patch:
        patch.setattr(service, "record_rate_limit_event", record_into_the_failing_store)
        caplog.clear()
        review = run(delivery)

    assert (review.conclusion, review.rate_limit_event_recorded_at) == ("success", None)
    assert published(pull) == expected
    assert review.duration < healthy.duration + BOUND
    (warning,) = [entry for entry in caplog.records if entry.levelname == "WARNING" and entry.name.startswith("tele")]
    assert vars(warning)["rate_limit_event"] == recorded[0]
    assert not RateLimitEvent.objects.filter(delivery_id=delivery.delivery_id).exists()

    assert flush_outbox() == 1
    assert flush_outbox() == 0
    event = event_of(delivery)
    assert (event.repo, event.pr_number, event.skipped_queries) == ("octo/demo", pull.number, 0)


def test_an_exception_of_any_other_kind_does_not_stop_a_review(
    pull: PullRequest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Unheard(Exception):
        pass

    def fail(*args: Any, **kwargs: Any) -> None:
        raise Unheard("of")

    delivery = admit(pull)
    with monkeypatch.context() as patch:
        patch.setattr(RateLimitEvent.objects, "get_or_create", fail)
        review = run(delivery)

    assert review.conclusion == "success"
    assert len(pull.reviews) == 1
    assert [entry for entry in caplog.records if "Unheard" in str(vars(entry).get("error"))]
    assert flush_outbox() == 1
    assert event_of(delivery)


def test_an_unrecorded_execution_is_pending_too(pull: PullRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = admit(pull)
    with monkeypatch.context() as patch:
        patch.setattr(service, "record_execution", lambda **values: None)
        run(delivery)

    assert flush_outbox() == 1
    assert flush_outbox() == 0


def test_an_unstorable_row_keeps_no_other_from_being_stored(pull: PullRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(service, "record_rate_limit_event", lambda **values: None)
        for _ in range(5):
            run(admit(pull))
    poisoned = list(Review.objects.order_by("pk")[:4])
    Review.objects.filter(pk__in=[review.pk for review in poisoned]).update(cache_hit_rate=7.0)

    rounds = [flush_outbox() for _ in range(3)]

    assert sum(rounds) == 1
    assert RateLimitEvent.objects.get().delivery_id == Review.objects.latest("pk").delivery.delivery_id


def test_an_unstorable_execution_keeps_no_other_either(pull: PullRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a store refuses for ever, such as under a unique index of somebody else's, blocks nobody behind it."""
    with monkeypatch.context() as patch:
        patch.setattr(service, "record_execution", lambda **values: None)
        for _ in range(5):
            run(admit(pull))
    good = Review.objects.latest("pk").delivery.delivery_id
    record = service.record_execution
    monkeypatch.setattr(
        service, "record_execution", lambda **values: record(**values) if values["delivery_id"] == good else None
    )

    rounds = [flush_outbox() for _ in range(3)]

    assert sum(rounds) == 1
    assert Execution.objects.get().delivery_id == good


def test_a_run_of_a_month_has_an_execution(pull: PullRequest) -> None:
    """PostgreSQL's integers end at 24.8 days of milliseconds."""
    review = run(admit(pull))
    Execution.objects.all().delete()
    Review.objects.update(execution_recorded_at=None, started_at=F("finished_at") - timedelta(days=30))

    assert flush_outbox() == 1
    assert Execution.objects.get().duration_ms == 2**31 - 1
    assert review.conclusion
