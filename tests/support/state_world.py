"""The world of the state machine: its pull requests, its clock, its queue, and what holds in it at any moment.

It is on the real database, the real intake and the sandbox. Only the machine moves the clock.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import time_machine
from django.test import Client
from django_tasks_db.management.commands.db_worker import Worker as QueueWorker
from django_tasks_db.models import DBTaskResult
from hypothesis.stateful import RuleBasedStateMachine, invariant

from reviews.maintenance import scheduler
from reviews.maintenance.recovery import flush_outbox
from reviews.models import (
    PENDING_CHECK_RUN,
    CheckRunReport,
    Delivery,
    DeliveryStatus,
    GitHubOutage,
    MissedDelivery,
    PeriodicTask,
    Review,
    Turn,
)
from sandbox import PullRequest, Sandbox
from telemetry.models import Execution, RateLimitEvent
from tests.support.invariants import Memory, check_always, check_at_rest, state
from tests.support.kill_points import Points
from tests.support.published import check_reported_once
from tests.support.runs import forget_memory
from tests.support.webhooks import deliver
from tests.telemetry.stores import default_store

START = datetime(2030, 1, 1, tzinfo=UTC)
MAX_EXAMPLE = timedelta(days=10)
"""Time never goes back, not even from one example to the next: the GitHub client keeps what it signed."""
MAX_ROUNDS = 40
"""Rounds, an hour each, in which everything has to come to rest once all faults are over."""
CODE = ("import os\n", "import os\nimport sys\n", "import sys\nvalue = missing\n", "value = 1\n")
"""What the second pull request has in its Python file, one after the other: findings come, go and come back."""
POSTS = ("create_review", "update_review", "create_comment", "create_check_run", "update_check_run")


class World(RuleBasedStateMachine):
    """One Kodiai and one GitHub with three pull requests, two of a repository and one of another without telemetry."""

    examples = steps = 0

    def __init__(self, github: Sandbox, points: Points) -> None:
        super().__init__()
        type(self).examples += 1
        self.clock = time_machine.travel(START + self.examples * MAX_EXAMPLE, tick=False)
        self.time = self.clock.start()
        self.github, self.points, self.client = github, points, Client()
        self.queue = QueueWorker(queue_names=["*"], interval=0, batch=True, backend_name="default", startup_delay=False,
            max_tasks=None, worker_id="a worker", excluded_queue_names=[])  # fmt: skip
        kept_by_kodiai = (Review, Delivery, MissedDelivery, PeriodicTask, GitHubOutage, Turn)
        for model in (*kept_by_kodiai, DBTaskResult, RateLimitEvent, Execution):
            model.objects.all().delete()
        forget_memory()
        self.unlimit()
        points.forget()
        scheduler.prepare()
        self.pulls = self.open_pull_requests()
        self.sent: list[tuple[str, dict[str, Any], str]] = []
        self.under_way: list[tuple[str, dict[str, Any], str]] = []
        self.inbox: set[tuple[str, str]] = set()
        self.abandoned: set[tuple[int, str]] = set()
        self.seen = Memory()
        self.broken: list[str] = []
        self.locked = False
        self.held = False
        self.at_rest = False

    def open_pull_requests(self) -> list[PullRequest]:
        name = f"octo/example-{self.examples}"
        repo = self.github.create_repository(name, files={"notes.md": "one\n"})
        silent = {"notes.md": "one\n", ".kodiai.yml": "telemetry:\n  enabled: false\n"}
        other = self.github.create_repository(f"{name}-silent", files=silent)
        self.github.merged_pull_requests[name, "mona"] = 4
        for each in (repo, other):
            each.roles |= {"mona": "write", "lisa": "write"}
        return [
            repo.open_pull_request(changes={"notes.md": "two\n"}, author="mona"),
            repo.open_pull_request(changes={"more.py": CODE[0]}, author="lisa", author_association="FIRST_TIMER"),
            other.open_pull_request(changes={"notes.md": "two\n"}, author="mona"),
        ]

    def arrive(self, event: str, payload: dict[str, Any], delivery_id: str) -> None:
        identity = {"delivery_id": delivery_id, "event_type": f"{event}.{payload['action']}"}
        known = Delivery.objects.filter(**identity).first()
        tasks = DBTaskResult.objects.count()
        answer = deliver(self.client, payload, event=event, delivery_id=delivery_id)
        if payload["action"] == "closed":
            expected = "ignored"
        elif known is None:
            expected = "queued"
        else:
            expected = "requeued" if known.status == DeliveryStatus.FAILED else "duplicate"
        assert (answer.status_code, answer.json()["status"]) == (202, expected)
        assert DBTaskResult.objects.count() - tasks == int(expected in ("queued", "requeued"))
        self.inbox.add((delivery_id, identity["event_type"]))
        if (event, payload, delivery_id) not in self.sent:
            self.sent.append((event, payload, delivery_id))

    def take_a_task(self, index: int) -> bool:
        ready = sorted(DBTaskResult.objects.ready(), key=lambda task: (task.run_after, task.args_kwargs["args"]))
        if not ready:
            return False
        task = ready[index % len(ready)]
        task.claim("a worker")
        self.time.shift(0.01)
        self.queue.run_task(task)
        self.time.shift(0.01)
        return True

    def note_abandoned(self) -> None:
        self.abandoned |= set(Review.objects.exclude(lease_owner="").values_list("pk", "lease_owner"))

    def unlimit(self) -> None:
        self.github.clear_faults()
        for limit in self.github.limits.values():
            limit.restore()

    @contextmanager
    def store(self) -> Iterator[None]:
        """The telemetry store as a write meets it: as it is, or locked by another connection."""
        if not self.locked:
            yield
            return
        with closing(default_store().connect()) as other:
            if isinstance(other, sqlite3.Connection):
                other.execute("BEGIN IMMEDIATE")
            else:
                assert isinstance(other, psycopg.Connection)
                other.execute("BEGIN")
                other.execute("LOCK TABLE rate_limit_events, executions IN EXCLUSIVE MODE")
            self.held = True
            try:
                yield
            finally:
                self.held = False

    @invariant()
    def everything_holds(self) -> None:
        type(self).steps += 1
        self.time.shift(0.01)
        try:
            assert not self.broken
            assert set(Delivery.objects.values_list("delivery_id", "event_type")) == self.inbox
            now = state(self.pulls)
            self.seen.check(now)
            check_always(now, self.abandoned)
            check_reported_once(self.pulls)
        except BaseException:
            self.at_rest = True
            raise

    def come_to_rest(self) -> None:
        """All faults are over: everything pending is done in bounded time, and by itself."""
        self.locked = False
        self.unlimit()
        for _ in range(MAX_ROUNDS):
            self.time.shift(3600)
            scheduler.run_due()
            while self.take_a_task(0):
                self.everything_holds()
            unfinished = Delivery.objects.filter(
                status__in=(DeliveryStatus.RECEIVED, DeliveryStatus.QUEUED, DeliveryStatus.RUNNING)
            )
            pending = Review.objects.pending_rate_limit_event().exists() or Review.objects.pending_execution().exists()
            pending = pending or CheckRunReport.objects.filter(PENDING_CHECK_RUN).exists()
            if not unfinished.exists() and not pending:
                break
        self.everything_holds()
        check_at_rest(self.pulls)
        before = self.done()
        assert flush_outbox() == 0
        for sent in self.sent:
            if Delivery.objects.filter(delivery_id=sent[2]).exclude(status=DeliveryStatus.FAILED).exists():
                self.arrive(*sent)
        assert not self.take_a_task(0), "a task is left that nobody needs"
        assert before == self.done(), "something was done twice"

    def done(self) -> tuple[int, ...]:
        return (*map(self.github.count, POSTS), RateLimitEvent.objects.count(), Execution.objects.count())

    def teardown(self) -> None:
        try:
            if not self.at_rest:
                self.come_to_rest()
        finally:
            self.points.forget()
            self.clock.stop()
