"""`manage.py recover` resumes runs of dead workers, lists failures and requeues them."""

import io

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_django import Settings

from reviews import service
from reviews.models import Delivery, DeliveryStatus
from reviews.runs.lease import claim
from sandbox import Fault, FaultKind, PullRequest, Repository, Sandbox
from tests.support.runs import admit, expire_leases, run

pytestmark = pytest.mark.django_db


@pytest.fixture
def pull(github: Sandbox) -> PullRequest:
    repo: Repository = github.create_repository("octo/demo", files={"a.py": "x = 1\n"})
    return repo.open_pull_request(changes={"a.py": "x = 2\n"})


@pytest.fixture
def failed(github: Sandbox, pull: PullRequest, settings: Settings) -> Delivery:
    settings.KODIAI_MAX_ATTEMPTS = 1
    delivery = admit(pull, delivery_id="failed-1")
    github.fail("pull", Fault(FaultKind.WRONG_JSON), times=3)
    assert run(delivery).delivery.status == DeliveryStatus.FAILED
    return delivery


def recover(*arguments: str) -> str:
    output = io.StringIO()
    call_command("recover", *arguments, stdout=output)
    return output.getvalue()


def test_it_says_that_all_is_well(pull: PullRequest) -> None:
    assert recover().splitlines() == [
        "Runs rescheduled: 0",
        "Deliveries requeued: 0",
        "Tasks of dead workers ended: 0",
        "Deliveries waiting: 0",
        "Running: 0",
        "Telemetry rows pending: 0",
        "No delivery has failed.",
    ]
    assert recover("--failed").splitlines()[-1] == "No delivery has failed."


@pytest.mark.database
def test_it_puts_back_what_a_dead_worker_left(pull: PullRequest) -> None:
    delivery = admit(pull)
    claim(delivery.pk, "dead")
    expire_leases()

    assert "Runs rescheduled: 1" in recover()
    delivery.refresh_from_db()
    assert delivery.status == DeliveryStatus.QUEUED
    assert delivery.failure.startswith("the lease of its worker dead")


def test_it_lists_waiting_deferred_running_and_pending_runs(
    github: Sandbox, pull: PullRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [pull.repository.open_pull_request(changes={"b.py": "x = 1\n"}) for _ in range(3)]
    waiting, limited, running, pending = (admit(each) for each in (pull, *others))
    claim(running.pk, "at work")
    with monkeypatch.context() as patch:
        patch.setattr(service, "record_rate_limit_event", lambda **values: None)
        run(pending)
    github.fail("files", Fault(FaultKind.PRIMARY_LIMIT, reset_in=1800))
    until = run(limited).deferred_until

    assert until is not None
    assert recover().splitlines()[3:] == [
        "Deliveries waiting: 1",
        f"Deferred: 1, the last until {until:%Y-%m-%d %H:%M:%S} UTC",
        "Running: 1",
        "Telemetry rows pending: 1",
        "No delivery has failed.",
    ]
    assert waiting.status == DeliveryStatus.QUEUED


def test_it_lists_failures_with_their_tracebacks(failed: Delivery, pull: PullRequest) -> None:
    output = recover()

    assert "Failed: failed-1 pull_request.opened of octo/demo#1: abandoned after 1 attempts: Unavailable: " in output
    assert "manage.py recover --failed" in output
    failed.refresh_from_db()
    assert failed.failure.startswith("Traceback (most recent call last):")
    assert "reviews.github.errors.Unavailable: GitHub's answer to GET" in failed.failure


@pytest.mark.parametrize("arguments", [["--failed"], ["failed-1"]])
def test_it_queues_failed_deliveries_again(failed: Delivery, pull: PullRequest, arguments: list[str]) -> None:
    assert "failed-1 pull_request.opened: requeued" in recover(*arguments)
    assert run(failed).conclusion == "success"
    assert "not requeued: it is done" in recover("failed-1")
    assert len(pull.reviews) == 1


def test_an_unknown_id_is_an_error_and_queues_nothing(failed: Delivery) -> None:
    with pytest.raises(CommandError, match=r"Not in the inbox: unheard-of\. Nothing was requeued\."):
        recover("failed-1", "unheard-of")
    failed.refresh_from_db()
    assert failed.status == DeliveryStatus.FAILED
