"""Runs for the tests: deliveries that came in the proper way, processed here or in a process of their own."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import IntegrityError, connection
from django.utils import timezone
from django_tasks import TaskResultStatus
from django_tasks_db.models import DBTaskResult

from reviews import service
from reviews.github import tokens
from reviews.github.facts import INSTALLATION_EVENTS
from reviews.intake.inbox import accept_all
from reviews.intake.payloads import read_delivery
from reviews.maintenance.recovery import sweep
from reviews.models import CheckRunReport, Delivery, Review
from reviews.publishing.check_runs import report_pending
from reviews.runs import runner
from reviews.runs.lease import claim
from sandbox import MergeGroup, PullRequest, add_comment, add_reply, webhook_payload
from telemetry.models import Conclusion, Execution, RateLimitEvent
from tests.support import processes
from tests.support.kill_points import Killed, Points, die

ROOT = processes.ROOT


def admit(
    pull: PullRequest | MergeGroup, action: str = "opened", *, delivery_id: str | None = None, **payload: Any
) -> Delivery:
    """Let a delivery about a pull request, or a merge group, in; its task is queued and not run."""
    body = json.dumps(webhook_payload(pull, action, **payload)).encode()
    parsed = read_delivery(delivery_id or str(uuid4()), payload.get("event", "pull_request"), body)
    accept_all([parsed])
    return Delivery.objects.get(delivery_id=parsed.delivery_id, event_type=parsed.event_type)


def say(pull: PullRequest, text: str, by: str = "mona", to: int | None = None) -> Delivery:
    """Let somebody comment on a pull request, or reply in the thread that a comment began; let the delivery in."""
    if to is None:
        return admit(pull, "created", event="issue_comment", comment=add_comment(pull, by, text))
    reply = add_reply(pull, by, text, to)
    return admit(pull, "created", event="pull_request_review_comment", comment=reply)


def process(delivery_pk: int) -> None:
    """Act on a queued delivery as a worker does, whoever's turn it is, and whenever its time has come."""
    delivery = Delivery.objects.get(pk=delivery_pk)
    if delivery.event in INSTALLATION_EVENTS:
        runner.handle_installation(delivery)
        return
    try:
        review = claim(delivery_pk, runner._worker())
    except IntegrityError:
        runner._queue_for_later(delivery)
        return
    if review is not None:
        runner._run(review)


def end_waits() -> None:
    """Make everything due that was deferred."""
    Review.objects.filter(deferred_until__gt=timezone.now()).update(deferred_until=timezone.now())
    CheckRunReport.objects.filter(due_at__gt=timezone.now()).update(due_at=timezone.now())


def expire_leases() -> None:
    """Expire every lease, as if its worker had died long ago."""
    Review.objects.exclude(lease_owner="").update(lease_expires_at=timezone.now() - timedelta(seconds=1))


def reschedule() -> int:
    """Sweep; return how many runs and deliveries were queued again."""
    swept = sweep()
    return swept["runs rescheduled"] + swept["deliveries requeued"]


def meanwhile(monkeypatch: pytest.MonkeyPatch, happen: Callable[[], object]) -> None:
    """Let something happen while the next run is at work: right after it has analysed."""
    analyse = service.analyse

    def analyse_meanwhile(*args: Any) -> None:
        analyse(*args)
        happen()

    monkeypatch.setattr(service, "analyse", analyse_meanwhile)


def kill_at(point: str, delivery: Delivery) -> None:
    """Process a delivery in a worker that dies at `point` of it: nothing of its memory is left, and its lease stays.

    The worker is this process, so that dying takes no time; tests/e2e/kill_matrix.py kills real ones.
    """
    with pytest.MonkeyPatch.context() as patch:
        Points(patch).plan(point, die)
        with pytest.raises(Killed):
            process(delivery.pk)
    forget_memory()


def take_over_at(point: str, delivery: Delivery) -> dict[str, Any]:
    """Process a delivery in a worker that stands still at `point` for longer than its lease: another one does the run.

    Return the row of the run as the other left it. What the first does after that must not change it.
    """
    taken_over: list[dict[str, Any]] = []

    def stand_still() -> None:
        mine = runner._running
        expire_leases()
        assert reschedule() == 1
        run(delivery)
        taken_over.append(Review.objects.values().get(delivery=delivery))
        runner._running = mine

    with pytest.MonkeyPatch.context() as patch:
        Points(patch).plan(point, stand_still)
        process(delivery.pk)
    (row,) = taken_over
    return row


def resume(delivery: Delivery) -> Review:
    """Let the lease of a dead worker run out and another one finish its run; return the run as it then is."""
    expire_leases()
    sweep()
    return run(delivery)


def forget_memory() -> None:
    """Forget what a process keeps in memory: cached answers, limits and tokens."""
    cache.clear()
    tokens._tokens.clear()


def run(delivery: Delivery) -> Review:
    """Process a delivery as a worker does when its time has come, and return its review as it then is."""
    end_waits()
    process(delivery.pk)
    return Review.objects.select_related("delivery").get(delivery=delivery)


def assert_finishes_once(pull: PullRequest, delivery: Delivery) -> None:
    """Let a run finish: its pull request, which has no other, gets one review, and telemetry one row of each."""
    assert run(delivery).conclusion == Conclusion.SUCCESS
    assert len(pull.reviews) == 1
    assert RateLimitEvent.objects.count() == Execution.objects.count() == 1


@dataclass(frozen=True)
class QueuedTask:
    """A task that waits for a worker; `run_after` is None where it may run at once."""

    delivery_pk: int
    run_after: datetime | None


def queued_tasks() -> list[QueuedTask]:
    """The tasks that wait in the queue that is configured."""
    if not settings.KODIAI_TASKS_URL:
        waiting = DBTaskResult.objects.filter(status=TaskResultStatus.READY).order_by("enqueued_at")
        return [QueuedTask(task.task_result.args[0], task.task_result.task.run_after) for task in waiting]
    queue = _redis_queue()
    now = [QueuedTask(job.args[0], None) for job in queue.get_jobs()]
    registry = queue.scheduled_job_registry
    later = [
        QueuedTask(queue.fetch_job(job_id).args[0], registry.get_scheduled_time(job_id))
        for job_id in registry.get_job_ids()
    ]
    return now + later


def take_task(delivery_pk: int) -> None:
    """Take the first task of a delivery out of the queue, as a worker does; fails if there is none."""
    if not settings.KODIAI_TASKS_URL:
        waiting = DBTaskResult.objects.filter(status=TaskResultStatus.READY, args_kwargs__args=[delivery_pk])
        waiting.order_by("enqueued_at")[0].delete()
        return
    queue = _redis_queue()
    queue.remove(next(job for job in queue.get_jobs() if job.args[0] == delivery_pk))


def forget_tasks() -> None:
    """Empty the queue, as an operator does who empties Redis."""
    if settings.KODIAI_TASKS_URL:
        _redis_queue().connection.flushdb()
    else:
        DBTaskResult.objects.all().delete()


def take_tasks_and_die(when: datetime) -> None:
    """Take every task out of the queue, as workers that were killed at `when`, before they claimed a run."""
    if settings.KODIAI_TASKS_URL:
        _redis_queue().connection.delete(_redis_queue().key)
    else:
        DBTaskResult.objects.update(status=TaskResultStatus.RUNNING, started_at=when)


def _redis_queue() -> Any:
    import django_rq
    from django_tasks_rq import Job

    return django_rq.get_queue(job_class=Job)


def event_of(delivery: Delivery) -> RateLimitEvent:
    """The one rate-limit event of a delivery; fails if there is none or more."""
    return RateLimitEvent.objects.get(delivery_id=delivery.delivery_id, event_type=delivery.event_type)


def execution_of(delivery: Delivery) -> Execution:
    return Execution.objects.get(delivery_id=delivery.delivery_id, event_type=delivery.event_type)


def report_of(run: Delivery | Review) -> CheckRunReport:
    """What is stored about the check run of a run; unsaved, and empty, if it never had one."""
    delivery = run.delivery if isinstance(run, Review) else run
    found = CheckRunReport.objects.select_related("review__delivery").filter(review__delivery=delivery).first()
    return found or CheckRunReport()


def only_check_run(pull: PullRequest) -> dict[str, Any]:
    """The one check run of the pull request's repository; fails if there is none or more."""
    (check_run,) = pull.repository.check_runs
    return check_run


def conclusion_and_title(pull: PullRequest) -> tuple[str, str]:
    """What the one check run of the repository says in short."""
    check_run = only_check_run(pull)
    return check_run["conclusion"], check_run["output"]["title"]


def report_check_runs() -> dict[str, int]:
    """A round of `report_pending`, with everything due; return its counts that are not zero."""
    end_waits()
    return {what: count for what, count in report_pending().items() if count}


def body_without_marker(review: dict[str, Any]) -> str:
    """What people see of a published review: its body without the marker, which differs from run to run."""
    return review["body"].partition("<!-- kodiai:review ")[0]


def process_settings(**more: str) -> dict[str, str]:
    """The settings of a Kodiai process that works on this test's database and sandbox."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        url = f"sqlite:///{database['NAME']}"
    else:
        url = f"postgresql://{database['USER']}@{database['HOST']}:{database['PORT']}/{database['NAME']}"
    same = ("TASKS_URL", "GITHUB_API_URL", "GITHUB_APP_ID", "GITHUB_PRIVATE_KEY", "RESOLVE_THREADS")
    same += ("LLM_MODEL", "LLM_BASE_URL", "LLM_API_KEY")
    return {
        "DATABASE_URL": url,
        "KODIAI_SECRET_KEY": settings.SECRET_KEY,
        "KODIAI_GITHUB_WEBHOOK_SECRET": settings.KODIAI_GITHUB_WEBHOOK_SECRET[0],
        **{f"KODIAI_{name}": str(getattr(settings, f"KODIAI_{name}")) for name in same},
        **more,
    }


def start_process(delivery: Delivery, **more: str) -> "subprocess.Popen[str]":
    """Process a delivery in a process of its own; `more` is added to its settings. Its log is its stderr."""
    code = f"import django; django.setup(); from reviews.runs.runner import take_turn; take_turn({delivery.pk})"
    environment = processes.environment(**process_settings(**more))
    return subprocess.Popen(
        processes.bound(sys.executable, "-c", code), env=environment, stderr=subprocess.PIPE, text=True
    )
