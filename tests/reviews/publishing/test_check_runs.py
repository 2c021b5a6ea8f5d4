"""What a check run says: its conclusion, its title, its summary and its annotations."""

import json
from typing import Any

import pytest
from django.core.cache import cache

from reviews.config.repository import CheckSection
from reviews.findings import Finding, Report, Severity
from reviews.models import Review
from reviews.publishing.check_runs import check_run_of
from reviews.publishing.conclusions import conclusion_of
from sandbox import Fault, FaultKind, PullRequest, Repository, Sandbox, add_check_run
from telemetry.models import Conclusion
from tests.support.runs import admit, conclusion_and_title, only_check_run, report_check_runs, report_of, run

pytestmark = pytest.mark.django_db

CLEAN = {"shop.py": "def total(prices):\n    return sum(prices) or 0\n"}


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


def test_a_run_without_findings_says_what_was_analysed(repo: Repository) -> None:
    pull = repo.open_pull_request(changes=CLEAN)

    run(admit(pull))

    assert conclusion_and_title(pull) == ("success", "No findings")
    assert "Analysed 1 of 1 changed file" in only_check_run(pull)["output"]["summary"]
    assert only_check_run(pull)["annotations"] == []


def test_a_pull_request_that_no_engine_reads_is_a_success(repo: Repository) -> None:
    pull = repo.open_pull_request(changes={"prices.bin": b"\0\1"})

    run(admit(pull))

    assert conclusion_and_title(pull) == ("success", "Nothing to analyse")
    assert "1 file without a matching engine" in only_check_run(pull)["output"]["summary"]


def test_a_partial_run_says_so_in_its_title(github: Sandbox, repo: Repository) -> None:
    github.limits["search"].exhaust(reset_in=60)
    pull = repo.open_pull_request(changes=CLEAN)

    assert run(admit(pull)).conclusion == Conclusion.PARTIAL
    assert conclusion_and_title(pull) == ("success", "Partial review: no findings")
    assert "GitHub's Search limit was exhausted" in only_check_run(pull)["output"]["summary"]
    assert "`@kodiai review`" in only_check_run(pull)["output"]["summary"]


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
    reported(review, *minor, finding(Severity.CRITICAL, 99))

    body = check_run_of(review)

    notes = body["output"]["annotations"]
    assert len(notes) == 50
    assert [(note["start_line"], note["annotation_level"]) for note in notes[:2]] == [(99, "failure"), (2, "warning")]
    assert "The 50 most severe findings are annotated here, 11 more are not." in body["output"]["summary"]
    posted = add_check_run(pull.repository, "other", pull.head_sha, **body)
    assert posted["output"]["annotations_count"] == 50


def test_info_is_not_shown_on_its_line(pull: PullRequest) -> None:
    review = reported(run(admit(pull)), finding(Severity.INFO), finding(Severity.MINOR))

    output = check_run_of(review)["output"]
    assert [note["annotation_level"] for note in output["annotations"]] == ["warning"]
    assert "annotated here" not in output["summary"]


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


def test_no_markup_of_an_answer_of_github_s_comes_into_it(github: Sandbox, pull: PullRequest) -> None:
    words = "No, @mona: <img src=x> [here](https://evil.example), fixes #1"
    github.fail("files", Fault(FaultKind.APPLIED_THEN_REPLACED, status=403, body={"message": words}))

    run(admit(pull))

    summary = only_check_run(pull)["output"]["summary"]
    assert "No, " in summary
    for markup in ("@mona", "<img", "[here]", "https://", "#1 "):
        assert markup not in summary


def test_a_summary_is_no_longer_than_github_takes(pull: PullRequest) -> None:
    review = run(admit(pull))
    review.conclusion, review.conclusion_reason = Conclusion.ERROR, "x" * 200_000

    body = check_run_of(review)

    assert add_check_run(pull.repository, "other", pull.head_sha, **body)
