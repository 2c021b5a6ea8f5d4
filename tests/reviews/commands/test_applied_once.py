"""A command is applied once and answered once, whatever happens to the delivery, the worker and GitHub."""

import pytest
from django.core.cache import cache
from django.utils import timezone

from reviews.commands.handlers import marker
from reviews.github import tokens
from reviews.github.facts import POST_VISIBILITY_DELAY
from reviews.intake.inbox import requeue
from reviews.models import CommandOutcome, IgnoredFinding, Review
from reviews.publishing.markdown import IGNORED
from sandbox import Fault, FaultKind, PullRequest, Sandbox, add_comment
from telemetry.models import Conclusion
from tests.support.commands import answers, thread_on
from tests.support.factories import MissedDeliveryFactory
from tests.support.published import check_reported_once
from tests.support.runs import admit, kill_at, process, report_of, resume, run, say

pytestmark = pytest.mark.django_db


F401 = "https://docs.astral.sh/ruff/rules/unused-import"


# Once


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("point", "in_a_thread"),
    [
        *((point, False) for point in ("started_at", "answering_at", "answer-posted", "answered_at", "finished_at")),
        *((point, True) for point in ("answering_at", "answer-posted")),
    ],
)
def test_a_run_that_is_killed_at_any_point_leaves_one_answer(pull: PullRequest, point: str, in_a_thread: bool) -> None:
    if in_a_thread:
        run(admit(pull))
    delivery = say(pull, "@kodiai explain", to=thread_on(pull, "F401") if in_a_thread else None)
    kill_at(point, delivery)
    review = resume(delivery)

    assert review.conclusion == Conclusion.SKIPPED
    assert len(answers(pull)) == 1
    check_reported_once([pull])


@pytest.mark.parametrize("point", ["applied_at", "threads-resolved", "comment-edited"])
def test_an_ignore_that_is_killed_at_any_point_is_done_once(pull: PullRequest, point: str) -> None:
    run(admit(pull))
    first = thread_on(pull, "F401")
    delivery = say(pull, "@kodiai ignore", to=first)
    kill_at(point, delivery)
    resume(delivery)

    assert IgnoredFinding.objects.count() == 1
    (body,) = [thread.first["body"] for thread in pull.threads if thread.first["id"] == first]
    assert body.count(IGNORED) == 1
    assert answers(pull) == []


def test_a_reply_of_unknown_outcome_is_looked_for(github: Sandbox, pull: PullRequest) -> None:
    delivery = say(pull, "@kodiai help")
    github.fail("create_comment", Fault(FaultKind.APPLIED_THEN_RESET))
    before = timezone.now()
    review = run(delivery)
    assert review.deferred_until >= before + POST_VISIBILITY_DELAY
    process(delivery.pk)
    assert github.count("list_comments") == 0, "not before its time, even if a task comes too early"

    assert run(delivery).command_outcome.answered_at is not None
    assert len(answers(pull)) == github.count("list_comments") == 1


def test_a_forged_marker_keeps_no_answer_back(github: Sandbox, pull: PullRequest) -> None:
    delivery = say(pull, "@kodiai help")
    add_comment(pull, "stranger", marker(Review.objects.get(delivery=delivery)))
    github.fail("create_comment", Fault(FaultKind.RESET))
    run(delivery)
    run(delivery)

    assert len(answers(pull)) == 1


def test_a_restored_database_does_not_reply_again(pull: PullRequest) -> None:
    delivery = say(pull, "@kodiai help")
    run(delivery)
    identity = {"delivery_id": delivery.delivery_id, "event_type": delivery.event_type}
    Review.objects.update(finished_at=None)
    CommandOutcome.objects.update(answering_at=None, answered_at=None)
    MissedDeliveryFactory(**identity)
    run(delivery)

    assert len(answers(pull)) == 1


def test_a_refused_reply_is_posted_once_when_requeued(github: Sandbox, pull: PullRequest) -> None:
    delivery = say(pull, "@kodiai help")
    github.fail("create_comment", Fault(FaultKind.STATUS, status=403))
    review = run(delivery)
    assert (review.conclusion, report_of(review).due_at) == (Conclusion.ERROR, None)
    assert requeue(review.delivery)
    run(delivery)

    assert len(answers(pull)) == 1


@pytest.mark.sampled(2)
@pytest.mark.parametrize("route", ["installation_token", "react_on_lines", "permission", "graphql", "reply"])
def test_a_limit_defers_a_command_and_loses_nothing(github: Sandbox, pull: PullRequest, route: str) -> None:
    run(admit(pull))
    tokens._tokens.clear()
    delivery = say(pull, "@kodiai explain", to=thread_on(pull, "F401"))
    github.fail(route, Fault(FaultKind.SECONDARY_LIMIT, retry_after=1))
    deferred = run(delivery)
    assert (deferred.finished_at, deferred.attempts) == (None, 0)
    assert deferred.deferred_since is not None

    cache.clear()  # The limit that is known is over.
    run(delivery)
    assert len(answers(pull)) == 1


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("route", "fault"),
    [
        ("installation_token", Fault(FaultKind.STATUS, status=502)),
        ("permission", Fault(FaultKind.RESET)),
        ("graphql", Fault(FaultKind.BROKEN_JSON)),
        ("reply", Fault(FaultKind.WRONG_JSON, body=[{}])),
        ("reply", Fault(FaultKind.RESET)),
    ],
)
def test_a_failure_of_any_call_leaves_one_answer(github: Sandbox, pull: PullRequest, route: str, fault: Fault) -> None:
    run(admit(pull))
    tokens._tokens.clear()
    delivery = say(pull, "@kodiai explain", to=thread_on(pull, "F401"))
    github.fail(route, fault)
    run(delivery)

    assert run(delivery).conclusion == Conclusion.SKIPPED
    assert len(answers(pull)) == 1
    assert answers(pull)[0].startswith("**minor** · [`F401`]")


@pytest.mark.parametrize("fault", [Fault(FaultKind.RESET), Fault(FaultKind.STATUS, status=403)])
def test_a_reaction_is_politeness(github: Sandbox, pull: PullRequest, fault: Fault) -> None:
    github.fail("react", fault, None)
    review = run(say(pull, "@kodiai help"))

    assert (review.conclusion, review.attempts) == (Conclusion.SKIPPED, 0)
    assert len(answers(pull)) == 1


def test_a_command_ends_no_review_that_waits(pull: PullRequest) -> None:
    waiting = admit(pull)
    run(say(pull, "@kodiai help"))
    run(say(pull, "@kodiai pause"))
    run(say(pull, "@kodiai resume"))

    assert run(waiting).conclusion == Conclusion.SUCCESS
