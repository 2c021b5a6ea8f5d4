"""A run from its delivery to its published review, and runs that cannot end at once."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone
from pytest_django import Settings

from reviews.enrichment import enrich
from reviews.github.client import Client
from reviews.maintenance.recovery import flush_outbox
from reviews.models import AuthorTier, DeliveryStatus, Review
from reviews.publishing.previous_comments import review_markers
from reviews.publishing.publish import marker
from sandbox import Fault, FaultKind, PullRequest, Repository, Sandbox
from telemetry.models import Conclusion, Execution, RateLimitEvent
from tests.support.runs import admit, event_of, execution_of, process, queued_tasks, report_check_runs, run

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.mark.queue
def test_a_delivery_becomes_one_review_and_one_row_each(pull: PullRequest) -> None:
    delivery = admit(pull)

    review = run(delivery)

    assert review.conclusion == Conclusion.SUCCESS
    assert review.delivery.status == DeliveryStatus.DONE
    (published,) = pull.reviews
    assert published["id"] == review.github_review_id
    assert published["commit_id"] == pull.head_sha == review.head_sha
    assert published["event"] == "COMMENT"
    assert marker(review) in published["body"]
    assert {(comment["path"], comment["line"]) for comment in published["comments"]} == {("shop.py", 1), ("shop.py", 9)}
    event = event_of(delivery)
    assert (event.repo, event.pr_number, event.degradation_path) == ("octo/demo", pull.number, "none")
    execution = execution_of(delivery)
    assert (execution.conclusion, execution.pr_author, execution.model) == ("success", "mona", "analyzers")


@pytest.mark.parametrize("what", ["closed", "gone"])
def test_a_closed_pull_request_is_skipped_without_an_event(github: Sandbox, pull: PullRequest, what: str) -> None:
    delivery = admit(pull)
    if what == "closed":
        pull.close()
    else:
        github.fail("pull", Fault(FaultKind.STATUS, status=404))

    review = run(delivery)

    assert review.conclusion == Conclusion.SKIPPED
    assert review.delivery.status == DeliveryStatus.DONE
    check_runs = [(run["conclusion"], run["output"]["title"]) for run in pull.repository.check_runs]
    assert check_runs == ([("skipped", "Not reviewed")] if what == "closed" else [])
    assert not RateLimitEvent.objects.exists()
    assert flush_outbox() == 0
    assert execution_of(delivery).conclusion == "skipped"


def test_a_repository_that_turned_telemetry_off_leaves_no_rows(repo: Repository) -> None:
    repo.commit({".kodiai.yml": "telemetry:\n  enabled: false\n"})
    pull = repo.open_pull_request(changes={"shop.py": "import os\n"})

    run(admit(pull))

    assert len(pull.reviews) == 1
    assert flush_outbox() == 0
    assert not RateLimitEvent.objects.exists()
    assert not Execution.objects.exists()


# Limits of required calls


PRIMARY, PRIMARY_429, SECONDARY = (
    Fault(FaultKind.PRIMARY_LIMIT, reset_in=1800),
    Fault(FaultKind.PRIMARY_LIMIT, status=429, reset_in=1800),
    Fault(FaultKind.SECONDARY_LIMIT, retry_after=1800),
)


@pytest.mark.queue
@pytest.mark.parametrize(
    ("route", "fault"),
    [
        ("installation_token", PRIMARY), ("pull", PRIMARY_429), ("files", SECONDARY),
        ("contents", PRIMARY), ("graphql", PRIMARY_429), ("create_review", SECONDARY),
    ],
)  # fmt: skip
def test_a_limit_of_a_required_call_defers_to_the_reset(
    github: Sandbox, pull: PullRequest, route: str, fault: Fault
) -> None:
    delivery = admit(pull)
    github.fail(route, fault)
    before = timezone.now()

    review = run(delivery)

    assert (review.conclusion, review.attempts, review.delivery.status) == ("", 0, DeliveryStatus.QUEUED)
    wait = review.deferred_until - before
    assert timedelta(seconds=1790) < wait < timedelta(seconds=1830)
    run_after = queued_tasks()[-1].run_after
    # Redis keeps whole seconds.
    assert timedelta(0) <= run_after - review.deferred_until <= timedelta(seconds=1)
    assert pull.reviews == []


def test_a_deferred_run_goes_on_without_a_second_search(github: Sandbox, pull: PullRequest) -> None:
    delivery = admit(pull)
    github.fail("graphql", Fault(FaultKind.SECONDARY_LIMIT, retry_after=0))
    assert run(delivery).delivery.status == DeliveryStatus.QUEUED
    cache.clear()  # as in another worker, which has not learned the author's tier

    review = run(delivery)

    assert review.conclusion == Conclusion.SUCCESS
    assert github.count("search") == 1
    assert len(pull.reviews) == 1
    assert RateLimitEvent.objects.count() == Execution.objects.count() == 1


def test_a_limit_past_the_longest_deferral_ends_the_run(github: Sandbox, pull: PullRequest, settings: Settings) -> None:
    settings.KODIAI_MAX_DEFERRAL = 600
    github.fail("files", Fault(FaultKind.PRIMARY_LIMIT, reset_in=3000))

    review = run(admit(pull))

    assert (review.conclusion, review.delivery.status) == (Conclusion.ERROR, DeliveryStatus.FAILED)
    assert "KODIAI_MAX_DEFERRAL" in review.conclusion_reason


# Failures


def test_a_lasting_failure_fails_after_growing_waits(github: Sandbox, pull: PullRequest, settings: Settings) -> None:
    settings.KODIAI_MAX_ATTEMPTS = 2
    delivery = admit(pull)
    github.fail("files", Fault(FaultKind.WRONG_JSON), times=None)

    review = run(delivery)
    assert (review.attempts, review.delivery.status) == (1, DeliveryStatus.QUEUED)
    assert "Unavailable" in review.delivery.failure
    review = run(delivery)

    assert (review.attempts, review.delivery.status) == (2, DeliveryStatus.FAILED)
    assert review.conclusion == Conclusion.ERROR
    assert "abandoned after 2 attempts" in review.conclusion_reason
    assert execution_of(delivery).conclusion == "error"


def test_a_redelivered_failed_run_records_its_last_conclusion(github: Sandbox, pull: PullRequest) -> None:
    github.fail("create_review", Fault(FaultKind.STATUS, status=403))
    delivery = admit(pull, delivery_id="again")
    assert run(delivery).delivery.status == DeliveryStatus.FAILED

    review = run(admit(pull, delivery_id="again"))

    assert review.conclusion == Conclusion.SUCCESS
    assert len(pull.reviews) == 1
    assert github.count("search") == 1
    assert execution_of(delivery).conclusion == "success"


def test_a_revoked_token_is_requested_again(github: Sandbox, pull: PullRequest) -> None:
    run(admit(pull))
    github.expire_tokens()
    pull.push({"other.py": "y = 1\n"})

    assert run(admit(pull, "synchronize")).conclusion == Conclusion.SUCCESS
    assert github.count("installation_token") == 2


@pytest.mark.parametrize("files", [1, 100])
def test_the_calls_to_github_do_not_grow_with_the_files(github: Sandbox, repo: Repository, files: int) -> None:
    pull = repo.open_pull_request(changes={f"m{n}.py": "import os\n" for n in range(files)}, author="mona")

    run(admit(pull))

    assert github.count() == 8
    assert github.count("files") == github.count("create_check_run") == 1


# The author's tier


@pytest.mark.parametrize(
    ("association", "merged", "tier", "asked"),
    [
        ("OWNER", 0, AuthorTier.CORE, 0),
        ("MEMBER", 0, AuthorTier.CORE, 0),
        ("FIRST_TIMER", 50, AuthorTier.FIRST_TIME, 0),
        ("FIRST_TIME_CONTRIBUTOR", 50, AuthorTier.FIRST_TIME, 0),
        ("CONTRIBUTOR", 0, AuthorTier.FIRST_TIME, 1),
        ("CONTRIBUTOR", 1, AuthorTier.FIRST_TIME, 1),
        ("CONTRIBUTOR", 2, AuthorTier.REGULAR, 1),
        ("COLLABORATOR", 9, AuthorTier.REGULAR, 1),
        ("NONE", 10, AuthorTier.CORE, 1),
        # Search is exhausted.
        ("COLLABORATOR", None, AuthorTier.REGULAR, 1),
        ("CONTRIBUTOR", None, AuthorTier.REGULAR, 1),
        ("NONE", None, AuthorTier.FIRST_TIME, 1),
    ],
)
def test_the_tier_comes_from_association_or_merged_work(
    github: Sandbox, repo: Repository, association: str, merged: int | None, tier: AuthorTier, asked: int
) -> None:
    if merged is None:
        github.limits["search"].exhaust(reset_in=60)
    else:
        github.merged_pull_requests["octo/demo", "mona"] = merged
    with Client("octo/demo", repo.installation_id) as client:
        assert enrich(client, repo="octo/demo", author="mona", association=association).author_tier == tier
    assert github.count("search") == asked


def test_one_id_with_two_events_is_two_runs_with_two_rows(pull: PullRequest) -> None:
    for action in ("opened", "reopened"):
        run(admit(pull, action, delivery_id="same"))

    assert RateLimitEvent.objects.filter(delivery_id="same").count() == 2
    assert [len(review_markers(posted["body"])) for posted in pull.reviews] == [2]


def test_a_removed_installation_ends_its_waiting_runs(pull: PullRequest) -> None:
    waiting = admit(pull)
    removal = admit(pull, "deleted", event="installation")

    process(removal.pk)

    review = Review.objects.select_related("delivery").get(delivery=waiting)
    assert (review.conclusion, review.delivery.status) == (Conclusion.SKIPPED, DeliveryStatus.DONE)
    removal.refresh_from_db()
    assert removal.status == DeliveryStatus.DONE
    assert report_check_runs() == {}
