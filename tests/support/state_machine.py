"""What may happen to Kodiai in any order: deliveries, kills, pushes, limits, locks, time that passes."""

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django_tasks_db.models import DBTaskResult
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from reviews import shutdown
from reviews.maintenance import scheduler
from reviews.maintenance.recovery import sweep
from reviews.models import Delivery, DeliveryStatus
from reviews.publishing.check_runs import report_pending
from reviews.runs import runner
from sandbox import Fault, FaultKind, PullRequest, webhook_payload
from tests.support.kill_points import IN_A_RUN, IN_A_SWEEP, Killed
from tests.support.runs import forget_memory
from tests.support.state_world import CODE, World

ACTIONS = (
    *("opened", "synchronize", "reopened", "ready_for_review", "asked", "others asked", "mention", "re-run"),
    *("help", "closed"),
)
ROUTES = (
    "*", "pull", "files", "contents", "search", "list_reviews", "create_review", "installation_token",
    "graphql", "update_review", "update_comment", "list_check_runs", "create_check_run", "update_check_run",
    "create_comment", "list_comments", "permission",
)  # fmt: skip
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
HAPPENINGS = (
    *("kill", "kill", "kill"),  # Drawn more often than the others.
    *("hand back", "stop", "bug", "database error", "taken over", "push", "force push", "close"),
)
# A worker that stands still for longer than its lease exactly between its last write and its request to GitHub posts
# nevertheless, since GitHub knows no request that is bound to a claim.
NOT_TAKEN_OVER_AT = ("publishing_at", "posting_at")

indexes = st.integers(0, 9)
pull_indexes = st.integers(0, 2)
interruptions = st.tuples(st.sampled_from(IN_A_RUN), st.sampled_from(HAPPENINGS))
happenings = st.none() | interruptions


class Kodiai(World):
    """What may happen to it, in any order."""

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
            forget_memory()
        elif what == "tokens expire":
            self.github.expire_tokens()
        else:
            self.locked = what == "lock"

    # What happens to a worker

    def to_happen(self, what: str, point: str) -> Callable[[], None]:
        happen: dict[str, Callable[[], None]] = {
            "kill": self.kill,
            "hand back": self.release,
            "stop": shutdown.stop,
            "bug": self.fail(ZeroDivisionError("a bug")),
            "database error": self.fail(OperationalError("the disk is full")),
            "taken over": self.take_over,
            "push": lambda: self.change_and_send(self.push),
            "force push": lambda: self.change_and_send(self.force_push),
            "close": lambda: self.change_and_send(PullRequest.close),
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

    def change_and_send(self, change: Callable[[PullRequest], Any]) -> None:
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

    # GitHub

    @rule(pull=pull_indexes, change=st.sampled_from(["push", "force_push", "close"]), reported=st.booleans())
    def change(self, pull: int, change: str, reported: bool) -> None:
        """Somebody pushes, closes or opens again; its event comes now, or not."""
        if change == "close" and self.pulls[pull].state == "closed":
            change = "reopen"
        if change in ("push", "force_push"):
            getattr(self, change)(self.pulls[pull])
        else:
            getattr(self.pulls[pull], change)()
        if reported:
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
