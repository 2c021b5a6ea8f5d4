"""Any events in any order: nothing is lost, nothing is published twice, every run has its telemetry rows.

A state machine delivers, kills, pushes, limits, locks and lets time pass, on the real database, the real intake and
the sandbox. The invariants of `tests.support.invariants` hold after every step, and in the end all runs finish. Only
the machine moves the clock. By default the test is bounded and always the same.
`KODIAI_TEST_STATEFUL_EXAMPLES=2000` makes it search at random, for that many examples.
"""

import json
import os
import sqlite3
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from types import SimpleNamespace
from typing import Any

import githubkit.cache
import psycopg
import pytest
import tenacity.nap
import time_machine
from django.core.cache import cache
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test import Client
from django_tasks_db.management.commands.db_worker import Worker as QueueWorker
from django_tasks_db.models import DBTaskResult
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from pytest_django import Settings

from reviews import enrichment, service, shutdown
from reviews.github import tokens
from reviews.maintenance import scheduler
from reviews.maintenance.recovery import flush_outbox, sweep
from reviews.models import (
    PENDING_CHECK_RUN,
    CheckRunReport,
    Delivery,
    DeliveryStatus,
    MissedDelivery,
    PeriodicTask,
    Review,
)
from reviews.publishing.check_runs import report_pending
from reviews.runs import runner
from sandbox import Fault, FaultKind, PullRequest, Sandbox, webhook_payload
from telemetry import timeouts
from telemetry.models import Execution, RateLimitEvent
from tests.support.invariants import Memory, check_always, check_at_rest, state
from tests.support.kill_points import IN_A_RUN, IN_A_SWEEP, Killed, Points
from tests.support.published import check_reported_once
from tests.support.webhooks import deliver
from tests.telemetry.stores import default_store

pytestmark = pytest.mark.database

EXAMPLES = int(os.environ.get("KODIAI_TEST_STATEFUL_EXAMPLES") or 0)
START = datetime(2030, 1, 1, tzinfo=UTC)
MAX_EXAMPLE = timedelta(days=10)
"""Time never goes back, not even from one example to the next: the GitHub client keeps what it signed."""
MAX_ROUNDS = 40
"""Rounds, an hour each, in which everything has to come to rest once all faults are over."""

ACTIONS = (
    *("opened", "synchronize", "reopened", "ready_for_review", "asked", "others asked", "mention", "re-run"),
    *("help", "closed"),
)
ROUTES = (
    "*", "pull", "files", "contents", "search", "list_reviews", "create_review", "installation_token",
    "graphql", "update_review", "update_comment", "list_check_runs", "create_check_run", "update_check_run",
    "create_comment", "list_comments", "permission",
)  # fmt: skip
CODE = ("import os\n", "import os\nimport sys\n", "import sys\nvalue = missing\n", "value = 1\n")
"""What the second pull request has in its Python file, one after the other: findings come, go and come back."""
FAULTS: dict[str, dict[str, Any]] = {
    "primary limit": {"kind": FaultKind.PRIMARY_LIMIT, "reset_in": 60},
    "primary limit that is over at once": {"kind": FaultKind.PRIMARY_LIMIT, "reset_in": 1},
    "primary limit beyond KODIAI_MAX_DEFERRAL": {"kind": FaultKind.PRIMARY_LIMIT, "reset_in": 30_000},
    "secondary limit": {"kind": FaultKind.SECONDARY_LIMIT, "retry_after": 90},
    "secondary limit without a hint": {"kind": FaultKind.SECONDARY_LIMIT},
    "server error": {"kind": FaultKind.STATUS, "status": 502},
    "refusal": {"kind": FaultKind.STATUS, "status": 403},
    "not found": {"kind": FaultKind.STATUS, "status": 404},
    "reset": {"kind": FaultKind.RESET},
    "broken JSON": {"kind": FaultKind.BROKEN_JSON},
    "taken, then reset": {"kind": FaultKind.APPLIED_THEN_RESET},
}
POSTS = ("create_review", "update_review", "create_comment", "create_check_run", "update_check_run")
HAPPENINGS = (
    "kill",
    "kill",
    "kill",
    "hand back",
    "stop",
    "bug",
    "database error",
    "taken over",
    "push",
    "force push",
    "close",
)
# Kills are drawn more often than the others.
# A worker that stands still for longer than its lease exactly between its last write and its request to GitHub posts
# nevertheless, since GitHub knows no request that is bound to a claim.
NOT_TAKEN_OVER_AT = ("publishing_at", "posting_at")

indexes = st.integers(0, 9)
pull_indexes = st.integers(0, 2)
interruptions = st.tuples(st.sampled_from(IN_A_RUN), st.sampled_from(HAPPENINGS))
happenings = st.none() | interruptions


class Kodiai(RuleBasedStateMachine):
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
        for model in (Review, Delivery, MissedDelivery, PeriodicTask, DBTaskResult, RateLimitEvent, Execution):
            model.objects.all().delete()
        self.forget_memory()
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

    # Webhooks

    @rule(pull=pull_indexes, action=st.sampled_from(ACTIONS), late=st.booleans())
    def delivery(self, pull: int, action: str, late: bool) -> None:
        """GitHub makes a delivery, which arrives now or later."""
        about, event = self.pulls[pull], "pull_request"
        if action in ("mention", "help"):
            text = "@kodiai please" if action == "mention" else "@kodiai help"
            event, payload = "issue_comment", webhook_payload(about, "created", "issue_comment", comment_body=text)
        elif action == "re-run":
            event, payload = "check_suite", webhook_payload(about, "rerequested", "check_suite")
        elif action == "asked":
            payload = webhook_payload(about, "review_requested")
        elif action == "others asked":
            payload = webhook_payload(about, "review_requested", requested_reviewer="lisa")
        else:
            payload = webhook_payload(about, action)
        made = (event, json.loads(json.dumps(payload)), f"d-{len(self.sent) + len(self.under_way)}")
        if late:
            self.under_way.append(made)
        else:
            self.arrive(*made)

    @precondition(lambda self: self.sent or self.under_way)
    @rule(index=indexes)
    def arrival(self, index: int) -> None:
        """What was under way arrives, or what has arrived is sent again."""
        if index < len(self.under_way):
            self.arrive(*self.under_way.pop(index))
        elif self.sent:
            self.arrive(*self.sent[index % len(self.sent)])

    @rule(pull=pull_indexes)
    def delivery_while_the_web_process_is_killed(self, pull: int) -> None:
        """The process dies before its transaction is committed: nothing was answered, so GitHub's delivery failed."""
        payload = json.loads(json.dumps(webhook_payload(self.pulls[pull], "opened")))
        made = ("pull_request", payload, f"d-{len(self.sent)}-killed")
        self.points.plan("queued", self.kill)
        with pytest.raises(Killed):
            self.arrive(*made)
        assert not Delivery.objects.filter(delivery_id=made[2]).exists()
        self.sent.append(made)

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

    # Work

    @rule(index=indexes, happening=happenings)
    def work(self, index: int, happening: tuple[str, str] | None) -> None:
        """A worker takes one of the tasks that are due. Something may happen to it at one of its points."""
        if happening is not None:
            point, what = happening
            self.points.plan(point, self.to_happen(what, point))
        try:
            self.take_a_task(index)
        except Killed:
            self.note_abandoned()
        finally:
            self.points.forget()
            shutdown._stopping = False
        if happening is not None and happening[0] in ("claimed", "put-back"):
            # What fails between the claim and the attempt, or after it, is put back by nobody: the lease runs out.
            self.note_abandoned()

    @rule(pull=pull_indexes, action=st.sampled_from(ACTIONS[:-1]), happening=interruptions, second=happenings)
    def delivery_and_work(
        self, pull: int, action: str, happening: tuple[str, str], second: tuple[str, str] | None
    ) -> None:
        """A delivery arrives and is worked on at once; where that was interrupted, again after a lease."""
        self.pulls[pull].reopen()
        self.delivery(pull, action, late=False)
        self.work(0, happening)
        self.time.shift(61)
        scheduler.run_due()
        self.time.shift(15)
        self.work(0, second)

    @rule(rounds=st.integers(1, 5))
    def work_on_everything(self, rounds: int) -> None:
        """Workers take what is due until nothing is."""
        while rounds and self.take_a_task(0):
            rounds -= 1

    @rule(seconds=st.sampled_from([1, 5, 15, 61, 301, 3700]))
    def let_time_pass(self, seconds: int) -> None:
        self.time.shift(seconds)

    @rule(happening=st.none() | st.sampled_from(IN_A_SWEEP))
    def periodic_round(self, happening: str | None) -> None:
        """The periodic tasks that are due are run. The process may be killed in the middle."""
        if happening is not None:
            self.points.plan(happening, self.kill)
        try:
            scheduler.run_due()
        except Killed:
            self.note_abandoned()
        finally:
            self.points.forget()

    @rule(what=st.sampled_from(["recover", "the queue forgets", "a new process", "lock", "unlock", "tokens expire"]))
    def circumstances(self, what: str) -> None:
        """The operator has everything put back; or memory, tasks or tokens are lost; or the store is locked."""
        if what == "recover":
            call_command("recover", "--failed", stdout=StringIO())
            assert not Delivery.objects.filter(status=DeliveryStatus.FAILED).exists()
        elif what == "the queue forgets":
            DBTaskResult.objects.all().delete()
        elif what == "a new process":
            self.forget_memory()
        elif what == "tokens expire":
            self.github.expire_tokens()
        else:
            self.locked = what == "lock"

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

    # What happens to a worker

    def to_happen(self, what: str, point: str) -> Callable[[], None]:
        happen: dict[str, Callable[[], None]] = {
            "kill": self.kill,
            "hand back": self.release,
            "stop": shutdown.stop,
            "bug": self.fail(ZeroDivisionError("a bug")),
            "database error": self.fail(OperationalError("the disk is full")),
            "taken over": self.take_over,
            "push": lambda: self.change_and_tell(self.push),
            "force push": lambda: self.change_and_tell(self.force_push),
            "close": lambda: self.change_and_tell(PullRequest.close),
        }
        if what == "taken over" and point in NOT_TAKEN_OVER_AT:
            return lambda: None
        note(f"{what} at {point}")
        return happen[what]

    def kill(self) -> None:
        raise Killed

    def release(self) -> None:
        if not connection.in_atomic_block:  # another connection, and so another thread, would wait for this one
            runner.release()
        raise Killed

    def fail(self, error: Exception) -> Callable[[], None]:
        def fail() -> None:
            raise error

        return fail

    def take_over(self) -> None:
        """The worker stands still for longer than its lease, and others do its work meanwhile."""
        if connection.in_atomic_block:
            return
        running = runner._running
        self.time.shift(61)
        sweep()
        self.time.shift(30)
        self.work_on_everything(3)
        report_pending()
        runner._running = running

    def change_and_tell(self, change: Callable[[PullRequest], Any]) -> None:
        """The pull request of the run changes in the middle of it, and the webhook comes at once."""
        # Where another connection holds the store, which may be the inbox's database too, no webhook is taken.
        if connection.in_atomic_block or self.held or runner._running is None:
            return
        running = runner._running
        pull = next(pull for pull in self.pulls
            if (pull.repository.full_name, pull.number) == (running.repo, running.pr_number))  # fmt: skip
        change(pull)
        self.delivery(self.pulls.index(pull), "closed" if pull.state == "closed" else "synchronize", late=False)

    def push(self, pull: PullRequest) -> None:
        pull.push(self.next_code(pull))

    def force_push(self, pull: PullRequest) -> None:
        pull.force_push(self.next_code(pull))

    def next_code(self, pull: PullRequest) -> dict[str, str]:
        """New code for the pull request that has any; the others get commits without a change."""
        return {"more.py": CODE[len(pull.commits) % len(CODE)]} if pull is self.pulls[1] else {}

    def note_abandoned(self) -> None:
        self.abandoned |= set(Review.objects.exclude(lease_owner="").values_list("pk", "lease_owner"))

    # GitHub

    @rule(pull=pull_indexes, change=st.sampled_from(["push", "force_push", "close"]), told=st.booleans())
    def change(self, pull: int, change: str, told: bool) -> None:
        """Somebody pushes, closes or opens again; Kodiai is told now, or not."""
        if change == "close" and self.pulls[pull].state == "closed":
            change = "reopen"
        if change in ("push", "force_push"):
            getattr(self, change)(self.pulls[pull])
        else:
            getattr(self.pulls[pull], change)()
        if told:
            event = {"close": "closed", "reopen": "reopened"}.get(change, "synchronize")
            self.delivery(pull, event, late=False)

    @rule(route=st.sampled_from(ROUTES), fault=st.sampled_from(sorted(FAULTS)), times=st.sampled_from([1, 2, 3, None]))
    def fault(self, route: str, fault: str, times: int | None) -> None:
        self.github.fail(route, Fault(**FAULTS[fault]), times)

    @rule(resource=st.none() | st.sampled_from(["core", "app", "search"]), seconds=st.sampled_from([1, 60, 3600]))
    def limit(self, resource: str | None, seconds: int) -> None:
        """A limit is exhausted; or GitHub answers well again."""
        if resource is None:
            self.unlimit()
        else:
            self.github.limits[resource].exhaust(seconds)

    def unlimit(self) -> None:
        self.github.clear_faults()
        for limit in self.github.limits.values():
            limit.restore()

    # The machine

    def forget_memory(self) -> None:
        """Every process is started anew: what it had in memory is gone."""
        cache.clear()
        tokens._tokens.clear()

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

    # What is true

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
        """All faults are over: everything that is owed is done in bounded time, and by itself."""
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


@pytest.fixture
def world(github: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Kodiai]:
    """Make machines. Waits move the machine's clock, and what must hold in the middle of a step is looked at there."""
    points = Points(monkeypatch)
    now: list[Kodiai] = []

    def machine() -> Kodiai:
        now[:] = [Kodiai(github, points)]
        return now[0]

    def sleep(seconds: float) -> None:
        now[0].time.shift(seconds)

    # Each client reads the system's certificates anew, which takes longer than a run here, and there is no TLS.
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *args, **kwargs: None)
    # The tokens that githubkit signs in the machine's time are no good in that of other tests.
    monkeypatch.setattr(githubkit.cache.DEFAULT_CACHE_STRATEGY, "_cache", None)
    monkeypatch.setattr(tenacity.nap, "time", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(enrichment, "time", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(timeouts, "SQLITE_BUSY_TIMEOUT_MS", 1)
    monkeypatch.setattr(timeouts, "POSTGRES_TIMEOUT_MS", 5)
    for name in ("record_rate_limit_event", "record_execution"):
        monkeypatch.setattr(service, name, _into_the_store(getattr(service, name), now))
    enrich_author, claim = service.enrich_author, runner.claim

    def enrich_author_once(client: Any, review: Review, pull: Any) -> None:
        stored = Review.objects.get(pk=review.pk)
        if stored.enriched_at is not None and stored.lease_owner == review.lease_owner:
            now[0].broken.append(f"enriched again: {review}")
        enrich_author(client, review, pull)

    def claim_in_time(delivery_pk: int, worker: str) -> Review | None:
        review = claim(delivery_pk, worker)
        if review is not None and review.has_unconfirmed_post:
            until = review.deferred_until
            if until is not None and until > datetime.now(UTC):
                now[0].broken.append(f"claimed {until - datetime.now(UTC)} too early: {review}")
        return review

    monkeypatch.setattr(service, "enrich_author", enrich_author_once)
    monkeypatch.setattr(runner, "claim", claim_in_time)
    return machine


def _into_the_store(record: Callable[..., Any], now: list[Kodiai]) -> Callable[..., Any]:
    def recorded(**values: Any) -> Any:
        with now[0].store():
            return record(**values)

    return recorded


@pytest.mark.ops04
@pytest.mark.ops05
@pytest.mark.django_db(transaction=True)
def test_nothing_is_lost_or_done_twice_in_any_order(
    world: Callable[[], Kodiai], settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.KODIAI_LEASE_SECONDS, settings.KODIAI_SWEEP_SECONDS, settings.KODIAI_MAX_ATTEMPTS = 60, 15, 5
    run_state_machine_as_test(world, settings=profile())
    with capsys.disabled():
        if EXAMPLES:
            sys.stdout.write(f"\n{Kodiai.examples} examples, {Kodiai.steps} steps\n")
    assert Kodiai.steps > Kodiai.examples > 0


def profile() -> settings:
    """Bounded and always the same, or a search at random."""
    common = settings(
        deadline=None, print_blob=True, suppress_health_check=list(HealthCheck), stateful_step_count=25, database=None
    )
    if EXAMPLES:
        return settings(common, max_examples=EXAMPLES, stateful_step_count=50)
    return settings(common, max_examples=15, derandomize=True, phases=set(Phase) - {Phase.explain})
