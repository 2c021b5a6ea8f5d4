"""Whether GitHub would let a pull request be merged, after a signed webhook came in and all work was done."""

from typing import Any
from uuid import uuid4

from django.http import HttpResponse
from django.test import Client

from reviews.models import Delivery, DeliveryStatus
from reviews.publishing.check_runs import NAME
from sandbox import MergeGroup, PullRequest, Repository, webhook_payload
from tests.support.runs import end_waits, process, report_check_runs
from tests.support.webhooks import deliver

MAX_ROUNDS = 20


def send(
    subject: PullRequest | MergeGroup | Repository, action: str, event: str = "pull_request", **payload: Any
) -> Delivery:
    """Send a signed webhook; do all work that is due then; return the delivery as it is then."""
    answer = receive(subject, action, event, **payload)
    assert answer.status_code == 202, answer.content
    work()
    return Delivery.objects.get(delivery_id=answer.json()["delivery"])


def receive(
    subject: PullRequest | MergeGroup | Repository, action: str, event: str = "pull_request", **payload: Any
) -> HttpResponse:
    """Send a signed webhook; return the answer. Nothing of its work is done yet."""
    body = webhook_payload(subject, action, event, **payload)
    return deliver(Client(), body, event=event, delivery_id=str(uuid4()))


def work() -> None:
    """Run everything that waits, however long it should, and report every check run."""
    for _ in range(MAX_ROUNDS):
        end_waits()
        waiting = list(Delivery.objects.filter(status=DeliveryStatus.QUEUED).order_by("pk"))
        for delivery in waiting:
            process(delivery.pk)
        if not report_check_runs() and not waiting:
            return
    raise AssertionError("work does not come to an end")


def check_run_at(repo: Repository, sha: str) -> dict[str, Any] | None:
    """What GitHub shows under Kodiai's name at a commit: the check run that was completed last. None if there is none.

    Where GitHub goes by the newest one instead, it shows the same.
    """
    found = [run for run in repo.check_runs if run["head_sha"] == sha and run["name"] == NAME]
    if not found:
        return None
    shown = sorted(found, key=lambda run: (run["completed_at"], run["id"]))[-1]
    assert (shown["conclusion"], shown["output"]) == (found[-1]["conclusion"], found[-1]["output"])
    return shown


def verdict(subject: PullRequest | MergeGroup) -> str:
    """GitHub's conclusion at the head commit; "pending" if there is no check run, with which a required one blocks."""
    found = check_run_at(subject.repository, subject.head_sha)
    return found["conclusion"] if found else "pending"


def summary(subject: PullRequest | MergeGroup) -> str:
    """Title and text of the check run at the head commit, which there is."""
    found = check_run_at(subject.repository, subject.head_sha)
    assert found is not None
    return f"{found['output']['title']}\n{found['output']['summary']}"
