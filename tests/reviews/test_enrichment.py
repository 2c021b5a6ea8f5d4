"""Search calls of a run, and its rate-limit event."""

import threading

import pytest
from django.core.cache import caches
from pytest_django import Settings

from reviews.enrichment import Enrichment, enrich
from reviews.github.client import Client
from reviews.models import AuthorTier
from sandbox import Fault, FaultKind, PullRequest, Repository, Sandbox
from telemetry.models import Conclusion, DegradationPath
from tests.support.runs import admit, event_of, run
from tests.support.waiting import PATIENCE

pytestmark = [pytest.mark.django_db, pytest.mark.ops04]

PARTIAL = "Analysis is partial due to API limits."


def reported(pull: PullRequest) -> tuple[float, int, int, str]:
    """Run a review of the pull request; return cache hit rate, skipped queries, retries and degradation of its row."""
    delivery = admit(pull)
    review = run(delivery)
    event = event_of(delivery)
    values = (event.cache_hit_rate, event.skipped_queries, event.retry_attempts, event.degradation_path)
    assert values == (review.cache_hit_rate, review.skipped_queries, review.retry_attempts, review.degradation_path), (
        "the row says what the run stored"
    )
    degraded = event.degradation_path != DegradationPath.NONE
    assert review.conclusion == (Conclusion.PARTIAL if degraded else Conclusion.SUCCESS)
    assert (PARTIAL in pull.reviews[-1]["body"]) == degraded
    return values


def test_a_known_author_tier_costs_no_lookup_and_is_no_hit(github: Sandbox, pull: PullRequest) -> None:
    assert reported(pull) == (0.0, 0, 0, "none")
    assert github.count("search") == 1

    assert reported(pull) == (0.0, 0, 0, "none")
    assert github.count("search") == 1


def test_a_lookup_that_the_search_cache_answers_is_a_hit(
    github: Sandbox, pull: PullRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reviews.enrichment.TIER_SECONDS", 0)  # no tier is kept, the answers of Search are
    reported(pull)

    assert reported(pull) == (1.0, 0, 0, "none")
    assert github.count("search") == 1


def test_the_search_cache_knows_no_letter_case(github: Sandbox, repo: Repository) -> None:
    with Client("octo/demo", repo.installation_id) as client:
        enrich(client, repo="octo/demo", author="mona", association="NONE")
    with Client("octo/demo", repo.installation_id) as client:
        enrich(client, repo="Octo/Demo", author="Mona", association="NONE")

    assert github.count("search") == 1


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "fault",
    [
        Fault(FaultKind.PRIMARY_LIMIT, reset_in=0),
        Fault(FaultKind.SECONDARY_LIMIT, retry_after=0),
        Fault(FaultKind.SECONDARY_LIMIT, retry_after=1),
        Fault(FaultKind.SECONDARY_LIMIT, status=429, retry_after=None),
    ],
    ids=["primary", "secondary", "secondary-1s", "secondary-unhinted"],
)
def test_a_short_limit_costs_one_retry(github: Sandbox, pull: PullRequest, fault: Fault) -> None:
    github.fail("search", fault, times=1)

    assert reported(pull) == (0.0, 0, 1, "none")
    assert github.count("search") == 2


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "fault",
    [Fault(FaultKind.PRIMARY_LIMIT, reset_in=0), Fault(FaultKind.SECONDARY_LIMIT, retry_after=1)],
    ids=["primary", "secondary"],
)
def test_a_limit_that_outlives_the_retry_degrades_the_run(github: Sandbox, pull: PullRequest, fault: Fault) -> None:
    github.fail("search", fault, times=None)

    assert reported(pull) == (0.0, 1, 1, "search-api-rate-limit")
    assert github.count("search") == 2


def test_a_long_limit_is_not_waited_for(github: Sandbox, pull: PullRequest) -> None:
    github.fail("search", Fault(FaultKind.PRIMARY_LIMIT, reset_in=30), times=None)

    assert reported(pull) == (0.0, 1, 0, "search-api-rate-limit")
    assert github.count("search") == 1


def test_an_exhausted_search_is_skipped_without_a_call(github: Sandbox, repo: Repository, pull: PullRequest) -> None:
    github.limits["search"].exhaust(reset_in=60)
    reported(pull)
    other = repo.open_pull_request(changes={"b.py": "x = 1\n"}, author="octocat", author_association="NONE")
    github.reset_calls()

    assert reported(other) == (0.0, 1, 0, "search-api-rate-limit")
    assert github.count("search") == 0


def test_the_last_search_left_is_remembered(github: Sandbox, repo: Repository, pull: PullRequest) -> None:
    while github.limits["search"].remaining > 1:
        github.limits["search"].take()
    assert reported(pull) == (0.0, 0, 0, "none")
    other = repo.open_pull_request(changes={"b.py": "x = 1\n"}, author="octocat", author_association="NONE")
    github.reset_calls()

    assert reported(other) == (0.0, 1, 0, "search-api-rate-limit")
    assert github.count("search") == 0


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("fault", "retries"),
    [
        (Fault(FaultKind.STATUS, status=500), 1),
        (Fault(FaultKind.RESET), 1),
        (Fault(FaultKind.BROKEN_JSON), 1),
        (Fault(FaultKind.WRONG_JSON), 1),
        (Fault(FaultKind.STATUS, status=422), 0),
        (Fault(FaultKind.STATUS, status=404), 0),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else str(value),
)
def test_a_search_that_fails_otherwise_degrades_the_run_too(
    github: Sandbox, pull: PullRequest, fault: Fault, retries: int
) -> None:
    github.fail("search", fault, times=None)

    assert reported(pull) == (0.0, 1, retries, "search-api-error")


def test_a_broken_cache_is_a_miss_and_never_an_error(github: Sandbox, pull: PullRequest, settings: Settings) -> None:
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    }
    assert caches["default"].__class__.__name__ == "RedisCache"

    assert reported(pull) == (0.0, 0, 0, "none")
    assert reported(pull) == (0.0, 0, 0, "none")
    assert github.count("search") == 2


def test_equal_lookups_at_the_same_time_make_one_call(github: Sandbox, repo: Repository) -> None:
    held = github.fail("search", Fault(FaultKind.APPLIED_THEN_DELAYED))
    outcomes: list[Enrichment] = []

    def look_up() -> None:
        with Client("octo/demo", repo.installation_id) as client:
            outcomes.append(enrich(client, repo="octo/demo", author="mona", association="NONE"))

    threads = [threading.Thread(target=look_up) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert held.reached.wait(PATIENCE)
    held.release()
    for thread in threads:
        thread.join(10)

    assert github.count("search") == 1
    assert {outcome.author_tier for outcome in outcomes} == {AuthorTier.FIRST_TIME}
    assert len(outcomes) == 8
