"""What a check run says, also of a run that published nothing, was skipped or superseded, or is run again."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone
from pytest_django import Settings

from reviews import service
from reviews.config.repository import CheckSection
from reviews.findings import Finding, Report, Severity
from reviews.github.facts import MAX_POST_DURATION, POST_VISIBILITY_DELAY
from reviews.maintenance.recovery import sweep
from reviews.models import Review
from reviews.publishing.check_runs import check_run_of
from reviews.publishing.conclusions import conclusion_of
from reviews.runs import runner
from sandbox import Fault, FaultKind, PullRequest, Repository, Sandbox, add_check_run
from telemetry.models import Conclusion
from tests.support.runs import admit, conclusion_and_title, only_check_run, report_check_runs, report_of, run

pytestmark = pytest.mark.django_db


def finding(severity: Severity, number: int = 1, **more: Any) -> Finding:
    return Finding("shop.py", number, number, severity, "F401", f"Message {number}", **more)


def reported(review: Review, *findings: Finding, **more: Any) -> Review:
    """The run as if these had been its findings."""
    review.report = Report(changed_files=1, analysed_files=("shop.py",), findings=findings, engines=("ruff",), **more)
    review.report = review.report.to_json()
    return review


# What it says


def test_a_run_with_findings_is_neutral_and_annotated(github: Sandbox, pull: PullRequest) -> None:
    review = run(admit(pull))

    check_run = only_check_run(pull)
    assert (check_run["name"], check_run["head_sha"]) == ("Kodiai", pull.head_sha)
    assert (check_run["status"], check_run["conclusion"]) == ("completed", "neutral")
    assert check_run["external_id"] == f"{pull.number}:{review.delivery.identity_digest}"
    assert check_run["details_url"] == pull.reviews[0]["html_url"]
    assert check_run["started_at"] == f"{review.started_at:%Y-%m-%dT%H:%M:%SZ}"
    assert check_run["completed_at"] == f"{review.finished_at:%Y-%m-%dT%H:%M:%SZ}"
    assert check_run["output"]["title"] == "3 findings (1 critical, 2 minor)"
    assert "Analysed 1 of 1 changed file with ruff" in check_run["output"]["summary"]
    levels = [(note["path"], note["start_line"], note["annotation_level"]) for note in check_run["annotations"]]
    assert levels == [("shop.py", 9, "failure"), ("shop.py", 1, "warning"), ("shop.py", 9, "warning")]
    assert check_run["annotations"][1]["title"] == "F401"
    assert check_run["annotations"][1]["message"] == "`os` imported but unused"
    assert (report_of(review).due_at, report_of(review).reported_at is not None) == (None, True)
    assert (github.count("create_check_run"), github.count("list_check_runs")) == (1, 0)
    assert report_check_runs() == {}


@pytest.mark.parametrize(
    ("changes", "title", "said"),
    [
        ({"shop.py": "x = 1\n"}, "No findings", "Analysed 1 of 1 changed file"),
        ({"prices.bin": b"\0\1"}, "Nothing to analyse", "1 file without a matching engine"),
    ],
)
def test_a_run_without_findings_is_a_success(repo: Repository, changes: dict[str, Any], title: str, said: str) -> None:
    pull = repo.open_pull_request(changes=changes)

    run(admit(pull))

    assert conclusion_and_title(pull) == ("success", title)
    assert said in only_check_run(pull)["output"]["summary"]


@pytest.mark.parametrize(
    ("fail_on", "conclusions"),
    [
        ("never", "neutral neutral neutral neutral"),
        ("critical", "failure neutral neutral neutral"),
        ("major", "failure failure neutral neutral"),
        ("minor", "failure failure failure neutral"),
        ("info", "failure failure failure failure"),
    ],
)
def test_it_fails_from_the_configured_severity_on(fail_on: Any, conclusions: str) -> None:
    reports = [Report(findings=(finding(Severity.INFO), finding(severity))) for severity in Severity]
    check = CheckSection(fail_on=fail_on)

    assert [conclusion_of(Conclusion.SUCCESS, report, check) for report in reports] == conclusions.split()
    assert [conclusion_of(Conclusion.PARTIAL, report, check) for report in reports] == conclusions.split()
    assert conclusion_of(Conclusion.SUCCESS, Report(), check) == "success"


def test_the_severity_comes_from_the_base_branch_at_load(github: Sandbox, repo: Repository) -> None:
    repo.commit({".kodiai.yml": "check:\n  fail_on: major\n"})
    changes = {"shop.py": "def label():\n    return undefined_name\n", ".kodiai.yml": "check:\n  fail_on: never\n"}
    pull = repo.open_pull_request(changes=changes)
    github.fail("create_review", Fault(FaultKind.SECONDARY_LIMIT, retry_after=0))
    delivery = admit(pull)
    run(delivery)
    repo.commit({".kodiai.yml": "check:\n  fail_on: never\n"})
    cache.clear()

    assert run(delivery).config == {"check": {"fail_on": "major"}}
    assert only_check_run(pull)["conclusion"] == "failure"


@pytest.mark.parametrize("section", ["fail_on: maybe", "[major]"])
def test_a_section_that_is_not_valid_blocks_nothing_and_is_named(repo: Repository, section: str) -> None:
    repo.commit({".kodiai.yml": f"check:\n  {section}\n"})
    pull = repo.open_pull_request(changes={"shop.py": "x = undefined_name\n"})

    run(admit(pull))

    assert only_check_run(pull)["conclusion"] == "neutral"
    assert "Section `check` of `.kodiai.yml` is invalid" in pull.reviews[0]["body"]
    assert "Section `check` of `.kodiai.yml` is invalid" in only_check_run(pull)["output"]["summary"]


def test_the_fifty_most_severe_findings_are_annotated(pull: PullRequest) -> None:
    review = run(admit(pull))
    minor = [finding(Severity.MINOR, number) for number in range(2, 62)]
    reported(review, *minor, finding(Severity.INFO), finding(Severity.CRITICAL, 99))

    body = check_run_of(review)

    notes = body["output"]["annotations"]
    assert len(notes) == 50
    assert [(note["start_line"], note["annotation_level"]) for note in notes[:2]] == [(99, "failure"), (2, "warning")]
    assert "The 50 most severe findings are annotated here, 11 more are not." in body["output"]["summary"], "but info"
    posted = add_check_run(pull.repository, "other", pull.head_sha, **body)
    assert posted["output"]["annotations_count"] == 50


def test_no_markup_of_a_pull_request_comes_into_it(pull: PullRequest) -> None:
    hostile = "@mona <img src=x> ![](https://evil.example/p.png) \u202e\nfixes #1 <!-- kodiai:review 0 -->"
    engine_failures = (("ruff", hostile),)
    review = reported(run(admit(pull)), finding(Severity.MINOR, rule_url=""), engine_failures=engine_failures)
    review.report["findings"][0]["message"] = hostile

    output = check_run_of(review)["output"]

    assert "\u202e" not in json.dumps(output, ensure_ascii=False)
    for markup in ("@mona", "<img", "![", "https://", "#1 ", "<!-- kodiai"):
        assert markup not in output["summary"]
    assert output["annotations"][0]["message"].startswith("@mona <img src=x>")
    assert "\n" not in output["annotations"][0]["message"]


def test_a_run_that_github_ended_says_why_without_its_markup(github: Sandbox, pull: PullRequest) -> None:
    words = "No, @mona: <img src=x> [here](https://evil.example), fixes #1"
    github.fail("files", Fault(FaultKind.APPLIED_THEN_REPLACED, status=403, body={"message": words}))

    assert run(admit(pull)).conclusion == Conclusion.ERROR

    assert conclusion_and_title(pull) == ("neutral", "The review failed")
    assert only_check_run(pull)["annotations"] == []
    summary = only_check_run(pull)["output"]["summary"]
    assert "GitHub answered 403 to GET /repos/octo/demo/pulls/1/files" in summary
    assert "press *Re-run* or comment `@kodiai review`" in summary
    assert "No, " in summary
    for markup in ("@mona", "<img", "[here]", "https://", "#1 "):
        assert markup not in summary


def test_a_summary_is_no_longer_than_github_takes(pull: PullRequest) -> None:
    review = run(admit(pull))
    review.conclusion, review.conclusion_reason = Conclusion.ERROR, "x" * 200_000

    body = check_run_of(review)

    assert add_check_run(pull.repository, "other", pull.head_sha, **body)


CLEAN = {"shop.py": "def total(prices):\n    return sum(prices) or 0\n"}


# Runs that published nothing


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


@pytest.mark.parametrize("answered", [True, False])
def test_a_redelivered_run_updates_its_check_run_once(github: Sandbox, pull: PullRequest, answered: bool) -> None:
    github.fail("create_review", Fault(FaultKind.STATUS, status=403))
    run(admit(pull, delivery_id="again"))
    first = only_check_run(pull)["id"]

    review = run(admit(pull, delivery_id="again"))
    report = report_of(review)
    assert report.due_at is not None, "what was just sent may not be listed yet"
    assert report.due_at == report.posting_at + POST_VISIBILITY_DELAY
    if not answered:
        github.fail("update_check_run", Fault(FaultKind.APPLIED_THEN_RESET))
        assert report_check_runs() == {"deferred": 1}
    assert report_check_runs() == {"reported": 1}

    assert (only_check_run(pull)["id"], only_check_run(pull)["output"]["title"]) == (
        first,
        "3 findings (1 critical, 2 minor)",
    )
    assert len(only_check_run(pull)["annotations"]) == 3
    assert (github.count("create_check_run"), github.count("update_check_run")) == (1, 1)


# Skipped and superseded


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

    # Of a commit that was reviewed it is no repetition.
    assert run(admit(pull, "rerequested", event="check_suite")).conclusion == Conclusion.SUCCESS
    assert (len(pull.reviews), len(pull.repository.check_runs)) == (1, 3)
