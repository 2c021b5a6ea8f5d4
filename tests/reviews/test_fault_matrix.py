"""Each call of a run to GitHub meets each fault, once and each time; docs/verification/fault-matrix.md is the result.

A cell is a run that goes on as a worker lets it go on: deferred by a limit or an outage it is processed again when its
time has come, and after a failed attempt it is tried again. `make fault-matrix` runs every cell and writes the table;
the tests run a tenth of the cells, in which each call meets faults and each fault meets calls, and fail where they see
something else than the table says.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import groupby
from threading import Event

import pytest
import time_machine
from django.conf import settings as project
from django.core.cache import cache
from django.utils import timezone
from django_tasks_db.models import DBTaskResult
from pytest_django import Settings

from reviews import enrichment
from reviews.github import connection, tokens
from reviews.models import Delivery, DeliveryStatus, GitHubOutage, Review
from reviews.publishing.check_runs import external_id, report_pending
from reviews.publishing.markdown import RESOLVED
from reviews.publishing.publish import marker
from sandbox import Fault, FaultKind, PullRequest, Sandbox, create_merge_group
from telemetry.models import Conclusion, Execution, RateLimitEvent
from tests.support.fault_matrix import CALLS, CELLS, OF_CHECK_RUNS, TABLE, Call, Cells, committed, rendered, taken
from tests.support.published import check_reported_once
from tests.support.runs import admit, end_waits, process, report_of
from tests.support.shop import AFTER, BEFORE
from tests.support.waiting import time_out_at_faults

pytestmark = pytest.mark.django_db

WRITE = bool(os.environ.get("KODIAI_TEST_WRITE_FAULT_MATRIX"))
FIXED = AFTER.replace("import os\n\n\n", "")
MAX_ROUNDS = 30
"""More than any run may need before it ends."""

SPREAD = {
    (call.name, name) for row, call in enumerate(CALLS) for at, name in enumerate(call.faults) if (row + at) % 10 == 1
}
"""A tenth of the cells: from one call to the next the faults that it meets move on by one."""
CHOSEN = [(call, name) for call, name in CELLS if WRITE or (call.name, name) in SPREAD]


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


@pytest.mark.sampled(10)
@pytest.mark.parametrize(("call", "name"), CHOSEN, ids=lambda value: value if isinstance(value, str) else value.name)
def test_every_fault_ends_the_run_clearly_or_it_goes_on(
    github: Sandbox, pull: PullRequest, call: Call, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "time-out":
        time_out_at_faults(github, monkeypatch)

    seen = tuple(_cell(github, pull, call, name, times) for times in (1, None))

    if WRITE:
        SEEN[call.name, name] = seen
    else:
        assert COMMITTED.get((call.name, name)) == seen, (
            f"{TABLE.name} says something else; make fault-matrix writes it"
        )


def test_the_table_shows_every_call_with_every_fault() -> None:
    if WRITE:
        TABLE.write_text(rendered(COMMITTED | SEEN), encoding="utf-8")
    else:
        assert {name for _, name in CHOSEN} == {name for _, name in CELLS}
        assert {call.name for call, _ in CHOSEN} == {call.name for call in CALLS}
        assert list(COMMITTED) == [(call.name, name) for call, name in CELLS]
        assert TABLE.read_text(encoding="utf-8") == rendered(COMMITTED), "make fault-matrix writes it"


# One cell


def _cell(github: Sandbox, pull: PullRequest, call: Call, name: str, times: int | None) -> str:
    """Run a review whose call meets the fault that many times (None: each time); check what must hold; say what was."""
    fault = taken(name, call.faults[name]) if call.taken else call.faults[name]
    fault = replace(fault, reached=Event(), released=Event())
    github.clear_faults()
    for limit in github.limits.values():
        limit.restore()
    github.graphql_available = call.route != "tree" and (call.route != "contents" or call.after == 0)
    Delivery.objects.all().delete()
    GitHubOutage.objects.all().delete()
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
    if call.merge_group:
        delivery = admit(create_merge_group(pull), "checks_requested", event="merge_group")
    else:
        delivery = admit(pull, **({"installation": None} if call.route == "repository_installation" else {}))
    if call.route == "list_reviews":
        github.fail("create_review", Fault(FaultKind.APPLIED_THEN_RESET))
    if call.route == "list_check_runs":
        github.fail("create_check_run", Fault(FaultKind.APPLIED_THEN_RESET))
    github.fail(call.route, fault, times, call.after)
    try:
        steps = _live(github, delivery)
        reported = _report_later(github, delivery) if call.route in OF_CHECK_RUNS else []
    finally:
        fault.release()
    review = Review.objects.select_related("delivery").get(delivery=delivery)
    _check(github, pull, review, call)
    return ", ".join([*steps, _outcome(github, review, call), *reported])


def _report_later(github: Sandbox, delivery: Delivery) -> list[str]:
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
        elif GitHubOutage.objects.exists():
            # Waits differ by chance.
            steps.append("deferred until GitHub is back")
        else:
            steps.append(f"deferred {round((review.deferred_until - now).total_seconds() / 60)} min")
        _let_time_pass(review)
    else:
        pytest.fail(f"the run neither ended nor went on: {review.delivery.failure}")
    return [step + (", again and again" if len(list(times)) > 1 else "") for step, times in groupby(steps)]


def _let_time_pass(review: Review) -> None:
    """As if the run's time had come: limits that were known are over, and it has been deferred for longer."""
    cache.clear()
    if review.deferred_since is not None:
        waited = max(review.deferred_until - timezone.now(), timedelta())
        Review.objects.filter(pk=review.pk).update(deferred_since=review.deferred_since - waited)


def _check(github: Sandbox, pull: PullRequest, review: Review, call: Call) -> None:
    """What must hold for every run that has ended, whatever GitHub did."""
    ours = [kept for kept in pull.reviews if marker(review) in kept["body"]]
    assert len(ours) <= 1, "nothing is published twice"
    assert len(pull.reviews) <= 1, "one review is enough"
    check_reported_once([pull])
    if review.conclusion in (Conclusion.SUCCESS, Conclusion.PARTIAL):
        # None: GitHub refused the edit of the summary, and nothing was new; or a merge group, which has no review.
        assert review.github_review_id in (None, *(kept["id"] for kept in ours))
        assert review.github_review_id is not None or call.follow_up or call.merge_group
        assert not (review.is_merge_group and ours)
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
    ways.append("published" if review.published_at else "reported by its check run alone")
    if call.follow_up:
        gone = any(comment["body"].startswith(RESOLVED) for comment in pull_of(review, github).review_comments)
        ways.append("comment marked as gone" if gone else "thread left as it was")
    if review.report["left_out"]:
        ways.append(f"{len(review.report['left_out'])} file left out")
    if review.report["config_problems"]:
        ways.append("with the defaults, and said so")
    if review.conclusion == Conclusion.PARTIAL:
        ways.append(f"partial ({review.conclusion_reason})")
    return ", ".join(ways)


SEEN: Cells = {}
COMMITTED = committed()
