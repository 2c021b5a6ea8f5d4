"""Refusals of GitHub end a run with a clear conclusion."""

import pytest
from django.core.cache import cache
from pytest_django import Settings

from reviews.models import DeliveryStatus, Review
from reviews.publishing.publish import marker
from reviews.service import LOCKED
from sandbox import Fault, FaultKind, PullRequest, Repository, Sandbox
from telemetry.models import Conclusion
from tests.support.runs import admit, event_of, execution_of, run

pytestmark = pytest.mark.django_db

PUSHED_AWAY = "Start commit oid is not part of the pull request"
"""GitHub's words where a force push dropped the commit. Source: code-review (Emacs) issue 210."""
DEFERRED = Fault(FaultKind.SECONDARY_LIMIT, retry_after=0)


def until_published(github: Sandbox, pull: PullRequest) -> Review:
    """Run a delivery up to its post, which is deferred; return the run."""
    github.fail("create_review", DEFERRED)
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


@pytest.mark.parametrize(("status", "posts"), [(422, 2), (403, 1), (451, 1)])
def test_a_review_refused_for_other_reasons_ends_with_them(
    github: Sandbox, pull: PullRequest, status: int, posts: int
) -> None:
    """Without its comments only what GitHub may have rejected for one is posted again."""
    fault = Fault(FaultKind.STATUS, status=status, message="Reviews are not open to you today")
    github.fail("create_review", fault, times=None)

    review = run(admit(pull))

    assert (review.conclusion, review.delivery.status) == (Conclusion.ERROR, DeliveryStatus.FAILED)
    assert "Reviews are not open to you today" in review.conclusion_reason
    assert github.count("create_review") == posts


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
    assert review.github_review_id == pull.reviews[0]["id"]
    assert github.count("update_review") == 0


WITHOUT_COMMENTS = Fault(
    FaultKind.APPLIED_THEN_REPLACED, status=422, body={"message": "No"}, dropped=frozenset({"comments"})
)


def test_a_review_taken_without_its_comments_names_them(github: Sandbox, pull: PullRequest) -> None:
    github.fail("create_review", WITHOUT_COMMENTS)
    review = run(admit(pull))

    (published,) = pull.reviews
    assert (review.conclusion, pull.review_comments) == (Conclusion.SUCCESS, [])
    assert published["body"].count("`shop.py:") == 3
    assert "GitHub rejected comments on these lines" in published["body"]
    assert published["body"].endswith(marker(review))
    assert github.count("update_review") == 1


def test_a_later_review_taken_without_its_comments(github: Sandbox, pull: PullRequest) -> None:
    run(admit(pull))
    pull.push({"more.py": "import sys\n"})
    github.fail("create_review", WITHOUT_COMMENTS)
    run(admit(pull, "synchronize"))

    summary, follow_up = pull.reviews
    assert len(pull.review_comments) == 3
    assert "GitHub rejected comments on these lines" in summary["body"]
    assert "`more.py:1`" in summary["body"]
    assert "GitHub rejected comments on these lines; the [summary]" in follow_up["body"]


def test_a_stored_review_that_may_not_be_edited_stays(
    github: Sandbox, pull: PullRequest, caplog: pytest.LogCaptureFixture
) -> None:
    github.fail("create_review", WITHOUT_COMMENTS)
    github.fail("update_review", Fault(FaultKind.STATUS, status=422, message="Not today"))

    review = run(admit(pull))

    assert review.conclusion == Conclusion.SUCCESS
    assert [published["id"] for published in pull.reviews] == [review.github_review_id]
    assert_logged(caplog, "review not updated", review)


def assert_logged(caplog: pytest.LogCaptureFixture, message: str, review: Review) -> None:
    """Assert that one line names the run and GitHub's reason."""
    (line,) = (vars(line) for line in caplog.records if line.message == message)
    assert (line["delivery_id"], "Not today" in line["error"]) == (review.delivery.delivery_id, True)


# A refused edit costs the edit


@pytest.mark.parametrize("status", [403, 404, 422])
def test_a_refused_edit_of_the_summary_costs_the_edit(
    github: Sandbox, pull: PullRequest, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    run(admit(pull))
    github.fail("update_review", Fault(FaultKind.STATUS, status=status, message="Not today"), times=None)
    pull.push({"more.txt": "a\n"})
    nothing_new = run(admit(pull, "synchronize"))
    assert (nothing_new.conclusion, len(pull.reviews)) == (Conclusion.SUCCESS, 1)
    assert_logged(caplog, "summary not updated", nothing_new)

    pull.push({"more.py": "".join(f"import module_{number}\n" for number in range(12))})
    news = run(admit(pull, "synchronize"))
    assert news.conclusion == Conclusion.SUCCESS
    assert [comment["path"] for comment in pull.review_comments[3:]] == ["more.py"] * 10
    # What has no comment, and nothing is said twice.
    assert pull.reviews[1]["body"].startswith("### Kodiai: 15 findings")
    assert "| `more.py:" in pull.reviews[1]["body"]
    assert "`shop.py:" not in pull.reviews[1]["body"]


@pytest.mark.parametrize("reviewed_before", [False, True])
def test_a_locked_conversation_leaves_the_check_run(pull: PullRequest, reviewed_before: bool) -> None:
    if reviewed_before:
        run(admit(pull))
        pull.push({"more.py": "import sys\n"})
    pull.locked = True
    review = run(admit(pull, "synchronize"))

    assert (review.conclusion, review.delivery.status) == (Conclusion.SUCCESS, DeliveryStatus.DONE)
    assert review.conclusion_reason == LOCKED
    assert len(pull.reviews) == int(reviewed_before)
    check_run = pull.repository.check_runs[-1]
    assert len(check_run["annotations"]) == 3 + reviewed_before

    pull.locked = False
    pull.push({"note.txt": "a\n"})
    run(admit(pull, "synchronize"))
    assert len(pull.review_comments) == 3 + reviewed_before, "said as soon as it can be"


def test_a_locked_conversation_with_nothing_new_is_done(pull: PullRequest) -> None:
    run(admit(pull))
    pull.push({"note.txt": "a\n"})
    pull.locked = True

    assert run(admit(pull, "synchronize")).conclusion_reason == ""
    assert len(pull.repository.check_runs) == 2


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
    settings.KODIAI_MAX_DEFERRAL = 1
    github.fail("create_review", Fault(FaultKind.APPLIED_THEN_REPLACED, status=502, body=b"<html>"))
    review = run(admit(pull, delivery_id="one"))
    assert (review.conclusion, len(pull.reviews)) == (Conclusion.ERROR, 1)

    review = run(admit(pull, delivery_id="one"))

    assert (review.conclusion, len(pull.reviews)) == (Conclusion.SUCCESS, 1)
    assert review.github_review_id == pull.reviews[0]["id"]


# .kodiai.yml


def test_a_withheld_configuration_is_as_an_unreadable_one(github: Sandbox, pull: PullRequest) -> None:
    github.fail("contents", Fault(FaultKind.STATUS, status=451))
    delivery = admit(pull)

    assert run(delivery).conclusion == Conclusion.SUCCESS
    reported = "`.kodiai.yml` could not be read (GitHub answered 451); the defaults were used."
    assert reported in pull.reviews[0]["body"]
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
    text = {"text": "import os\n", "isTruncated": False}
    answer = {
        "data": {"repository": {f"e{number}": None for number in range(100)} | {"e0": text}},
        "errors": [{"message": "Something went wrong while executing your query."}],
    }
    github.fail("graphql", Fault(FaultKind.WRONG_JSON, body=answer))

    assert run(admit(pull)).conclusion == Conclusion.SUCCESS
    assert {comment["path"] for comment in pull.reviews[0]["comments"]} == {"a.py", "b.py"}
