"""Runs that are interrupted at any point go on: nothing is published twice, nothing is lost."""

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from reviews.github.facts import MAX_POST_DURATION, POST_VISIBILITY_DELAY
from reviews.maintenance.recovery import flush_outbox, sweep
from reviews.models import PENDING_CHECK_RUN, CheckRunReport, DeliveryStatus, Review
from reviews.publishing.check_runs import external_id, report_pending
from reviews.publishing.markdown import RESOLVED
from reviews.publishing.publish import marker
from sandbox import Fault, FaultKind, PullRequest, Sandbox, add_review
from telemetry.models import Conclusion, Execution, RateLimitEvent
from tests.support.kill_points import OF_A_RUN
from tests.support.published import app_reviews, check_reported_once
from tests.support.runs import admit, event_of, execution_of, expire_leases, kill_at, report_of, resume, run
from tests.support.shop import AFTER

pytestmark = [pytest.mark.database, pytest.mark.django_db]


@pytest.mark.sampled(6)
@pytest.mark.ops04
@pytest.mark.parametrize("point", OF_A_RUN)
def test_a_run_killed_at_any_point_publishes_once(github: Sandbox, pull: PullRequest, point: str) -> None:
    delivery = admit(pull)
    kill_at(point, delivery)

    resume(delivery)
    flush_outbox()
    report_pending()

    review = Review.objects.get(delivery=delivery)
    (check_run,) = pull.repository.check_runs
    assert (check_run["external_id"], check_run["conclusion"]) == (external_id(review), "neutral")
    assert report_of(review).reported_at is not None
    assert not CheckRunReport.objects.filter(PENDING_CHECK_RUN).exists()
    assert review.conclusion == Conclusion.SUCCESS
    assert len(pull.reviews) == 1
    assert review.github_review_id == pull.reviews[0]["id"]
    assert event_of(delivery).cache_hit_rate == 0
    assert execution_of(delivery).conclusion == "success"
    assert RateLimitEvent.objects.count() == Execution.objects.count() == 1
    assert github.count("search") == 1


LESS = AFTER.replace("import os\n\n\n", "")
NEW = f"{LESS}\n\nvalue = unknown\n"
"""A finding less; and besides that one more."""


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("code", "point"),
    [
        *((NEW, point) for point in ("analysed_at", "publishing_at", "summary-updated", "review-posted")),
        *((NEW, point) for point in ("published_at", "comment-edited")),
        *((LESS, point) for point in ("publishing_at", "summary-updated", "published_at", "comment-edited")),
    ],
)
def test_a_follow_up_killed_at_any_point_reports_once(pull: PullRequest, code: str, point: str) -> None:
    first = run(admit(pull))
    pull.push({"shop.py": code})
    delivery = admit(pull, "synchronize")
    kill_at(point, delivery)
    review = resume(delivery)

    assert review.conclusion == Conclusion.SUCCESS
    check_reported_once([pull])
    published = app_reviews([pull])
    assert {digest: len(posted) for digest, posted in published.items()} == {
        first.delivery.identity_digest: 1,
        delivery.identity_digest: 1,
    }
    assert review.github_review_id == published[delivery.identity_digest][0]["id"]
    assert f"at commit {pull.head_sha[:12]}" in pull.reviews[0]["body"]
    gone = [comment["body"] for comment in pull.review_comments if comment["body"].startswith(RESOLVED)]
    assert len(gone) == 1
    assert "F401" in gone[0]


def test_a_follow_up_killed_resolving_threads_resolves_all(
    github: Sandbox, pull: PullRequest, settings: Settings
) -> None:
    settings.KODIAI_RESOLVE_THREADS = True
    github.permissions["contents"] = "write"
    run(admit(pull))
    pull.push({"shop.py": NEW})
    delivery = admit(pull, "synchronize")
    kill_at("threads-resolved", delivery)

    assert resume(delivery).conclusion == Conclusion.SUCCESS
    assert [thread.resolved_by for thread in pull.threads].count("kodiai[bot]") == 1
    check_reported_once([pull])


@pytest.mark.parametrize("point", ["publishing_at", "review-posted"])
def test_a_run_before_a_killed_ones_retry_repeats_nothing(pull: PullRequest, point: str) -> None:
    """The first run has posted and could not store that it has; a later delivery is worked on before it goes on."""
    killed = admit(pull)
    kill_at(point, killed)
    expire_leases()
    sweep()
    pull.push({"shop.py": NEW})
    later = admit(pull, "synchronize")
    early = run(later)
    assert (early.delivery.status, early.attempts) == (DeliveryStatus.QUEUED, 0)
    assert early.deferred_until > timezone.now() + timedelta(seconds=15), "GitHub may not show yet what was posted"
    Review.objects.filter(delivery=killed).update(
        publishing_at=timezone.now() - MAX_POST_DURATION - POST_VISIBILITY_DELAY
    )
    assert run(later).conclusion == Conclusion.SUCCESS
    last = run(killed)

    assert last.conclusion == (Conclusion.SUCCESS if point == "review-posted" else Conclusion.SUPERSEDED)
    check_reported_once([pull])
    assert {len(posted) for posted in app_reviews([pull]).values()} == {1}
    assert f"at commit {pull.head_sha[:12]}" in pull.reviews[0]["body"]


def test_a_forged_marker_does_not_stop_a_review(github: Sandbox, pull: PullRequest) -> None:
    delivery = admit(pull)
    github.fail("create_review", Fault(FaultKind.STATUS, status=502))
    review = run(delivery)
    add_review(pull, "mallory", f"nothing to see\n\n{marker(review)}")

    assert run(delivery).conclusion == Conclusion.SUCCESS
    assert [posted["user"]["login"] for posted in pull.reviews] == ["mallory", "kodiai[bot]"]
