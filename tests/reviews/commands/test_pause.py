"""`pause` and `resume`: which runs they stop, and for how long."""

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from reviews.maintenance.retention import retain
from reviews.models import Delivery, Review
from sandbox import PullRequest, Repository
from telemetry.models import Conclusion, RateLimitEvent
from tests.support.commands import answers, push_and_review, reactions
from tests.support.runs import admit, only_check_run, run, say
from tests.support.shop import AFTER

pytestmark = pytest.mark.django_db


# pause and resume


def test_a_paused_pull_request_is_reviewed_only_on_request(pull: PullRequest) -> None:
    paused = run(say(pull, "@kodiai pause"))
    assert (paused.conclusion, paused.conclusion_reason) == (Conclusion.SKIPPED, "paused by mona")
    assert reactions(pull.comments[0]) == {"total_count": 2, "eyes": 1, "+1": 1}

    skipped = push_and_review(pull)
    assert skipped.conclusion == Conclusion.SKIPPED
    assert skipped.conclusion_reason == "paused by mona; `@kodiai resume` ends the pause"
    assert skipped.enriched_at is None
    assert not RateLimitEvent.objects.exists()
    assert (pull.reviews, only_check_run(pull)["conclusion"]) == ([], "skipped")

    assert run(say(pull, "@kodiai review")).conclusion == Conclusion.SUCCESS
    assert push_and_review(pull, AFTER + "\n\nmore = 1\n").conclusion == Conclusion.SKIPPED

    assert run(say(pull, "@kodiai resume", by="octocat")).conclusion_reason == "resumed by octocat"
    assert push_and_review(pull, AFTER + "\n\nmore = 2\n").conclusion == Conclusion.SUCCESS
    assert answers(pull) == []


def test_a_rerun_of_a_paused_pull_request_counts_as_a_request(pull: PullRequest) -> None:
    run(admit(pull))
    run(say(pull, "@kodiai pause"))

    assert run(admit(pull, "rerequested", event="check_suite")).conclusion == Conclusion.SUCCESS


def test_a_pause_is_for_one_pull_request(pull: PullRequest, repo: Repository) -> None:
    run(say(pull, "@kodiai pause"))
    other = repo.open_pull_request(changes={"more.py": "import sys\n"}, author="mona")

    assert run(admit(other)).conclusion == Conclusion.SUCCESS


def test_the_later_of_pause_and_resume_wins(pull: PullRequest) -> None:
    pause, resume = say(pull, "@kodiai pause"), say(pull, "@kodiai resume")
    run(resume)
    run(pause)
    assert run(admit(pull)).conclusion == Conclusion.SUCCESS

    resume, pause = say(pull, "@kodiai resume"), say(pull, "@kodiai pause")
    run(pause)
    run(resume)
    assert push_and_review(pull).conclusion == Conclusion.SKIPPED


def test_a_pause_outlives_the_retention_of_deliveries(pull: PullRequest, settings: Settings) -> None:
    settings.KODIAI_RETENTION_DAYS = 1
    run(say(pull, "@kodiai help"))
    run(say(pull, "@kodiai pause"))
    Delivery.objects.update(finished_at=timezone.now() - timedelta(days=2))
    Review.objects.update(execution_recorded_at=timezone.now())
    assert retain()["deliveries removed"] == 1

    assert push_and_review(pull).conclusion == Conclusion.SKIPPED
