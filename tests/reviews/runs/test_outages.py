"""GitHub is away: runs wait for it together, one asks, and none of it is an attempt."""

from datetime import timedelta
from itertools import pairwise

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from reviews.github import connection
from reviews.models import DeliveryStatus, GitHubOutage, Review
from reviews.runs import outages
from sandbox import Fault, FaultKind, PullRequest, Repository, Sandbox
from telemetry.models import Conclusion, Execution, RateLimitEvent
from tests.support.runs import admit, process, queued_tasks, run
from tests.support.shop import AFTER

pytestmark = pytest.mark.django_db

AWAY = Fault(FaultKind.STATUS, status=503)


def pulls_of(repo: Repository, count: int) -> list[PullRequest]:
    return [
        repo.open_pull_request(changes={f"{number}.py": "import os\n"}, author=f"author-{number}")
        for number in range(count)
    ]


def wait_of(review: Review) -> float:
    return (review.deferred_until - timezone.now()).total_seconds()


@pytest.mark.parametrize(
    "fault",
    [AWAY, Fault(FaultKind.RESET), Fault(FaultKind.BROKEN_JSON)],
    ids=lambda fault: f"{fault.kind} {fault.status or ''}",
)
def test_a_run_that_cannot_reach_github_is_deferred(github: Sandbox, pull: PullRequest, fault: Fault) -> None:
    github.fail("*", fault, times=None)

    review = run(admit(pull))

    assert (review.attempts, review.conclusion, review.delivery.status) == (0, "", DeliveryStatus.QUEUED)
    assert 2 < wait_of(review) <= 5
    assert queued_tasks()[-1].run_after == review.deferred_until
    github.clear_faults()
    assert run(review.delivery).conclusion == Conclusion.SUCCESS
    assert (len(pull.reviews), RateLimitEvent.objects.count(), Execution.objects.count()) == (1, 1, 1)
    assert not GitHubOutage.objects.exists()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://github.invalid"])
def test_no_connection_and_no_address_are_an_outage(pull: PullRequest, settings: Settings, url: str) -> None:
    settings.KODIAI_GITHUB_API_URL = url

    review = run(admit(pull))

    assert (review.attempts, review.conclusion) == (0, "")
    assert "ConnectError" in GitHubOutage.objects.get().error


def test_waits_grow_to_five_minutes_and_end_with_an_error(
    github: Sandbox, pull: PullRequest, settings: Settings
) -> None:
    settings.KODIAI_MAX_DEFERRAL = 3600
    github.fail("*", AWAY, times=None)
    delivery = admit(pull)
    began, waits = timezone.now(), []
    with time_machine.travel(began, tick=False) as clock:
        while not (review := run(delivery)).conclusion:
            waits.append(wait_of(review))
            clock.move_to(review.deferred_until)
            assert len(waits) < 50

    assert waits[0] <= 5
    assert 200 <= waits[-1] <= max(waits) <= 300
    # Growing: a third of each is left to chance.
    assert all(later > 0.6 * earlier for earlier, later in pairwise(waits))
    assert (review.conclusion, review.attempts) == (Conclusion.ERROR, 0)
    assert "KODIAI_MAX_DEFERRAL" in review.conclusion_reason
    assert Execution.objects.count() == 1


@pytest.mark.database
def test_one_run_asks_while_the_others_wait(github: Sandbox, repo: Repository) -> None:
    deliveries = [admit(pull) for pull in pulls_of(repo, 6)]
    github.fail("*", AWAY, times=None)
    for delivery in deliveries[:2]:
        run(delivery)
    outage = GitHubOutage.objects.get()
    github.reset_calls()

    waiting = [run(delivery) for delivery in deliveries[2:]]

    assert github.count() == 0
    assert all(review.deferred_until > outage.retry_at and review.attempts == 0 for review in waiting)
    assert len({review.deferred_until for review in waiting}) == len(waiting)
    with time_machine.travel(outage.retry_at + timedelta(seconds=1)):
        for delivery in deliveries:
            run(delivery)
    assert github.count() == connection.MAX_TRIES
    github.clear_faults()
    with time_machine.travel(timezone.now() + timedelta(minutes=5)):
        assert {run(delivery).conclusion for delivery in deliveries} == {Conclusion.SUCCESS}


def test_a_pull_request_that_github_fails_on_holds_up_no_other(github: Sandbox, repo: Repository) -> None:
    broken, fine, later = pulls_of(repo, 3)
    delivery = admit(broken)
    github.fail("files", Fault(FaultKind.STATUS, status=502), times=connection.MAX_TRIES)
    github.fail("graphql", Fault(FaultKind.STATUS, status=502), times=connection.MAX_TRIES)
    assert run(delivery).attempts == 0
    assert GitHubOutage.objects.get().retry_at is None

    review = run(admit(fine))

    # GraphQL failed for it, and REST did not.
    assert review.conclusion == Conclusion.SUCCESS
    assert not GitHubOutage.objects.exists()
    assert run(admit(later)).conclusion == Conclusion.SUCCESS


def test_an_outage_of_one_installation_is_no_other_s(github: Sandbox, pull: PullRequest, repo: Repository) -> None:
    elsewhere = github.create_repository("acme/shop", files={"shop.py": "x = 1\n"})
    other = elsewhere.open_pull_request(changes={"shop.py": AFTER}, author="mona")
    github.fail("installation_token", AWAY, times=2 * connection.MAX_TRIES)
    for each in (pull, *pulls_of(repo, 1)):
        run(admit(each))
    assert GitHubOutage.objects.get().retry_at is not None

    assert run(admit(other)).conclusion == Conclusion.SUCCESS
    assert GitHubOutage.objects.get().installation_id == repo.installation_id
    process(admit(pull, "deleted", event="installation").pk)
    assert not GitHubOutage.objects.exists(), "it ends with its installation"


def test_an_outage_needs_no_cache(github: Sandbox, repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    github.fail("*", AWAY, times=None)
    deliveries = [admit(pull) for pull in pulls_of(repo, 3)]
    for method in ("get", "set", "add", "delete"):
        monkeypatch.setattr(type(cache._connections[cache._alias]), method, _broken)  # type: ignore[attr-defined]

    for delivery in deliveries:
        assert run(delivery).attempts == 0
    assert github.count() == 2 * connection.MAX_TRIES


def _broken(*args: object, **kwargs: object) -> None:
    raise ConnectionError("the cache is away")


def test_a_run_that_dies_while_it_asks_lets_another_ask(repo: Repository) -> None:
    first, second = (Review.objects.get(delivery=admit(pull)) for pull in pulls_of(repo, 2))
    now = timezone.now()
    GitHubOutage.objects.create(
        installation_id=repo.installation_id, since=now - timedelta(seconds=30), failed_run=0, retry_at=now
    )

    assert outages.held_until(first) is None
    assert outages.held_until(second) is not None
    with time_machine.travel(now + timedelta(seconds=25)):
        assert outages.held_until(second) is None


def test_an_outage_is_an_alarm_until_github_answers(
    github: Sandbox, pull: PullRequest, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    github.fail("*", AWAY, times=None)
    delivery = admit(pull)
    before = timezone.now()
    run(delivery)

    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()["github"]) == (200, "unreachable")
    assert GitHubOutage.objects.get().since >= before
    assert answer.json()["github_unreachable_since"] is not None
    assert "GitHub unreachable" in caplog.messages
    github.clear_faults()
    run(delivery)
    assert client.get("/readyz").json()["github"] == "ok"


def test_an_outage_that_nobody_met_for_an_hour_is_forgotten(client: Client) -> None:
    long_ago = timezone.now() - timedelta(hours=2)
    GitHubOutage.objects.create(installation_id=1, since=long_ago, failed_at=long_ago, failed_run=1)

    assert client.get("/readyz").json()["github_unreachable_since"] is None
