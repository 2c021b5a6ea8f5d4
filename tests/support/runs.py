"""Runs for the tests: deliveries that came in the proper way, processed here or in a process of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.utils import timezone
from django_tasks import TaskResultStatus
from django_tasks_db.models import DBTaskResult

from reviews import service
from reviews.github import tokens
from reviews.intake.inbox import accept
from reviews.intake.payloads import read_delivery
from reviews.maintenance.recovery import sweep
from reviews.models import CheckRunReport, Delivery, Review
from reviews.publishing.check_runs import report_pending
from reviews.runs import runner
from reviews.runs.runner import process
from sandbox import PullRequest, add_comment, add_reply, webhook_payload
from telemetry.models import Execution, RateLimitEvent
from tests.support.kill_points import Killed, Points, die

ROOT = Path(settings.BASE_DIR)


def admit(pull: PullRequest, action: str = "opened", *, delivery_id: str | None = None, **payload: Any) -> Delivery:
    """Let a delivery about a pull request in; its task is queued and not run."""
    body = json.dumps(webhook_payload(pull, action, **payload)).encode()
    parsed = read_delivery(delivery_id or str(uuid4()), payload.get("event", "pull_request"), body)
    accept(parsed)
    return Delivery.objects.get(delivery_id=parsed.delivery_id, event_type=parsed.event_type)


def say(pull: PullRequest, text: str, by: str = "mona", to: int | None = None) -> Delivery:
    """Let somebody comment on a pull request, or reply in the thread that a comment began; let the delivery in."""
    if to is None:
        return admit(pull, "created", event="issue_comment", comment=add_comment(pull, by, text))
    reply = add_reply(pull, by, text, to)
    return admit(pull, "created", event="pull_request_review_comment", comment=reply)


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


def process_environment(**more: str) -> dict[str, str]:
    """The environment of a Kodiai process that works on this test's database and sandbox."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        url = f"sqlite:///{database['NAME']}"
    else:
        url = f"postgresql://{database['USER']}@{database['HOST']}:{database['PORT']}/{database['NAME']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KODIAI_")}
    return kept | {
        "DJANGO_SETTINGS_MODULE": "kodiai.settings",
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": url,
        "KODIAI_ENV_FILE": os.devnull,
        "KODIAI_SECRET_KEY": settings.SECRET_KEY,
        "KODIAI_TASKS_URL": settings.KODIAI_TASKS_URL,
        "KODIAI_GITHUB_API_URL": settings.KODIAI_GITHUB_API_URL,
        "KODIAI_RESOLVE_THREADS": str(settings.KODIAI_RESOLVE_THREADS),
        "KODIAI_LLM_MODEL": settings.KODIAI_LLM_MODEL,
        "KODIAI_LLM_BASE_URL": settings.KODIAI_LLM_BASE_URL,
        "KODIAI_LLM_API_KEY": settings.KODIAI_LLM_API_KEY,
        "KODIAI_GITHUB_APP_ID": settings.KODIAI_GITHUB_APP_ID,
        "KODIAI_GITHUB_PRIVATE_KEY": settings.KODIAI_GITHUB_PRIVATE_KEY,
        "KODIAI_GITHUB_WEBHOOK_SECRET": settings.KODIAI_GITHUB_WEBHOOK_SECRET[0],
        **more,
    }


def start_process(delivery: Delivery, **environment: str) -> "subprocess.Popen[str]":
    """Process a delivery in a process of its own; `environment` is added to its settings. Its log is its stderr."""
    code = f"import django; django.setup(); from reviews.runs.runner import process; process({delivery.pk})"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=process_environment(**environment),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
