"""Refusals of GitHub end a run with a clear conclusion."""

import pytest
from django.core.cache import cache
from pytest_django import Settings

from reviews.models import DeliveryStatus, Review
from reviews.publishing.publish import marker
from sandbox import Fault, FaultKind, PullRequest, Repository, Sandbox
from telemetry.models import Conclusion
from tests.support.runs import admit, event_of, execution_of, run

pytestmark = pytest.mark.django_db

PUSHED_AWAY = "Start commit oid is not part of the pull request"
"""GitHub's words where a force push dropped the commit. Source: code-review (Emacs) issue 210."""
PUT_OFF = Fault(FaultKind.SECONDARY_LIMIT, retry_after=0)


def until_published(github: Sandbox, pull: PullRequest) -> Review:
    """Run a delivery up to its post, which is deferred; return the run."""
    github.fail("create_review", PUT_OFF)
    review = run(admit(pull, delivery_id="one"))
    assert review.delivery.status == DeliveryStatus.QUEUED
    assert review.publishing_at is not None
    cache.clear()
    github.reset_calls()
    return review


def test_a_head_that_was_pushed_away_supersedes_its_run(github: Sandbox, pull: PullRequest) -> None:
    waiting = until_published(github, pull)
    pull.force_push({"shop.py": "x = 1\n"})
    github.fail("create_review", Fault(FaultKind.STATUS, status=422, message=PUSHED_AWAY), times=None)

    review = run(waiting.delivery)

    assert (review.conclusion, review.delivery.status) == (Conclusion.SUPERSEDED, DeliveryStatus.DONE)
    assert pull.head_sha in review.conclusion_reason
    assert pull.reviews == []
    assert github.count("create_review") == 1
    assert event_of(waiting.delivery)
    assert execution_of(waiting.delivery).conclusion == "superseded"


def test_a_later_commit_does_not_stop_a_review(github: Sandbox, pull: PullRequest) -> None:
    waiting = until_published(github, pull)
    pull.push({"other.py": "y = 1\n"})

    assert run(waiting.delivery).conclusion == Conclusion.SUCCESS
    assert pull.reviews[0]["commit_id"] == waiting.head_sha


def test_a_review_refused_for_other_reasons_ends_with_them(github: Sandbox, pull: PullRequest) -> None:
    fault = Fault(FaultKind.STATUS, status=422, message="Reviews are not open to you today")
    github.fail("create_review", fault, times=None)

    review = run(admit(pull))

    assert (review.conclusion, review.delivery.status) == (Conclusion.ERROR, DeliveryStatus.FAILED)
    assert "Reviews are not open to you today" in review.conclusion_reason
    assert github.count("create_review") == 2


def test_a_refused_review_without_comments_is_not_resent(github: Sandbox, repo: Repository) -> None:
    pull = repo.open_pull_request(changes={"shop.py": "x = 1\n"}, author="mona")
    github.fail("create_review", Fault(FaultKind.STATUS, status=422))

    assert run(admit(pull)).conclusion == Conclusion.ERROR
    assert github.count("create_review") == 1


def test_a_review_both_taken_and_refused_is_not_resent(github: Sandbox, pull: PullRequest) -> None:
    github.fail("create_review", Fault(FaultKind.APPLIED_THEN_REPLACED, status=422, body={"message": "No"}))

    review = run(admit(pull))

    assert review.conclusion == Conclusion.SUCCESS
    assert [marker(review) in published["body"] for published in pull.reviews] == [True]


def test_an_answer_about_another_review_proves_nothing(github: Sandbox, pull: PullRequest) -> None:
    other = {"id": 1, "body": "Looks good to me.", "user": {"login": "kodiai[bot]"}}
    github.fail("create_review", Fault(FaultKind.WRONG_JSON, body=other))
    delivery = admit(pull)
    assert run(delivery).attempts == 1

    review = run(delivery)

    assert (review.conclusion, len(pull.reviews)) == (Conclusion.SUCCESS, 1)
    assert review.github_review_id == pull.reviews[0]["id"]


def test_a_review_without_an_answer_is_found_on_redelivery(
    github: Sandbox, pull: PullRequest, settings: Settings
) -> None:
    settings.KODIAI_MAX_ATTEMPTS = 1
    github.fail("create_review", Fault(FaultKind.APPLIED_THEN_REPLACED, status=502, body=b"<html>"))
    review = run(admit(pull, delivery_id="one"))
    assert (review.conclusion, len(pull.reviews)) == (Conclusion.ERROR, 1)

    review = run(admit(pull, delivery_id="one"))

    assert (review.conclusion, len(pull.reviews)) == (Conclusion.SUCCESS, 1)
    assert review.github_review_id == pull.reviews[0]["id"]


@pytest.mark.parametrize("route", ["pull", "create_review"])
def test_a_missing_permission_is_named_with_its_call(github: Sandbox, pull: PullRequest, route: str) -> None:
    github.fail(route, Fault(FaultKind.STATUS, status=403))

    review = run(admit(pull))

    assert review.conclusion == Conclusion.ERROR
    call = next(call for call in github.calls if call.status == 403)
    assert f"GitHub answered 403 to {call.method} {call.path}" in review.conclusion_reason
    assert "permissions" in review.conclusion_reason


def test_a_refused_key_ends_the_run_with_what_to_check(github: Sandbox, pull: PullRequest, settings: Settings) -> None:
    settings.KODIAI_MAX_ATTEMPTS = 2
    github.fail("installation_token", Fault(FaultKind.STATUS, status=401), times=None)
    delivery = admit(pull)

    run(delivery)
    review = run(delivery)

    assert (review.conclusion, review.delivery.status) == (Conclusion.ERROR, DeliveryStatus.FAILED)
    assert "check KODIAI_GITHUB_APP_ID, KODIAI_GITHUB_PRIVATE_KEY" in review.conclusion_reason


# .kodiai.yml


def test_a_withheld_configuration_is_as_an_unreadable_one(github: Sandbox, pull: PullRequest) -> None:
    github.fail("contents", Fault(FaultKind.STATUS, status=451))
    delivery = admit(pull)

    assert run(delivery).conclusion == Conclusion.SUCCESS
    told = "`.kodiai.yml` could not be read (GitHub answered 451); the defaults were used."
    assert told in pull.reviews[0]["body"]
    assert event_of(delivery)


def test_a_folder_in_place_of_the_configuration_is_as_none(repo: Repository) -> None:
    repo.commit({".kodiai.yml/readme.md": "# not a file\n"})
    pull = repo.open_pull_request(changes={"shop.py": "import os\n"}, author="mona")

    assert run(admit(pull)).conclusion == Conclusion.SUCCESS


# Contents


def test_a_withheld_file_costs_the_review_only_that_file(github: Sandbox, repo: Repository) -> None:
    pull = repo.open_pull_request(changes={"a.py": "import os\n", "b.py": "import os\n"}, author="mona")
    github.graphql_available = False
    github.fail("contents", Fault(FaultKind.STATUS, status=451), after=1)

    review = run(admit(pull))

    assert review.conclusion == Conclusion.SUCCESS
    assert {comment["path"] for comment in pull.reviews[0]["comments"]} == {"b.py"}
    assert "its content is not available" in pull.reviews[0]["body"]


def test_a_part_of_an_answer_of_graphql_is_no_answer(github: Sandbox, repo: Repository) -> None:
    pull = repo.open_pull_request(changes={"a.py": "import os\n", "b.py": "import os\n"}, author="mona")
    answer = {
        "data": {"repository": {"e0": {"text": "import os\n", "isTruncated": False}, "e1": None}},
        "errors": [{"message": "Something went wrong while executing your query."}],
    }
    github.fail("graphql", Fault(FaultKind.WRONG_JSON, body=answer))

    assert run(admit(pull)).conclusion == Conclusion.SUCCESS
    assert {comment["path"] for comment in pull.reviews[0]["comments"]} == {"a.py", "b.py"}
