"""Deliveries that arrive late, twice or out of order: GitHub's state decides."""

import pytest

from reviews.models import Delivery, DeliveryStatus
from sandbox import PullRequest, Sandbox, webhook_payload
from telemetry.models import Conclusion, Execution, RateLimitEvent
from tests.support.runs import admit, meanwhile, run

pytestmark = pytest.mark.django_db


def test_closing_a_pull_request_ends_its_running_run(pull: PullRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = admit(pull)

    def close() -> None:
        pull.close()
        admit(pull, "closed")

    meanwhile(monkeypatch, close)
    review = run(delivery)

    assert (review.conclusion, review.conclusion_reason) == (Conclusion.SKIPPED, "the pull request is closed")
    assert pull.reviews == []
    # Its enrichment was final, so it leaves its rows like any other.
    assert RateLimitEvent.objects.count() == Execution.objects.count() == 1


def test_events_about_something_else_cost_a_run_no_call(
    github: Sandbox, pull: PullRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = github.create_repository("octo/other", files={"a.py": "x = 1\n"})
    of_its_number = elsewhere.open_pull_request(changes={"b.py": ""})
    beside = pull.repository.open_pull_request(changes={"b.py": "x = 1\n"})
    assert of_its_number.number == pull.number
    delivery = admit(pull)

    def happen() -> None:
        admit(of_its_number, "closed")
        admit(beside, "closed")
        admit(pull, "reopened")

    meanwhile(monkeypatch, happen)
    run(delivery)
    assert github.count("pull") == 1


def test_a_late_closed_event_ends_nothing(pull: PullRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = admit(pull, "reopened")
    meanwhile(monkeypatch, lambda: admit(pull, "closed"))

    assert run(delivery).conclusion == Conclusion.SUCCESS
    assert len(pull.reviews) == 1


def test_an_ignored_push_does_not_stop_a_review(pull: PullRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = admit(pull)

    def be_pushed_to_by_kodiai() -> None:
        pull.push({"shop.py": "x = 1\n"})
        ignored = admit(pull, "synchronize", sender="kodiai[bot]")
        assert ignored.status == DeliveryStatus.IGNORED

    meanwhile(monkeypatch, be_pushed_to_by_kodiai)

    assert run(delivery).conclusion == Conclusion.SUCCESS
    assert len(pull.reviews) == 1


def test_a_late_older_push_does_not_supersede_the_newest(pull: PullRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    late = webhook_payload(pull, "opened")
    pull.push({"shop.py": "x = 1\n"})
    newest = admit(pull, "synchronize")

    def come_late() -> None:
        delivery = admit(pull, "opened", delivery_id="late", pull_request=late["pull_request"])
        assert delivery.head_sha != pull.head_sha

    meanwhile(monkeypatch, come_late)

    assert run(newest).conclusion == Conclusion.SUCCESS
    assert pull.reviews[0]["commit_id"] == pull.head_sha
    assert run(Delivery.objects.get(delivery_id="late")).conclusion == Conclusion.SUPERSEDED
    assert len(pull.reviews) == 1


@pytest.mark.ops04
def test_a_newer_head_supersedes_a_run_that_waits(pull: PullRequest) -> None:
    old = admit(pull)
    pull.push({"shop.py": "x = 1\n"})
    new = admit(pull, "synchronize")

    assert run(old).conclusion == Conclusion.SUPERSEDED
    assert pull.reviews == []
    assert run(new).conclusion == Conclusion.SUCCESS


@pytest.mark.ops04
def test_a_newer_head_supersedes_a_run_before_it_publishes(pull: PullRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    old = admit(pull)

    def be_pushed_to() -> None:
        pull.push({"shop.py": "x = 1\n"})
        admit(pull, "synchronize")

    meanwhile(monkeypatch, be_pushed_to)

    assert run(old).conclusion == Conclusion.SUPERSEDED
    assert pull.reviews == []
    assert RateLimitEvent.objects.filter(delivery_id=old.delivery_id).count() == 1
