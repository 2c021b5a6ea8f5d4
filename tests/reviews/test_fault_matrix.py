"""Each call of a run to GitHub meets each fault, once and each time; docs/verification/fault-matrix.md is the result.

A cell is a run that goes on as a worker lets it go on: put off by a limit it is processed again when its time has come,
and after a failed attempt it is tried again. `make fault-matrix` writes the table; the tests fail where it differs.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import groupby
from math import ceil
from pathlib import Path
from threading import Event

import httpx
import pytest
import time_machine
from django.conf import settings as project
from django.core.cache import cache
from django.utils import timezone
from django_tasks_db.models import DBTaskResult
from pytest_django import Settings

from reviews import enrichment
from reviews.github import connection, tokens
from reviews.models import Delivery, DeliveryStatus, Review
from reviews.publishing.check_runs import external_id, report_pending
from reviews.publishing.markdown import RESOLVED
from reviews.publishing.publish import marker
from reviews.runs.runner import process
from sandbox import Fault, FaultKind, PullRequest, Sandbox
from telemetry.models import Conclusion, Execution, RateLimitEvent
from tests.support.published import check_reported_once
from tests.support.runs import admit, end_waits, report_of
from tests.support.shop import AFTER, BEFORE

pytestmark = pytest.mark.django_db

TABLE = Path(project.BASE_DIR) / "docs" / "verification" / "fault-matrix.md"
WRITE = bool(os.environ.get("KODIAI_TEST_WRITE_FAULT_MATRIX"))
FIXED = AFTER.replace("import os\n\n\n", "")
MAX_ROUNDS = 30
"""More than any run may need before it ends."""

# Faults


def _wrong_types() -> dict[str, object]:
    names = "id token expires_at head base filename total_count type content data body user state"
    names += " external_id app check_runs"
    return {name: [{}] for name in names.split()}


LIMITS = {
    "primary limit, 403": Fault(FaultKind.PRIMARY_LIMIT, reset_in=600),
    "primary limit, 429": Fault(FaultKind.PRIMARY_LIMIT, status=429, reset_in=600),
    "secondary limit with `retry-after`, 403": Fault(FaultKind.SECONDARY_LIMIT, retry_after=300),
    "secondary limit with `retry-after`, 429": Fault(FaultKind.SECONDARY_LIMIT, status=429, retry_after=300),
    "secondary limit without a hint, 403": Fault(FaultKind.SECONDARY_LIMIT),
    "secondary limit without a hint, 429": Fault(FaultKind.SECONDARY_LIMIT, status=429),
}
FAILURES = {
    "500": Fault(FaultKind.STATUS, status=500),
    "502": Fault(FaultKind.STATUS, status=502),
    "time-out": Fault(FaultKind.TIMEOUT),
    "reset": Fault(FaultKind.RESET),
}
SHAPES = {
    "truncated JSON": Fault(FaultKind.BROKEN_JSON),
    "`null`": Fault(FaultKind.WRONG_JSON, body=None),
    "a list of numbers": Fault(FaultKind.WRONG_JSON, body=[1, 2, 3]),
    "a string": Fault(FaultKind.WRONG_JSON, body="fine"),
    "`{}`": Fault(FaultKind.WRONG_JSON, body={}),
    "`[{}]`": Fault(FaultKind.WRONG_JSON, body=[{}]),
    "wrong types": Fault(FaultKind.WRONG_JSON, body=_wrong_types()),
    "wrong types in a list": Fault(FaultKind.WRONG_JSON, body=[_wrong_types()]),
}
REFUSALS = {str(status): Fault(FaultKind.STATUS, status=status) for status in (401, 403, 404, 409, 422, 451)}
EVERY_FAULT = {**LIMITS, **FAILURES, **SHAPES, **REFUSALS}
OF_GRAPHQL = {"RATE_LIMITED, 200": Fault(FaultKind.GRAPHQL_RATE_LIMITED, reset_in=600)}


def _taken(name: str, fault: Fault) -> Fault:
    """The fault in the answer of a request that GitHub has acted on."""
    if name == "reset":
        return Fault(FaultKind.APPLIED_THEN_RESET)
    if name == "time-out":
        return Fault(FaultKind.APPLIED_THEN_DELAYED)
    body: object = fault.body
    headers = {}
    if name in LIMITS or fault.kind is FaultKind.STATUS:
        body = {"message": "You have exceeded a secondary rate limit" if name in LIMITS else "No"}
    if fault.kind is FaultKind.PRIMARY_LIMIT:
        headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(ceil(timezone.now().timestamp()) + 600)}
    if fault.retry_after:
        headers = {"retry-after": str(fault.retry_after)}
    if fault.kind is FaultKind.BROKEN_JSON:
        body = b'{"id": 1, "node_id": "MDEx'
    status = fault.status or (403 if name in LIMITS else 200)
    return Fault(FaultKind.APPLIED_THEN_REPLACED, status=status, body=body, headers=headers)


# Calls


@dataclass(frozen=True)
class Call:
    """A call of a run. `after` calls of its route come first and are answered well."""

    name: str
    route: str
    faults: dict[str, Fault] = field(default_factory=lambda: EVERY_FAULT)
    after: int = 0
    taken: bool = False
    """GitHub acts on the call; the answer is at fault."""
    follow_up: bool = False
    """It is a call of a later review of a pull request, in which a finding is gone and nothing is new."""
    usual: int = 1
    """Calls of its route where there is no fault, those before it included."""


CALLS = [
    Call("The installation, where the webhook did not tell", "repository_installation"),
    Call("A token", "installation_token"),
    Call("The pull request", "pull"),
    Call("Its files", "files"),
    Call("`.kodiai.yml`", "contents"),
    Call("Search", "search"),
    Call("The files' contents, by GraphQL", "graphql", {**OF_GRAPHQL, **EVERY_FAULT}),
    Call("A file's content by REST, where GraphQL is unavailable", "contents", after=1, usual=3),
    Call("The review", "create_review"),
    Call("The review, when GitHub has taken it and the answer is at fault", "create_review", taken=True),
    Call("The list of reviews, after a post of unknown outcome", "list_reviews"),
    Call(
        "The conversation, before a later review",
        "graphql",
        {**OF_GRAPHQL, **EVERY_FAULT},
        after=1,
        follow_up=True,
        usual=3,
    ),
    Call("The summary, brought up to date by a later review", "update_review", follow_up=True),
    Call(
        "The summary, when GitHub has taken it and the answer is at fault", "update_review", taken=True, follow_up=True
    ),
    Call("A thread that is to be resolved", "graphql", {**OF_GRAPHQL, **EVERY_FAULT}, after=2, follow_up=True, usual=3),
    Call("A comment on a finding that is gone", "update_comment", follow_up=True),
    Call("The check run", "create_check_run"),
    Call("The check run, when GitHub has taken it and the answer is at fault", "create_check_run", taken=True),
    Call("The list of check runs, after a post of unknown outcome", "list_check_runs"),
]
OF_CHECK_RUNS = ("create_check_run", "list_check_runs")
CELLS = [(call, name) for call in CALLS for name in call.faults]
FAST = ("primary limit, 403", "reset", "`{}`", "403")
"""A fault of each kind. With the others the matrix takes minutes."""


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(webhook_secret=project.KODIAI_GITHUB_WEBHOOK_SECRET[0]) as box:
        yield box


@pytest.fixture(scope="module")
def pull(box: Sandbox) -> PullRequest:
    box.merged_pull_requests["octo/demo", "mona"] = 4
    # What the engines do is not asked here: the one that finds something is enough, a thousand times.
    done = "engines: {disable: [secrets, typos]}"
    repo = box.create_repository("octo/demo", files={"shop.py": BEFORE, ".kodiai.yml": done})
    return repo.open_pull_request(changes={"shop.py": AFTER}, author="mona", author_association="CONTRIBUTOR")


@pytest.fixture
def github(box: Sandbox, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    settings.KODIAI_GITHUB_API_URL = box.url
    settings.KODIAI_GITHUB_APP_ID = str(box.app_id)
    settings.KODIAI_GITHUB_APP_SLUG = box.app_slug
    settings.KODIAI_GITHUB_PRIVATE_KEY = box.private_key
    settings.KODIAI_MAX_ATTEMPTS = 2
    settings.KODIAI_MAX_DEFERRAL = 900
    monkeypatch.setattr(connection, "BACKOFF", 0)
    monkeypatch.setattr(enrichment, "UNHINTED_WAIT", 0)
    return box


@pytest.mark.parametrize(
    ("call", "name"),
    [pytest.param(call, name, marks=() if name in FAST else pytest.mark.slow) for call, name in CELLS],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_every_fault_ends_the_run_clearly_or_it_goes_on(
    github: Sandbox, pull: PullRequest, call: Call, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "time-out":
        monkeypatch.setattr(connection, "TIMEOUT", httpx.Timeout(0.25, connect=5))

    seen = tuple(_cell(github, pull, call, name, times) for times in (1, None))

    if WRITE:
        SEEN[call.name, name] = seen
    else:
        assert COMMITTED.get((call.name, name)) == seen, (
            f"{TABLE.name} says something else; make fault-matrix writes it"
        )


def test_the_table_shows_every_call_with_every_fault() -> None:
    if WRITE:
        TABLE.write_text(_rendered(SEEN), encoding="utf-8")
    else:
        assert list(COMMITTED) == [(call.name, name) for call, name in CELLS]
        assert TABLE.read_text(encoding="utf-8") == _rendered(COMMITTED), "make fault-matrix writes it"


# One cell


def _cell(github: Sandbox, pull: PullRequest, call: Call, name: str, times: int | None) -> str:
    """Run a review whose call meets the fault that many times (None: each time); check what must hold; say what was."""
    fault = _taken(name, call.faults[name]) if call.taken else call.faults[name]
    fault = replace(fault, reached=Event(), released=Event())
    github.clear_faults()
    for limit in github.limits.values():
        limit.restore()
    github.graphql_available = call.route != "contents" or call.after == 0
    Delivery.objects.all().delete()
    for said in (pull.reviews, pull.review_comments, pull.threads):
        said.clear()
    pull.push({"shop.py": AFTER})
    cache.clear()
    if call.follow_up:
        process(admit(pull).pk)
        assert len(pull.review_comments) == 3
        pull.push({"shop.py": FIXED})
    github.reset_calls()
    pull.repository.check_runs.clear()
    cache.clear()
    tokens._tokens.clear()
    delivery = admit(pull, **({"installation": None} if call.route == "repository_installation" else {}))
    if call.route == "list_reviews":
        github.fail("create_review", Fault(FaultKind.APPLIED_THEN_RESET))
    if call.route == "list_check_runs":
        github.fail("create_check_run", Fault(FaultKind.APPLIED_THEN_RESET))
    github.fail(call.route, fault, times, call.after)
    try:
        steps = _live(github, delivery)
        told = _tell(github, delivery) if call.route in OF_CHECK_RUNS else []
    finally:
        fault.release()
    review = Review.objects.select_related("delivery").get(delivery=delivery)
    _check(github, pull, review)
    return ", ".join([*steps, _outcome(github, review, call), *told])


def _tell(github: Sandbox, delivery: Delivery) -> list[str]:
    """Report the check run of a finished run, five hours later each time, until it is reported or abandoned.

    Return what became of it, in words.
    """
    rounds_deferred = 0
    now = timezone.now()
    for rounds in range(MAX_ROUNDS):
        review = Review.objects.get(delivery=delivery)
        assert review.delivery.status == DeliveryStatus.DONE, "the run has ended, whatever becomes of its check run"
        due_at = report_of(review).due_at
        if due_at is None:
            break
        rounds_deferred += 1
        cache.clear()
        with time_machine.travel(now + (rounds + 1) * timedelta(hours=5)):
            assert due_at < timezone.now(), "it is due within five hours"
            report_pending()
    else:
        pytest.fail("the check run is neither reported nor abandoned")
    deferred = ["deferred" + (", again and again" if rounds_deferred > 1 else "")] if rounds_deferred else []
    looked = ["looked for"] if github.count("list_check_runs") else []
    steps = [*deferred, *looked, "reported" if report_of(review).reported_at else "abandoned"]
    return [f"its check run {steps[0]}", *steps[1:]]


def _live(github: Sandbox, delivery: Delivery) -> list[str]:
    """Process a delivery until its run ends, as a worker does; return what happened before the end, in words."""
    steps: list[str] = []
    attempts = 0
    for _ in range(MAX_ROUNDS):
        enriched = Review.objects.filter(delivery=delivery, enriched_at__isnull=False).exists()
        searches = github.count("search")
        now = timezone.now()
        end_waits()
        process(delivery.pk)
        review = Review.objects.select_related("delivery").get(delivery=delivery)
        assert review.lease_owner == "", "nothing is left leased"
        assert not enriched or github.count("search") == searches, "Search is not asked again after its outcome"
        if review.finished_at is not None:
            break
        assert review.delivery.status == DeliveryStatus.QUEUED
        assert review.deferred_until is not None
        assert DBTaskResult.objects.filter(run_after=review.deferred_until).exists(), "a task waits for its time"
        if review.attempts > attempts:
            attempts = review.attempts
            steps.append("failed attempt")
        else:
            steps.append(f"deferred {round((review.deferred_until - now).total_seconds() / 60)} min")
        _let_time_pass(review)
    else:
        pytest.fail(f"the run neither ended nor went on: {review.delivery.failure}")
    return [step + (", again and again" if len(list(times)) > 1 else "") for step, times in groupby(steps)]


def _let_time_pass(review: Review) -> None:
    """As if the run's time had come: limits that were known are over, and it has been deferred for longer."""
    assert review.deferred_until is not None
    cache.clear()
    if review.deferred_since is not None:
        waited = max(review.deferred_until - timezone.now(), timedelta())
        Review.objects.filter(pk=review.pk).update(deferred_since=review.deferred_since - waited)


def _check(github: Sandbox, pull: PullRequest, review: Review) -> None:
    """What must hold for every run that has ended, whatever GitHub did."""
    ours = [kept for kept in pull.reviews if marker(review) in kept["body"]]
    assert len(ours) <= 1, "nothing is published twice"
    assert len(pull.reviews) <= 1, "one review is enough"
    check_reported_once([pull])
    if review.conclusion in (Conclusion.SUCCESS, Conclusion.PARTIAL):
        assert len(ours) == 1
        assert review.github_review_id == ours[0]["id"]
    else:
        assert review.conclusion_reason, "a run that published nothing says why"
    assert pull.comments == [], "the pull request gets no noise"
    check_runs = [kept["external_id"] for kept in pull.repository.check_runs]
    assert len(check_runs) == check_runs.count(external_id(review)) <= 1, "no check run is there twice"
    assert report_of(review).reported_at is None or check_runs, "what is said to be reported is there"
    failed = review.conclusion in (Conclusion.ERROR, Conclusion.TIMEOUT)
    assert review.delivery.status == (DeliveryStatus.FAILED if failed else DeliveryStatus.DONE)
    identity = {"delivery_id": review.delivery.delivery_id, "event_type": review.delivery.event_type}
    assert RateLimitEvent.objects.filter(**identity).count() == (review.enriched_at is not None)
    assert Execution.objects.filter(**identity).count() == 1
    assert github.count("search") <= 2, "Search has one retry"
    assert not Review.objects.exclude(lease_owner="").exists()


def pull_of(review: Review, github: Sandbox) -> PullRequest:
    return github.repository(review.repo).pulls[review.pr_number]


def _outcome(github: Sandbox, review: Review, call: Call) -> str:
    """How the run ended, in a few words."""
    if review.conclusion not in (Conclusion.SUCCESS, Conclusion.PARTIAL):
        reason = review.conclusion_reason.replace(github.url, "")
        reason = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "…", reason)
        reason = re.sub(r"[0-9a-f]{40}|(?<=/reviews/)\d+", "…", reason)
        return f"{review.conclusion}: “{reason}”"
    ways = []
    if github.count("list_reviews") and call.route != "list_reviews":
        ways.append("looked for it")
    elif github.count(call.route) > call.usual and call.route not in OF_CHECK_RUNS:
        ways.append("asked again")
    if call.route == "graphql" and github.count("contents") > 1:
        ways.append("files by REST")
    if call.route == "installation_token" and not github.count("create_check_run"):
        ways.append("no check run asked for")
    if github.count("review_comments"):
        ways.append("by REST")
    ways.append("published")
    if call.follow_up:
        gone = any(comment["body"].startswith(RESOLVED) for comment in pull_of(review, github).review_comments)
        ways.append("comment marked as gone" if gone else "thread left as it was")
    assert review.report is not None
    if review.report["left_out"]:
        ways.append(f"{len(review.report['left_out'])} file left out")
    if review.report["config_problems"]:
        ways.append("with the defaults, and said so")
    if review.conclusion == Conclusion.PARTIAL:
        ways.append(f"partial ({review.conclusion_reason})")
    return ", ".join(ways)


# The table

HEAD = """# What Kodiai does when GitHub fails

Written by `make fault-matrix` from what a run of the tests saw (`tests/reviews/test_fault_matrix.py`); the tests fail
where this page says something else. A call meets a fault once, or each time that it is made. In these runs
`KODIAI_MAX_ATTEMPTS` is 2 and `KODIAI_MAX_DEFERRAL` 15 minutes; primary limits reset after 10 minutes, and
`retry-after` says 5. A deferred check run is retried for a day.

In every cell: at most one review on the pull request, one check run, no comment outside of the review, and none twice;
one row in `executions`; one row in `rate_limit_events` if the author was looked up, with or without an answer, else
none; at most two calls to Search, and none once its outcome is stored; no lease left behind; the delivery `done`, or
`failed` where it says error.
"""

SAME = "the same"
Cells = dict[tuple[str, str], tuple[str, ...]]


def _rendered(cells: Cells) -> str:
    """The page: a table for each call, in which faults of the same consequence share a row."""
    parts = [HEAD]
    for call in CALLS:
        rows: dict[tuple[str, ...], list[str]] = {}
        for name in call.faults:
            rows.setdefault(cells[call.name, name], []).append(name)
        lines = [f"## {call.name}", "", "| fault | once | each time |", "| --- | --- | --- |"]
        for (once, ever), names in rows.items():
            lines.append(f"| {'; '.join(names)} | {once} | {SAME if ever == once else ever} |")
        parts.append("\n".join([*lines, ""]))
    return "\n".join(parts)


def _committed() -> Cells:
    cells: Cells = {}
    call = ""
    for line in TABLE.read_text(encoding="utf-8").splitlines() if TABLE.exists() else ():
        if line.startswith("## "):
            call = line.removeprefix("## ")
        elif line.startswith("| ") and not line.startswith(("| fault", "| ---")):
            names, once, ever = line.removeprefix("| ").removesuffix(" |").split(" | ")
            cells.update({(call, name): (once, once if ever == SAME else ever) for name in names.split("; ")})
    order = [(call.name, name) for call, name in CELLS]
    return {key: cells[key] for key in sorted(cells, key=lambda key: order.index(key) if key in order else -1)}


SEEN: Cells = {}
COMMITTED = _committed()
