"""Runs that were interrupted, at any point of them, and go on: nothing twice, nothing lost."""

import pytest

from reviews.models import DeliveryStatus, Review
from reviews.publishing import marker
from reviews.recovery import record_owed, sweep
from reviews.runner import process
from sandbox import Fault, FaultKind, PullRequest, Sandbox
from telemetry.models import Conclusion, Execution, RateLimitEvent
from tests.runs import (
    admit,
    event_of,
    execution_of,
    let_leases_run_out,
    let_waits_be_over,
    run,
    run_in_a_process_that_is_killed,
)

pytestmark = pytest.mark.django_db


STEPS = [
    "started_at",
    "loaded_at",
    "enriched_at",
    "event-written",
    "rate_limit_event_recorded_at",
    "analysed_at",
    "publishing_at",
    "review-posted",
    "published_at",
    "finished_at",
    "execution-written",
    "execution_recorded_at",
]


@pytest.mark.ops04
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("point", STEPS)
def test_a_run_that_is_killed_at_any_point_and_run_again_leaves_one_review_and_one_row_each(
    github: Sandbox, pull: PullRequest, point: str
) -> None:
    delivery = admit(pull)
    run_in_a_process_that_is_killed(delivery, point)

    let_leases_run_out()
    sweep()
    let_waits_be_over()
    process(delivery.pk)
    record_owed()

    review = Review.objects.get(delivery=delivery)
    assert review.conclusion == Conclusion.SUCCESS
    assert len(pull.reviews) == 1
    assert review.github_review_id == pull.reviews[0]["id"]
    assert event_of(delivery).cache_hit_rate == 0
    assert execution_of(delivery).conclusion == "success"
    assert RateLimitEvent.objects.count() == Execution.objects.count() == 1
    assert github.count("search") == 1


def test_a_forged_marker_of_somebody_else_does_not_keep_a_review_from_being_published(
    github: Sandbox, pull: PullRequest
) -> None:
    delivery = admit(pull)
    github.fail("create_review", Fault(FaultKind.STATUS, status=502))
    review = run(delivery)
    pull.add_review("mallory", f"nothing to see {marker(review)}")

    assert run(delivery).conclusion == Conclusion.SUCCESS
    assert [posted["user"]["login"] for posted in pull.reviews] == ["mallory", "kodiai[bot]"]


@pytest.mark.parametrize("kind", [FaultKind.TAKEN_THEN_RESET])
def test_a_review_that_github_took_without_an_answer_is_not_posted_again(
    github: Sandbox, pull: PullRequest, kind: FaultKind
) -> None:
    delivery = admit(pull)
    github.fail("create_review", Fault(kind))
    assert run(delivery).delivery.status == DeliveryStatus.QUEUED

    assert run(delivery).conclusion == Conclusion.SUCCESS
    assert len(pull.reviews) == 1


def test_a_run_that_goes_on_after_a_push_is_superseded(github: Sandbox, pull: PullRequest) -> None:
    delivery = admit(pull)
    github.fail("graphql", Fault(FaultKind.SECONDARY_LIMIT, retry_after=0))
    run(delivery)
    pull.push({"shop.py": "x = 1\n"})

    review = run(delivery)

    assert review.conclusion == Conclusion.SUPERSEDED
    assert pull.reviews == []
