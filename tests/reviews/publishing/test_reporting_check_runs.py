"""That a check run is told, once, later if not at once, and that no run waits for it or fails by it."""

import os
import signal
from datetime import timedelta

import pytest
import time_machine
from django.core.cache import cache
from django.core.management import call_command
from django.utils import timezone
from pydantic import ValidationError

from reviews.exceptions import LeaseLost
from reviews.github import client as github_client
from reviews.github import tokens
from reviews.github.facts import POST_VISIBILITY_DELAY
from reviews.intake.inbox import requeue
from reviews.models import DeliveryStatus, Review
from reviews.publishing import check_runs
from reviews.publishing.check_runs import ABANDONED_AFTER, external_id, report_pending
from sandbox import Fault, FaultKind, PullRequest, Sandbox, add_check_run
from telemetry.models import Conclusion
from tests.support.factories import MissedDeliveryFactory
from tests.support.runs import (
    admit,
    let_waits_be_over,
    only_check_run,
    run,
    run_in_a_process_that_is_stopped,
    tell_check_runs,
    wait_until_stopped,
)

pytestmark = pytest.mark.django_db


def anew(review: Review) -> Review:
    return Review.objects.select_related("delivery").get(pk=review.pk)


# Politeness


@pytest.mark.parametrize(
    "fault",
    [
        Fault(FaultKind.STATUS, status=502),
        Fault(FaultKind.RESET),
        Fault(FaultKind.BROKEN_JSON),
        Fault(FaultKind.PRIMARY_LIMIT, reset_in=600),
        Fault(FaultKind.SECONDARY_LIMIT, retry_after=300),
        Fault(FaultKind.STATUS, status=401),
        Fault(FaultKind.APPLIED_THEN_RESET),
        Fault(FaultKind.APPLIED_THEN_REPLACED, status=500, body={"message": "No"}),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_a_check_run_that_was_not_told_leaves_the_run_as_it_is_and_is_told_later(
    github: Sandbox, pull: PullRequest, fault: Fault
) -> None:
    github.fail("create_check_run", fault)

    review = run(admit(pull))

    assert (review.conclusion, review.delivery.status, review.attempts) == (Conclusion.SUCCESS, DeliveryStatus.DONE, 0)
    assert review.execution_recorded_at is not None
    assert review.check_run_reported_at is None
    assert review.check_run_due_at is not None
    assert review.check_run_due_at > timezone.now()
    assert github.count("create_check_run") == 1
    assert not any(report_pending().values()), "its time has not come"
    cache.clear()
    assert tell_check_runs() == {"reported": 1}
    assert only_check_run(pull)["external_id"] == external_id(review)
    assert anew(review).check_run_reported_at is not None
    assert tell_check_runs() == {}


def test_a_limit_puts_it_off_until_the_reset(github: Sandbox, pull: PullRequest) -> None:
    github.fail("create_check_run", Fault(FaultKind.PRIMARY_LIMIT, reset_in=600))

    due = run(admit(pull)).check_run_due_at

    assert due is not None
    assert timedelta(seconds=590) < due - timezone.now() < timedelta(seconds=605)
    let_waits_be_over()
    github.reset_calls()
    assert tell_check_runs() == {"deferred": 1}
    assert github.count() == 0, "a limit that is known is heeded"


@pytest.mark.parametrize("status", [403, 404, 410, 422, 451])
def test_one_that_github_refuses_is_given_up_at_once_with_one_line_in_the_log(
    github: Sandbox, pull: PullRequest, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    github.fail("create_check_run", Fault(FaultKind.STATUS, status=status), times=None)
    caplog.set_level("INFO")

    review = run(admit(pull))

    assert (review.conclusion, review.check_run_due_at, review.check_run_reported_at) == ("success", None, None)
    assert tell_check_runs() == {}
    assert github.count("create_check_run") == 1
    said = [record for record in caplog.records if record.name == check_runs.__name__]
    assert [(record.levelname, record.getMessage()) for record in said] == [("INFO", "check run abandoned")]


def test_one_that_cannot_be_told_is_tried_for_a_day_with_growing_waits(github: Sandbox, pull: PullRequest) -> None:
    github.fail("create_check_run", Fault(FaultKind.STATUS, status=502), times=None)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        review = run(admit(pull))
        assert review.finished_at is not None
        due = [review.check_run_due_at]
        for age in (timedelta(minutes=10), timedelta(hours=5), ABANDONED_AFTER):
            clock.move_to(review.finished_at + age)
            outcome = tell_check_runs()
            due.append(anew(review).check_run_due_at)

    waits = [moment - review.finished_at if moment else None for moment in due]
    assert waits == [timedelta(seconds=30), timedelta(minutes=20), timedelta(hours=6), None]
    assert outcome == {"abandoned": 1}
    assert tell_check_runs() == {}


def test_a_github_that_is_away_ends_the_round_and_one_that_is_there_is_told_of_all(
    github: Sandbox, pull: PullRequest
) -> None:
    github.fail("create_check_run", Fault(FaultKind.STATUS, status=502), times=4)
    for action in ("opened", "reopened", "synchronize"):
        pull.push({"shop.py": f"x = '{action}'\n"})
        run(admit(pull, action))
    github.reset_calls()

    assert tell_check_runs() == {"deferred": 1}
    assert github.count("create_check_run") == 1
    assert tell_check_runs() == {"reported": 3}
    assert len(pull.repository.check_runs) == 3


def test_one_at_which_kodiai_itself_fails_keeps_no_other_from_being_told(github: Sandbox, pull: PullRequest) -> None:
    github.fail("create_check_run", Fault(FaultKind.STATUS, status=502), times=2)
    broken = run(admit(pull))
    pull.push({"shop.py": "x = 1\n"})
    run(admit(pull, "synchronize"))
    Review.objects.filter(pk=broken.pk).update(report={"findings": "none"})
    let_waits_be_over()

    with pytest.raises(ValidationError):
        report_pending()
    assert report_pending()["reported"] == 1
    assert only_check_run(pull)["head_sha"] == pull.head_sha


# Once


def test_one_that_github_may_have_taken_is_looked_for_when_it_has_settled_whatever_wait_it_asks_for(
    github: Sandbox, pull: PullRequest
) -> None:
    github.fail("create_check_run", Fault(FaultKind.SECONDARY_LIMIT, retry_after=0))

    review = run(admit(pull))

    assert review.check_run_due_at is not None
    assert review.check_run_posting_at is not None
    assert review.check_run_due_at >= review.check_run_posting_at + POST_VISIBILITY_DELAY


def test_one_that_github_took_without_an_answer_is_found_and_not_posted_again(
    github: Sandbox, pull: PullRequest
) -> None:
    github.fail("create_check_run", Fault(FaultKind.APPLIED_THEN_RESET))
    review = run(admit(pull))
    assert review.check_run_due_at is not None
    assert review.check_run_due_at - timezone.now() > POST_VISIBILITY_DELAY - timedelta(seconds=3)

    assert tell_check_runs() == {"reported": 1}
    assert only_check_run(pull)["conclusion"] == "neutral"
    assert len(only_check_run(pull)["annotations"]) == 3
    assert (github.count("create_check_run"), github.count("update_check_run")) == (1, 0)


def test_a_change_that_github_took_without_an_answer_is_not_made_again(github: Sandbox, pull: PullRequest) -> None:
    github.fail("create_review", Fault(FaultKind.STATUS, status=403))
    run(admit(pull, delivery_id="again"))
    run(admit(pull, delivery_id="again"))
    github.fail("update_check_run", Fault(FaultKind.APPLIED_THEN_RESET))

    assert tell_check_runs() == {"deferred": 1}
    assert tell_check_runs() == {"reported": 1}
    assert len(only_check_run(pull)["annotations"]) == 3
    assert github.count("update_check_run") == 1


def test_an_answer_about_another_check_run_is_no_proof_that_ours_was_taken(github: Sandbox, pull: PullRequest) -> None:
    other = {"id": 5, "external_id": "1:0", "app": {"id": 1, "slug": "kodiai"}}
    github.fail("create_check_run", Fault(FaultKind.WRONG_JSON, body=other))

    assert run(admit(pull)).check_run_reported_at is None
    assert tell_check_runs() == {"reported": 1}
    assert only_check_run(pull)["conclusion"] == "neutral"


def test_a_forged_check_run_of_another_app_does_not_keep_ours_from_being_told(
    github: Sandbox, pull: PullRequest
) -> None:
    github.fail("create_check_run", Fault(FaultKind.STATUS, status=502))
    review = run(admit(pull))
    add_check_run(pull.repository, "mallory", pull.head_sha, name="Kodiai", external_id=external_id(review))

    assert tell_check_runs() == {"reported": 1}
    assert [check_run["app"]["slug"] for check_run in pull.repository.check_runs] == ["mallory", "kodiai"]


def test_of_more_check_runs_than_a_page_holds_ours_is_found(github: Sandbox, pull: PullRequest) -> None:
    github.fail("create_check_run", Fault(FaultKind.APPLIED_THEN_RESET))
    run(admit(pull))
    for _ in range(120):
        add_check_run(pull.repository, "ci", pull.head_sha, name="Kodiai")

    assert tell_check_runs() == {"reported": 1}
    assert (github.count("list_check_runs"), github.count("create_check_run")) == (2, 1)


def test_a_process_that_has_lost_it_to_another_posts_nothing(github: Sandbox, pull: PullRequest) -> None:
    """It stood still for longer than it had the check run, and another one told it meanwhile."""
    github.fail("create_check_run", Fault(FaultKind.STATUS, status=502))
    slow = run(admit(pull))
    with github_client.Client(slow.repo, slow.delivery.installation_id) as client:
        slow.store_check_run(check_run_due_at=timezone.now() + timedelta(seconds=1))
        assert tell_check_runs() == {"reported": 1}
        with pytest.raises(LeaseLost):
            check_runs.post(client, slow, None)

    assert only_check_run(pull)["external_id"] == external_id(slow)


def test_one_that_a_restored_backup_does_not_know_of_is_found(github: Sandbox, pull: PullRequest) -> None:
    review = run(admit(pull))
    identity = {"delivery_id": review.delivery.delivery_id, "event_type": review.delivery.event_type}
    MissedDeliveryFactory(**identity)
    Review.objects.update(check_run_due_at=timezone.now(), check_run_posting_at=None, check_run_reported_at=None)

    assert tell_check_runs() == {"reported": 1}
    assert only_check_run(pull)["external_id"] == external_id(review)
    assert (github.count("create_check_run"), github.count("update_check_run")) == (1, 0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("point", ["execution_recorded_at", "check-run-posted"])
def test_a_worker_that_was_stopped_for_longer_than_it_had_it_tells_it_no_second_time(
    github: Sandbox, pull: PullRequest, point: str
) -> None:
    """A real process is stopped (SIGSTOP) before it begins to tell, or before it can say that it has."""
    delivery = admit(pull)
    stopped = run_in_a_process_that_is_stopped(delivery, point)
    try:
        wait_until_stopped(stopped)
        assert tell_check_runs() == {"reported": 1}
        before = Review.objects.values().get()
        os.kill(stopped.pid, signal.SIGCONT)
        _, log = stopped.communicate(timeout=60)
    finally:
        stopped.kill()

    assert stopped.returncode == 0, log
    assert "Traceback" not in log
    assert only_check_run(pull)["conclusion"] == "neutral"
    assert github.count("create_check_run") == 1
    assert Review.objects.values().get() == before


def test_one_that_was_queued_again_meanwhile_is_left_to_its_next_end(github: Sandbox, pull: PullRequest) -> None:
    github.fail("create_review", Fault(FaultKind.STATUS, status=403))
    github.fail("create_check_run", Fault(FaultKind.STATUS, status=502))
    review = run(admit(pull))

    assert requeue(review.delivery)
    assert tell_check_runs() == {}
    run(review.delivery)
    assert tell_check_runs() == {"reported": 1}
    assert only_check_run(pull)["output"]["title"] == "3 findings (1 critical, 2 minor)"


def test_one_that_is_told_late_does_not_hide_that_of_a_later_run(github: Sandbox, pull: PullRequest) -> None:
    github.fail("create_check_run", Fault(FaultKind.STATUS, status=502))
    run(admit(pull))
    run(admit(pull, "reopened"))

    assert tell_check_runs() == {"abandoned": 1}
    assert only_check_run(pull)["external_id"] == external_id(
        Review.objects.get(delivery__event_type="pull_request.reopened")
    )


def test_what_is_owed_is_told_by_the_periodic_tasks(
    github: Sandbox, pull: PullRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    github.fail("create_check_run", Fault(FaultKind.STATUS, status=502))
    run(admit(pull))
    let_waits_be_over()

    call_command("maintain")

    assert "check-runs: reported: 1, deferred: 0, abandoned: 0" in capsys.readouterr().out


# Permission


def test_where_checks_are_not_granted_reviews_are_published_without_and_github_is_not_asked_again_and_again(
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
    assert tell_check_runs() == {}
    said = [record for record in caplog.records if "check run" in record.getMessage()]
    assert [record.levelname for record in said] == ["INFO"]


def test_a_permission_that_is_granted_later_is_noticed_when_the_token_is_due(
    github: Sandbox, pull: PullRequest
) -> None:
    github.withhold_permission("octo", "checks")
    run(admit(pull))
    github.grant_permissions("octo")
    for key, held in tokens._tokens.items():
        over = held.token.model_copy(update={"expires_at": timezone.now() + timedelta(seconds=60)})
        tokens._tokens[key] = tokens.InstallationToken(over, held.checks)

    run(admit(pull, "reopened"))

    assert only_check_run(pull)["conclusion"] == "neutral"


def test_a_token_that_is_refused_for_another_reason_fails_the_run_as_before(github: Sandbox, pull: PullRequest) -> None:
    github.fail("installation_token", Fault(FaultKind.STATUS, status=422), times=None)

    review = run(admit(pull))

    assert review.conclusion == Conclusion.ERROR
    assert "GitHub answered 422 to POST /app/installations" in review.conclusion_reason
    assert github.count("installation_token") == 4, "twice for the run, twice for its check run"
    assert review.check_run_due_at is None
