"""`manage.py verify_telemetry` names each violation, and takes nothing else for one."""

import io
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, connections
from django.utils import timezone
from pytest_django import Settings

from reviews import enrichment
from reviews.findings import Report
from reviews.maintenance import published_words
from reviews.models import Review
from reviews.service import emit_rate_limit_event, record_finished
from sandbox import Fault, FaultKind, PullRequest, Sandbox
from telemetry.models import Conclusion, DegradationPath, Execution, RateLimitEvent
from telemetry.retention import purge
from tests.support.factories import ExecutionFactory, RateLimitEventFactory, ReviewFactory
from tests.support.runs import admit, run
from tests.telemetry.legacy import migrate
from tests.telemetry.stores import new_store

pytestmark = [pytest.mark.database, pytest.mark.django_db, pytest.mark.ops04]

CHECKS = ("complete", "unique", "ranges", "first-write", "published-words", "search-cache")
PARTIAL = "Analysis is partial due to API limits."
DEGRADED = {
    "degradation_path": DegradationPath.SEARCH_RATE_LIMIT, "skipped_queries": 1,
    "conclusion": Conclusion.PARTIAL, "conclusion_reason": "degraded: search-api-rate-limit",
}  # fmt: skip
IDENTITY = {"delivery__delivery_id": "d-1"}


def verify(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Run the command; return its exit status, and its checks by name."""
    output, status = io.StringIO(), 0
    try:
        call_command("verify_telemetry", "--json", *arguments, stdout=output)
    except SystemExit as ended:
        status = int(str(ended.code))
    document = json.loads(output.getvalue())
    assert ["held", "violated", "not enough data"].index(document["verdict"]) == status
    checks = {check["name"]: check for check in document["checks"]}
    assert tuple(checks) == CHECKS
    assert (status == 1) == any(check["violation_count"] for check in checks.values())
    return status, checks


def evidence(name: str, *arguments: str) -> str:
    """The evidence of a check where everything holds."""
    status, checks = verify(*arguments)
    assert status == 0, checks
    return "\n".join(checks[name]["evidence"])


def finished_run(**values: Any) -> Review:
    """A run that has ended and recorded its rows, unless it owes none."""
    values = {"report": Report().to_json(), "execution_recorded_at": None, **values}
    review: Review = ReviewFactory(rate_limit_event_recorded_at=None, **values)
    if review.enriched_at is not None:
        emit_rate_limit_event(review)
    record_finished(review)
    return review


@pytest.fixture
def review() -> Review:
    """The run of the delivery `d-1`; beside it another one, that was degraded."""
    finished_run(**DEGRADED)
    return finished_run(**IDENTITY)


def test_what_runs_leave_holds(review: Review) -> None:
    status, checks = verify()

    assert status == 0
    assert [check["status"] for check in checks.values()] == ["held"] * 6
    assert checks["complete"]["evidence"] == ["2 runs, 4 of their rows found"]
    assert checks["first-write"]["evidence"] == ["4 rows have the digest of what their run stored"]
    output = io.StringIO()
    call_command("verify_telemetry", stdout=output)
    assert output.getvalue().splitlines()[-1] == "Verdict: held"


# Violations


def without_index() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX idx_rate_limit_events_delivery_event")


def write_twice() -> None:
    without_index()
    RateLimitEventFactory(delivery_id="d-1")


def out_of_range() -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("ALTER TABLE rate_limit_events DROP CONSTRAINT rate_limit_events_cache_hit_rate_range")
        else:
            cursor.execute("PRAGMA ignore_check_constraints = ON")
        RateLimitEventFactory(delivery_id="other", cache_hit_rate=1.5)
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = OFF")


def update(model: Any, **values: Any) -> Callable[[], None]:
    return lambda: model.objects.filter(delivery_id="d-1").update(**values)


@pytest.mark.parametrize(
    ("check", "violate", "named"),
    [
        ("complete", lambda: RateLimitEvent.objects.get(delivery_id="d-1").delete(), "no row in rate_limit_events"),
        ("complete", lambda: Execution.objects.get(delivery_id="d-1").delete(), "no row in executions"),
        ("complete", lambda: Review.objects.update(telemetry_enabled=False), "telemetry is off there"),
        ("unique", without_index, "rate_limit_events has no unique index on (delivery_id, event_type)"),
        ("unique", write_twice, "d-1 pull_request.opened has 2 rows"),
        ("unique", lambda: ExecutionFactory(delivery_id="d-1", event_type="push"), "d-1 has a row for push too"),
        ("ranges", out_of_range, "cache_hit_rate is not in 0 to 1"),
        ("ranges", lambda: ExecutionFactory(delivery_id=None, cost_usd=-0.01), "cost_usd is negative"),
        ("ranges", lambda: RateLimitEventFactory(delivery_id=None, degradation_path=""), "has no repository, event"),
        ("first-write", update(RateLimitEvent, cache_hit_rate=0.75), "cache_hit_rate is 0.75, was 0.0"),
        ("first-write", update(Execution, conclusion="timeout"), "conclusion is 'timeout', was 'success'"),
        (
            "first-write",
            update(RateLimitEvent, created_at=timezone.now() + timedelta(hours=1)),
            "after it was recorded",
        ),
        ("published-words", lambda: Review.objects.update(conclusion="success"), "concluded success"),
        (
            "published-words",
            lambda: Review.objects.update(conclusion="partial", conclusion_reason="degraded: search-api-error"),
            "concluded partial, degradation none",
        ),
    ],
)
def test_a_violation_is_named(review: Review, check: str, violate: Callable[[], object], named: str) -> None:
    violate()

    status, checks = verify()

    assert status == 1
    assert named in "\n".join(checks[check]["violations"])


@pytest.mark.parametrize(
    ("renderer", "text", "named"),
    [
        ("summary_body", "no word of it", "was degraded (search-api-rate-limit), and its summary does not say so"),
        ("follow_up_body", PARTIAL, "was not degraded, and its follow-up says so"),
        ("check_summary", PARTIAL, "was not degraded, and its check run says so"),
    ],
)
def test_code_that_says_it_wrongly_is_a_violation(
    review: Review, monkeypatch: pytest.MonkeyPatch, renderer: str, text: str, named: str
) -> None:
    monkeypatch.setattr(published_words, renderer, lambda *args, **options: text)

    status, checks = verify()

    assert status == 1
    assert named in "\n".join(checks["published-words"]["violations"])


def test_what_github_shows_is_read(github: Sandbox, pull: PullRequest) -> None:
    other = pull.repository.open_pull_request(changes={"b.py": "import os\n"}, author="octocat")
    github.fail("search", Fault(FaultKind.STATUS, status=422), times=1)
    for number, each in enumerate((pull, other)):
        run(admit(each, delivery_id=f"d-{number}"))
    assert "2 read on GitHub" in evidence("published-words")

    [said], [not_said] = pull.reviews, other.reviews
    said["body"], not_said["body"] = said["body"].replace(PARTIAL, ""), not_said["body"] + PARTIAL

    found = "\n".join(verify()[1]["published-words"]["violations"])
    assert "d-0 pull_request.opened was degraded (search-api-error), and its review " in found
    assert "d-1 pull_request.opened was not degraded, and its review " in found
    assert verify("--offline")[0] == 0


def test_a_later_run_may_change_what_a_summary_says(github: Sandbox, pull: PullRequest) -> None:
    github.fail("search", Fault(FaultKind.STATUS, status=422), times=1)
    assert run(admit(pull)).conclusion == Conclusion.PARTIAL
    pull.push({"shop.py": "x = 1\n"})
    assert run(admit(pull, "synchronize")).conclusion == Conclusion.SUCCESS
    assert PARTIAL not in pull.reviews[0]["body"]

    assert "1 read on GitHub" in evidence("published-words")


def test_a_review_that_github_refuses_violates_nothing(review: Review, github: Sandbox) -> None:
    assert "0 read on GitHub, 2 not there any more" in evidence("published-words")


def test_a_cache_that_keeps_nothing_is_a_violation(review: Review, settings: Settings) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}

    status, checks = verify()

    assert status == 1
    (violation, *_) = checks["search-cache"]["violations"]
    assert violation == "again: expected a hit with 41, found a miss with 42."
    output = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("verify_telemetry", stdout=output)
    assert violation in output.getvalue()
    assert output.getvalue().splitlines()[-1] == "Verdict: violated"


def test_a_cache_that_confuses_queries_is_a_violation(review: Review, monkeypatch: pytest.MonkeyPatch) -> None:
    key = enrichment._key
    monkeypatch.setattr(enrichment, "_key", lambda kind, repo, *parts: key(kind, repo))

    status, checks = verify()

    assert status == 1
    assert checks["search-cache"]["violations"] == ["changed query: expected a miss with 42, found a hit with 41."]


# No violations


def test_what_is_no_violation_is_counted(review: Review) -> None:
    pending = finished_run()
    RateLimitEvent.objects.filter(delivery_id=pending.delivery.delivery_id).delete()
    Review.objects.filter(pk=pending.pk).update(rate_limit_event_recorded_at=None)
    finished_run(telemetry_enabled=False)
    finished_run(enriched_at=None, loaded_at=None, conclusion=Conclusion.SKIPPED, published_at=None, analysed_at=None)
    RateLimitEventFactory(delivery_id=None)  # of a local run
    RateLimitEventFactory(delivery_id=None, legacy_delivery_id="d-1", cache_hit_rate=0.9)  # adopted
    RateLimitEventFactory(delivery_id="legacy", degradation_path="some-legacy-path")
    long_ago = timezone.now() - timedelta(days=1)
    RateLimitEvent.objects.filter(delivery_id="d-1").update(created_at=long_ago, cache_hit_rate=0.9)

    complete = evidence("complete")
    assert "pending, to be recorded in the next round: rate_limit_events 1; " in complete
    assert "1 runs of repositories that turned telemetry off" in complete
    assert "1 runs that ended before enrichment" in complete
    assert "rate_limit_events: 3 rows with an identity, 1 without (no webhook), 1 duplicates" in evidence("unique")
    assert "1 rows were there before their run began, and stand" in evidence("first-write")


def age(review: Review, days: int) -> None:
    then = timezone.now() - timedelta(days=days)
    Review.objects.filter(pk=review.pk).update(created_at=then, enriched_at=then, finished_at=then)
    for model in (RateLimitEvent, Execution):
        model.objects.filter(delivery_id=review.delivery.delivery_id).update(created_at=then)


def test_a_purge_does_not_look_like_a_loss(review: Review) -> None:
    age(review, days=40)
    age(finished_run(), days=20)
    purge(timezone.now() - timedelta(days=30))

    assert "2 rows are missing from before " in evidence("complete")

    # Now one goes that is younger than what is left.
    age(lost := finished_run(), days=10)
    RateLimitEvent.objects.get(delivery_id=lost.delivery.delivery_id).delete()
    assert verify()[0] == 1
    assert verify("--since", "5d")[0] == 0


# Not enough data


def all_pending() -> None:
    ReviewFactory(rate_limit_event_recorded_at=None, execution_recorded_at=None, report=Report().to_json())


def all_purged() -> None:
    age(finished_run(), days=40)
    purge(timezone.now())


@pytest.mark.parametrize("data", [lambda: None, all_pending, all_purged, finished_run])
def test_without_data_nothing_is_proved(data: Callable[[], object]) -> None:
    data()
    arguments = ["--since", "2100-01-01"] if data is finished_run else []

    assert verify(*arguments)[0] == 2


def test_a_store_of_its_own_is_compared_too(review: Review, tmp_path: Path) -> None:
    Review.objects.exclude(pk=review.pk).delete()
    with new_store(tmp_path, "telemetry") as store:
        # The mark `django_db` lets no connection be opened to a database that comes and goes.
        connections["telemetry"].connect()
        with pytest.raises(CommandError, match="The database cannot be read, so nothing is proved") as unreadable:
            call_command("verify_telemetry")
        assert unreadable.value.returncode == 2

        migrate(store)
        assert verify()[0] == 1
        same = {"delivery_id": "d-1", "repo": review.repo, "pr_number": review.pr_number}
        RateLimitEventFactory(**same, cache_hit_rate=0.0)
        ExecutionFactory(**same)
        assert "1 runs, 2 of their rows found" in evidence("complete")
        assert len(store.rows("rate_limit_events")) == 1


@pytest.mark.parametrize("since", ["", "yesterday", "7", "2026-13-01"])
def test_a_beginning_that_is_none_is_refused(since: str) -> None:
    with pytest.raises(CommandError, match="nor a date, such as 2026-11-01"):
        call_command("verify_telemetry", f"--since={since}")
