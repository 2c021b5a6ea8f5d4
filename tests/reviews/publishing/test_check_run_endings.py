"""Check runs of runs that published nothing, were skipped or superseded, or are run again."""

import json
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone
from pytest_django import Settings

from reviews import service
from reviews.github.facts import MAX_POST_DURATION, POST_VISIBILITY_DELAY
from reviews.maintenance.recovery import sweep
from reviews.models import Review
from reviews.runs import runner
from sandbox import Fault, FaultKind, PullRequest, Repository, Sandbox
from telemetry.models import Conclusion
from tests.support.runs import admit, conclusion_and_title, only_check_run, report_check_runs, report_of, run

pytestmark = pytest.mark.django_db

CLEAN = {"shop.py": "def total(prices):\n    return sum(prices) or 0\n"}


# Runs that published nothing


def test_a_run_that_github_ended_says_why(github: Sandbox, pull: PullRequest) -> None:
    github.fail("create_review", Fault(FaultKind.STATUS, status=403))

    assert run(admit(pull)).conclusion == Conclusion.ERROR

    assert conclusion_and_title(pull) == ("neutral", "The review failed")
    summary = only_check_run(pull)["output"]["summary"]
    assert "GitHub answered 403 to POST /repos/octo/demo/pulls/1/reviews" in summary
    assert "press *Re-run* or comment `@kodiai review`" in summary
    assert only_check_run(pull)["annotations"] == []


def test_a_failed_run_is_reported_without_internals(
    pull: PullRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.KODIAI_MAX_ATTEMPTS = 1

    def fail(*args: object) -> None:
        raise ZeroDivisionError("at db.internal.example")

    monkeypatch.setattr(service, "analyse", fail)
    review = run(admit(pull))
    assert (review.conclusion, pull.repository.check_runs) == (Conclusion.ERROR, [])
    assert "db.internal.example" in review.conclusion_reason

    assert report_check_runs() == {"reported": 1}
    assert only_check_run(pull)["conclusion"] == "neutral"
    assert (
        "The review failed 1 time; the operator finds the reason in the admin"
        in only_check_run(pull)["output"]["summary"]
    )
    assert "internal" not in json.dumps(only_check_run(pull))


def test_a_run_without_a_head_is_reported_at_its_events(github: Sandbox, pull: PullRequest, settings: Settings) -> None:
    settings.KODIAI_MAX_ATTEMPTS = 1
    github.fail("pull", Fault(FaultKind.WRONG_JSON), times=None)
    assert run(admit(pull)).head_sha == ""

    assert report_check_runs() == {"reported": 1}
    assert only_check_run(pull)["head_sha"] == pull.head_sha


def test_abandoned_runs_are_reported(github: Sandbox, pull: PullRequest, settings: Settings) -> None:
    settings.KODIAI_MAX_ATTEMPTS, settings.KODIAI_MAX_DEFERRAL = 1, 600
    github.fail("files", Fault(FaultKind.PRIMARY_LIMIT, reset_in=3000))
    run(admit(pull))
    cache.clear()
    other = pull.repository.open_pull_request(changes=CLEAN)
    runner.claim(admit(other).pk, "of a worker that dies")
    Review.objects.exclude(lease_owner="").update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    sweep()

    assert report_check_runs() == {"reported": 2}
    assert {check_run["head_sha"] for check_run in pull.repository.check_runs} == {pull.head_sha, other.head_sha}
    assert all("The review failed" in check_run["output"]["summary"] for check_run in pull.repository.check_runs)


def test_a_redelivered_run_updates_its_check_run(github: Sandbox, pull: PullRequest) -> None:
    github.fail("create_review", Fault(FaultKind.STATUS, status=403))
    run(admit(pull, delivery_id="again"))
    first = only_check_run(pull)["id"]

    review = run(admit(pull, delivery_id="again"))
    report = report_of(review)
    assert report.due_at is not None, "what was just sent may not be listed yet"
    assert report.posting_at is not None
    assert report.due_at == report.posting_at + POST_VISIBILITY_DELAY
    assert report_check_runs() == {"reported": 1}

    assert (only_check_run(pull)["id"], only_check_run(pull)["output"]["title"]) == (
        first,
        "3 findings (1 critical, 2 minor)",
    )
    assert len(only_check_run(pull)["annotations"]) == 3
    assert (github.count("create_check_run"), github.count("update_check_run")) == (1, 1)


# Skipped and superseded


def test_a_pull_request_closed_meanwhile_is_shown_as_skipped(pull: PullRequest) -> None:
    delivery = admit(pull)
    pull.close()

    run(delivery)

    assert conclusion_and_title(pull) == ("skipped", "Not reviewed")
    assert "the pull request is closed" in only_check_run(pull)["output"]["summary"]


def test_a_skipped_run_hides_no_reviewed_one(pull: PullRequest) -> None:
    run(admit(pull))
    assert run(admit(pull, "review_requested", requested_reviewer="octocat")).conclusion == Conclusion.SKIPPED
    delivery = admit(pull, "reopened")
    pull.close()
    assert run(delivery).conclusion == Conclusion.SKIPPED

    assert only_check_run(pull)["conclusion"] == "neutral"
    assert report_check_runs() == {}


def test_a_superseded_run_gets_no_check_run(github: Sandbox, pull: PullRequest) -> None:
    superseded = admit(pull)
    pull.push({"shop.py": "x = 1\n"})
    admit(pull, "synchronize")
    assert run(superseded).conclusion == Conclusion.SUPERSEDED
    gone = admit(pull)
    github.fail("pull", Fault(FaultKind.STATUS, status=404))
    assert run(gone).conclusion == Conclusion.SKIPPED
    closed_later = admit(pull)
    pull.push({"shop.py": "x = 2\n"})
    pull.close()
    assert run(closed_later).conclusion == Conclusion.SKIPPED

    assert pull.repository.check_runs == []
    assert report_check_runs() == {}


def test_a_comment_without_a_known_commit_gets_no_check_run(github: Sandbox, pull: PullRequest) -> None:
    github.fail("pull", Fault(FaultKind.STATUS, status=403))

    assert run(admit(pull, "created", event="issue_comment")).conclusion == Conclusion.ERROR
    assert report_check_runs() == {}
    assert github.count("create_check_run") == 0


# Re-run


def test_a_rerun_reviews_once_more(github: Sandbox, pull: PullRequest) -> None:
    github.fail("create_review", Fault(FaultKind.STATUS, status=403))
    run(admit(pull))
    Review.objects.update(publishing_at=timezone.now() - MAX_POST_DURATION - POST_VISIBILITY_DELAY)

    delivery = admit(pull, "rerequested", event="check_run", sender="octocat")
    assert (delivery.event_type, delivery.head_sha, delivery.addressed) == (
        "check_run.rerequested",
        pull.head_sha,
        False,
    )
    assert run(delivery).conclusion == Conclusion.SUCCESS

    assert len(pull.reviews) == 1
    assert pull.comments == []
    first, second = pull.repository.check_runs
    assert first["external_id"] != second["external_id"]
    assert [first["output"]["title"], second["output"]["title"]] == [
        "The review failed",
        "3 findings (1 critical, 2 minor)",
    ]


def test_re_run_of_a_commit_that_was_reviewed_is_no_repetition(pull: PullRequest) -> None:
    run(admit(pull))

    assert run(admit(pull, "rerequested", event="check_run")).conclusion == Conclusion.SUCCESS
    assert run(admit(pull, "rerequested", event="check_suite")).conclusion == Conclusion.SUCCESS
    assert (len(pull.reviews), len(pull.repository.check_runs)) == (1, 3)


def test_a_rerun_works_for_a_fork(repo: Repository) -> None:
    pull = repo.open_pull_request(changes={"shop.py": "import os\n"}, fork=True, author="mona")
    run(admit(pull))
    assert only_check_run(pull)["pull_requests"] == []

    delivery = admit(pull, "rerequested", event="check_run")

    assert delivery.pr_number == pull.number
    assert run(delivery).conclusion == Conclusion.SUCCESS


# Around it
