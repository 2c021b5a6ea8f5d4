"""Missed deliveries are found in GitHub's list, requested at most three times, and run."""

import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from reviews.maintenance import redelivery
from reviews.maintenance.scheduler import run_all
from reviews.models import Delivery, MissedDelivery, PeriodicTask
from sandbox import Fault, FaultKind, PullRequest, Sandbox, webhook_payload
from telemetry.models import Execution, RateLimitEvent
from tests.support.factories import PeriodicTaskFactory
from tests.support.runs import admit, run

pytestmark = pytest.mark.django_db

NOBODY = "http://127.0.0.1:1/webhooks/github"


@pytest.fixture(autouse=True)
def _nothing_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    # GitHub's list has whole seconds, so an attempt of this second would else be younger than now.
    monkeypatch.setattr(redelivery, "UNDER_WAY", timedelta(seconds=-1))


def send(github: Sandbox, pull: PullRequest, delivery_id: str, url: str = NOBODY, **options: Any) -> None:
    github.send_webhook(url, "pull_request", webhook_payload(pull, "opened"), delivery_id=delivery_id, **options)


def redeliver(*arguments: str) -> list[str]:
    output = io.StringIO()
    call_command("redeliver", *arguments, stdout=output)
    return output.getvalue().splitlines()


@pytest.mark.django_db(transaction=True)
def test_a_refused_delivery_is_redelivered_and_reviewed(
    github: Sandbox, pull: PullRequest, live_server: LiveServer, settings: Settings
) -> None:
    secrets = settings.KODIAI_GITHUB_WEBHOOK_SECRET
    settings.KODIAI_GITHUB_WEBHOOK_SECRET = ["a secret that was mistyped"]
    send(github, pull, "refused", f"{live_server.url}/webhooks/github")
    settings.KODIAI_GITHUB_WEBHOOK_SECRET = secrets

    (line, total) = redeliver()

    assert " refused pull_request.opened, answered with 401: redelivery requested" in line
    assert total == "1 missed, 1 requested."
    github.wait_for_redeliveries()
    assert run(Delivery.objects.get(delivery_id="refused")).conclusion == "success"
    assert redeliver() == ["No delivery was missed."]
    assert len(pull.reviews) == 1


def test_a_run_unknown_to_a_restored_inbox_publishes_once(github: Sandbox, pull: PullRequest) -> None:
    send(github, pull, "forgotten")
    published = run(admit(pull, delivery_id="forgotten")).github_review_id
    # What a backup of before knows of it.
    Delivery.objects.all().delete()
    RateLimitEvent.objects.all().delete()
    Execution.objects.all().delete()

    assert redeliver()[-1] == "1 missed, 1 requested."
    github.wait_for_redeliveries()
    review = run(admit(pull, delivery_id="forgotten"))

    assert (review.conclusion, review.github_review_id) == ("success", published)
    assert len(pull.reviews) == 1
    assert RateLimitEvent.objects.count() == Execution.objects.count() == 1


def test_what_the_inbox_has_is_not_redelivered(github: Sandbox, pull: PullRequest) -> None:
    """Its answer may have been lost on the way, or been too late. Nor is a ping."""
    send(github, pull, "arrived")
    admit(pull, delivery_id="arrived")
    github.send_webhook(NOBODY, "ping", webhook_payload(github.app, None, "ping"), delivery_id="ping")

    assert redeliver() == ["No delivery was missed."]
    assert github.count("redeliver") == 0


def test_another_event_type_of_a_known_id_is_redelivered(github: Sandbox, pull: PullRequest) -> None:
    admit(pull, "synchronize", delivery_id="shared")
    send(github, pull, "shared")

    assert "1 missed, 1 requested." in redeliver()


def test_a_dry_run_asks_for_nothing_and_keeps_nothing(github: Sandbox, pull: PullRequest) -> None:
    send(github, pull, "missed")

    assert redeliver("--dry-run")[-1] == "1 missed; none requested."
    assert github.count("redeliver") == 0
    assert not MissedDelivery.objects.exists()


def test_a_delivery_is_redelivered_three_times_at_most(github: Sandbox, pull: PullRequest) -> None:
    send(github, pull, "never-comes")

    said = [redeliver()[0].rpartition(": ")[2] for _ in range(5)]
    github.wait_for_redeliveries()

    assert said == ["redelivery requested"] * 3 + ["redelivery requested 3 times before, not again"] * 2
    assert github.count("redeliver") == MissedDelivery.objects.get().requests == 3


def test_a_delivery_just_requested_is_waited_for(github: Sandbox, pull: PullRequest) -> None:
    send(github, pull, "on-its-way")
    redeliver()
    github.wait_for_redeliveries()
    MissedDelivery.objects.update(requested_at=timezone.now() + timedelta(seconds=60))

    assert redeliver()[0].endswith(": redelivery requested a moment ago")
    assert github.count("redeliver") == 1


def test_an_attempt_that_may_still_be_under_way_is_left_alone(
    github: Sandbox, pull: PullRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redelivery, "UNDER_WAY", timedelta(minutes=2))
    send(github, pull, "just-sent")

    assert redeliver() == ["No delivery was missed."]


def test_a_limit_ends_the_round_and_uses_no_request_up(github: Sandbox, pull: PullRequest) -> None:
    send(github, pull, "missed")
    github.fail("redeliver", Fault(FaultKind.PRIMARY_LIMIT, reset_in=600))

    with pytest.raises(
        CommandError, match=r"GitHub's core limit is exhausted until .*; run the command again to continue\."
    ):
        redeliver()
    assert MissedDelivery.objects.get().requests == 0
    # It is known now, and the next round makes no call at all.
    github.reset_calls()
    with pytest.raises(CommandError, match="limit is exhausted"):
        redeliver()
    assert github.count() == 0


def test_a_refusal_keeps_no_other_from_being_requested(github: Sandbox, pull: PullRequest) -> None:
    send(github, pull, "too-old")
    send(github, pull, "missed")
    github.fail("redeliver", Fault(FaultKind.STATUS, status=404))

    said = redeliver()

    assert said[0].endswith(": redelivery refused by GitHub")
    assert said[-1] == "2 missed, 1 requested."


@pytest.mark.parametrize("text", ["yesterday", "24", "-1h", "1w", "99999d"])
def test_an_unreadable_span_shows_how_to_write_one(text: str) -> None:
    with pytest.raises(CommandError, match=r"is not a duration: use 90m, 24h or 3d"):
        call_command("redeliver", f"--since={text}")


# The periodic task


def admit_first(pull: PullRequest, since_now: timedelta) -> None:
    """Let the first delivery of all in, at this time from now."""
    admit(pull, delivery_id="first")
    Delivery.objects.update(received_at=timezone.now() + since_now)


def request_missed_deliveries() -> Any:
    return run_all()[redelivery.TASK]


def test_the_periodic_task_asks_for_what_was_missed(github: Sandbox, pull: PullRequest) -> None:
    admit_first(pull, timedelta(hours=-5))
    send(github, pull, "missed")

    assert request_missed_deliveries() == {"missed": 1, "requested": 1}
    github.wait_for_redeliveries()
    assert MissedDelivery.objects.get().requests == 1


def test_a_new_app_asks_for_nothing_older_than_itself(github: Sandbox, pull: PullRequest) -> None:
    send(github, pull, "of-another-time")
    assert request_missed_deliveries() == {"missed": 0, "requested": 0}

    admit_first(pull, timedelta(seconds=2))
    assert request_missed_deliveries() == {"missed": 0, "requested": 0}


def test_it_looks_back_to_just_before_its_last_look(github: Sandbox, pull: PullRequest) -> None:
    admit_first(pull, timedelta(hours=-5))
    send(github, pull, "missed")
    PeriodicTaskFactory(name=redelivery.TASK, finished_at=timezone.now() + redelivery.OVERLAP + timedelta(seconds=5))

    assert request_missed_deliveries() == {"missed": 0, "requested": 0}


def test_a_look_that_failed_is_made_up_for_by_the_next(github: Sandbox, pull: PullRequest) -> None:
    admit_first(pull, timedelta(hours=-5))
    send(github, pull, "missed")
    github.fail("hook_deliveries", Fault(FaultKind.STATUS, status=404))

    assert "404" in str(request_missed_deliveries())
    assert PeriodicTask.objects.get(name=redelivery.TASK).finished_at is None
    assert request_missed_deliveries() == {"missed": 1, "requested": 1}
    github.wait_for_redeliveries()
