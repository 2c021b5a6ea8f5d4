"""A check run is reported once, later if not at once; no run waits for it or fails by it."""

from datetime import timedelta

import pytest
import time_machine
from django.core.cache import cache
from django.utils import timezone
from pydantic import ValidationError

from reviews.exceptions import LeaseLost
from reviews.github import client as github_client
from reviews.github import tokens
from reviews.intake.inbox import requeue
from reviews.models import CheckRunReport, DeliveryStatus, Review
from reviews.publishing import check_runs
from reviews.publishing.check_runs import ABANDONED_AFTER, check_run_of, external_id, report_pending
from sandbox import Fault, FaultKind, PullRequest, Sandbox, add_check_run
from telemetry.models import Conclusion
from tests.support.factories import MissedDeliveryFactory
from tests.support.kill_points import Points
from tests.support.runs import admit, end_waits, only_check_run, report_check_runs, report_of, run

pytestmark = [pytest.mark.django_db, pytest.mark.database]


# Politeness


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "fault",
    [
        Fault(FaultKind.STATUS, status=502),
        Fault(FaultKind.PRIMARY_LIMIT, reset_in=600),
        Fault(FaultKind.SECONDARY_LIMIT, retry_after=300),
        Fault(FaultKind.STATUS, status=401),
        Fault(FaultKind.APPLIED_THEN_RESET),
        Fault(FaultKind.APPLIED_THEN_REPLACED, status=500, body={"message": "No"}),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_an_unreported_check_run_is_reported_later(github: Sandbox, pull: PullRequest, fault: Fault) -> None:
    github.fail("create_check_run", fault)

    review = run(admit(pull))

    assert (review.conclusion, review.delivery.status, review.attempts) == (Conclusion.SUCCESS, DeliveryStatus.DONE, 0)
    assert review.execution_recorded_at is not None
    report = report_of(review)
    assert report.reported_at is None
    assert report.due_at > timezone.now()
    assert github.count("create_check_run") == 1
    assert not any(report_pending().values()), "its time has not come"
    cache.clear()
    assert report_check_runs() == {"reported": 1}
    assert only_check_run(pull)["external_id"] == external_id(review)
    assert len(only_check_run(pull)["annotations"]) == 3
    assert github.count("update_check_run") == 0
    assert report_of(review).reported_at is not None
    assert report_check_runs() == {}


def test_a_limit_defers_it_until_the_reset(github: Sandbox, pull: PullRequest) -> None:
    github.fail("create_check_run", Fault(FaultKind.PRIMARY_LIMIT, reset_in=600))

    due = report_of(run(admit(pull))).due_at

    assert timedelta(seconds=590) < due - timezone.now() < timedelta(seconds=605)
    end_waits()
    github.reset_calls()
    assert report_check_runs() == {"deferred": 1}
    assert github.count() == 0, "a limit that is known is respected"


@pytest.mark.parametrize("status", [403, 422])
def test_one_that_github_refuses_is_abandoned_with_one_log_line(
    github: Sandbox, pull: PullRequest, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    github.fail("create_check_run", Fault(FaultKind.STATUS, status=status), times=None)
    caplog.set_level("INFO")

    review = run(admit(pull))

    report = report_of(review)
    assert (review.conclusion, report.due_at, report.reported_at) == ("success", None, None)
    assert report_check_runs() == {}
    assert github.count("create_check_run") == 1
    said = [record for record in caplog.records if record.name == check_runs.__name__]
    assert [(record.levelname, record.getMessage()) for record in said] == [("INFO", "check run abandoned")]


def test_one_is_tried_for_a_day_with_growing_waits(github: Sandbox, pull: PullRequest) -> None:
    github.fail("create_check_run", Fault(FaultKind.STATUS, status=502), times=None)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        review = run(admit(pull))
        due = [report_of(review).due_at]
        for age in (timedelta(minutes=10), timedelta(hours=5), ABANDONED_AFTER):
            clock.move_to(review.finished_at + age)
            outcome = report_check_runs()
            due.append(report_of(review).due_at)

    waits = [moment - review.finished_at if moment else None for moment in due]
    assert waits == [timedelta(seconds=30), timedelta(minutes=20), timedelta(hours=6), None]
    assert outcome == {"abandoned": 1}
    assert report_check_runs() == {}


def test_an_unavailable_github_ends_the_round(github: Sandbox, pull: PullRequest) -> None:
    github.fail("create_check_run", Fault(FaultKind.STATUS, status=502), times=4)
    for action in ("opened", "reopened", "synchronize"):
        pull.push({"shop.py": f"x = '{action}'\n"})
        run(admit(pull, action))
    github.reset_calls()

    assert report_check_runs() == {"deferred": 1}
    assert github.count("create_check_run") == 1
    assert report_check_runs() == {"reported": 3}
    assert len(pull.repository.check_runs) == 3


def test_one_on_which_kodiai_fails_does_not_block_others(github: Sandbox, pull: PullRequest) -> None:
    github.fail("create_check_run", Fault(FaultKind.STATUS, status=502), times=2)
    broken = run(admit(pull))
    pull.push({"shop.py": "x = 1\n"})
    run(admit(pull, "synchronize"))
    Review.objects.filter(pk=broken.pk).update(report={"findings": "none"})
    end_waits()

    with pytest.raises(ValidationError):
        report_pending()
    assert report_pending()["reported"] == 1
    assert only_check_run(pull)["head_sha"] == pull.head_sha


# Once


def test_an_answer_about_another_check_run_proves_nothing(github: Sandbox, pull: PullRequest) -> None:
    other = {"id": 5, "external_id": "1:0", "app": {"id": 1, "slug": "kodiai"}}
    github.fail("create_check_run", Fault(FaultKind.WRONG_JSON, body=other))

    assert report_of(run(admit(pull))).reported_at is None
    assert report_check_runs() == {"reported": 1}
    assert only_check_run(pull)["conclusion"] == "neutral"


def test_a_forged_check_run_does_not_replace_ours(github: Sandbox, pull: PullRequest) -> None:
    github.fail("create_check_run", Fault(FaultKind.STATUS, status=502))
    review = run(admit(pull))
    add_check_run(pull.repository, "mallory", pull.head_sha, name="Kodiai", external_id=external_id(review))

    assert report_check_runs() == {"reported": 1}
    assert [check_run["app"]["slug"] for check_run in pull.repository.check_runs] == ["mallory", "kodiai"]


def test_ours_is_found_on_a_later_page(github: Sandbox, pull: PullRequest) -> None:
    github.fail("create_check_run", Fault(FaultKind.APPLIED_THEN_RESET))
    run(admit(pull))
    for _ in range(120):
        add_check_run(pull.repository, "ci", pull.head_sha, name="Kodiai")

    assert report_check_runs() == {"reported": 1}
    assert (github.count("list_check_runs"), github.count("create_check_run")) == (2, 1)


def test_a_process_that_lost_its_claim_posts_nothing(github: Sandbox, pull: PullRequest) -> None:
    """It was suspended past its claim, and another process reported meanwhile."""
    github.fail("create_check_run", Fault(FaultKind.STATUS, status=502))
    review = run(admit(pull))
    slow = report_of(review)
    with github_client.Client(review.repo, review.delivery.installation_id) as client:
        slow.store(due_at=timezone.now() + timedelta(seconds=1))
        assert report_check_runs() == {"reported": 1}
        with pytest.raises(LeaseLost):
            check_runs.post(client, slow, None, check_run_of(review))

    assert only_check_run(pull)["external_id"] == external_id(review)


def test_one_unknown_to_a_restored_backup_is_found(github: Sandbox, pull: PullRequest) -> None:
    review = run(admit(pull))
    identity = {"delivery_id": review.delivery.delivery_id, "event_type": review.delivery.event_type}
    MissedDeliveryFactory(**identity)
    CheckRunReport.objects.update(due_at=timezone.now(), posting_at=None, reported_at=None)

    assert report_check_runs() == {"reported": 1}
    assert only_check_run(pull)["external_id"] == external_id(review)
    assert (github.count("create_check_run"), github.count("update_check_run")) == (1, 0)


@pytest.mark.parametrize("point", ["execution_recorded_at", "check-run-posted"])
def test_a_worker_stopped_past_its_claim_reports_nothing(
    github: Sandbox, pull: PullRequest, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """It stands still before it begins to report, or before it can say that it has; another one reports meanwhile."""
    reported: list[dict[str, object]] = []

    def report_meanwhile() -> None:
        assert report_check_runs() == {"reported": 1}
        reported.append(CheckRunReport.objects.values().get())

    Points(monkeypatch).plan(point, report_meanwhile)
    run(admit(pull))

    assert only_check_run(pull)["conclusion"] == "neutral"
    assert github.count("create_check_run") == 1
    assert [CheckRunReport.objects.values().get()] == reported


def test_a_requeued_run_reports_at_its_next_end(github: Sandbox, pull: PullRequest) -> None:
    github.fail("create_review", Fault(FaultKind.STATUS, status=403))
    github.fail("create_check_run", Fault(FaultKind.STATUS, status=502))
    review = run(admit(pull))

    assert requeue(review.delivery)
    assert report_check_runs() == {}
    run(review.delivery)
    assert report_check_runs() == {"reported": 1}
    assert only_check_run(pull)["output"]["title"] == "3 findings (1 critical, 2 minor)"


def test_a_late_report_does_not_hide_that_of_a_later_run(github: Sandbox, pull: PullRequest) -> None:
    github.fail("create_check_run", Fault(FaultKind.STATUS, status=502))
    run(admit(pull))
    run(admit(pull, "reopened"))

    assert report_check_runs() == {"abandoned": 1}
    assert only_check_run(pull)["external_id"] == external_id(
        Review.objects.get(delivery__event_type="pull_request.reopened")
    )


# Permission


def test_without_the_permission_reviews_are_published_alone(
    github: Sandbox, pull: PullRequest, caplog: pytest.LogCaptureFixture
) -> None:
    github.withhold_permission("octo", "checks")
    caplog.set_level("INFO")
    other = github.create_repository("octo/other", files={"a.py": "x = 1\n"}).open_pull_request(changes={"a.py": "y\n"})

    for action in ("opened", "reopened"):
        assert run(admit(pull, action)).conclusion == Conclusion.SUCCESS
    assert run(admit(other)).conclusion == Conclusion.SUCCESS

    asked = [(call.status, "checks" in call.body["permissions"]) for call in github.calls if
             call.route == "installation_token"]  # fmt: skip
    assert asked == [(422, True), (201, False), (201, False)]
    assert github.count("create_check_run") == 0
    assert report_check_runs() == {}
    said = [record for record in caplog.records if record.getMessage() == "permissions are not granted"]
    assert [(record.levelname, record.permissions) for record in said] == [("INFO", ["checks: write"])]  # type: ignore[attr-defined]


def test_a_permission_granted_later_is_noticed(github: Sandbox, pull: PullRequest) -> None:
    github.withhold_permission("octo", "checks")
    run(admit(pull))
    github.grant_permissions("octo")
    for key, held in tokens._tokens.items():
        over = held.token.model_copy(update={"expires_at": timezone.now() + timedelta(seconds=60)})
        tokens._tokens[key] = tokens.InstallationToken(over, held.permissions)

    run(admit(pull, "reopened"))

    assert only_check_run(pull)["conclusion"] == "neutral"


def test_a_token_refused_for_another_reason_fails_the_run(github: Sandbox, pull: PullRequest) -> None:
    github.fail("installation_token", Fault(FaultKind.STATUS, status=422), times=None)

    review = run(admit(pull))

    assert review.conclusion == Conclusion.ERROR
    assert "GitHub answered 422 to POST /app/installations" in review.conclusion_reason
    assert github.count("installation_token") == 4, "twice for the run, twice for its check run"
    assert report_of(review).due_at is None
