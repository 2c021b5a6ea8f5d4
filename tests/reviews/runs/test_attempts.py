"""Attempts of runs are recorded with their calls, and no run depends on it."""

import json

import pytest
from django.core.cache import cache
from django.db import DatabaseError

from reviews.github import call_log
from reviews.github.call_log import logged
from reviews.models import Attempt, AttemptOutcome
from reviews.runs import attempts
from sandbox import Fault, FaultKind, PullRequest, Sandbox
from telemetry.models import Conclusion, RateLimitEvent
from tests.support.runs import admit, run

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def test_each_attempt_is_kept_with_its_calls(github: Sandbox, pull: PullRequest) -> None:
    delivery = admit(pull)
    github.fail("pull", Fault(FaultKind.PRIMARY_LIMIT, reset_in=60))
    run(delivery)
    cache.clear()
    github.fail("files", Fault(FaultKind.STATUS, status=503))
    assert run(delivery).conclusion == Conclusion.SUCCESS

    first, second = Attempt.objects.order_by("pk")
    assert (first.outcome, second.outcome) == (AttemptOutcome.DEFERRED, AttemptOutcome.FINISHED)
    assert "core limit is exhausted" in first.reason
    assert first.calls[-1]["status"] in (403, 429)
    assert first.calls[-1]["endpoint"] == f"/repos/{pull.repository.full_name}/pulls/{pull.number}"
    assert second.calls_made == len(second.calls)
    shown = [(call["method"], call["endpoint"], call.get("status")) for call in second.calls]
    files = [status for _, path, status in shown if path.endswith("/files")]
    assert files == [503, 200]
    assert ("GET", "/search/issues", 200) in shown
    assert any(method == "POST" and path.endswith("/reviews") for method, path, _ in shown)
    assert {call["resource"] for call in second.calls} >= {"core", "search"}
    assert all(call["remaining"] >= 0 for call in second.calls if call["endpoint"] == "/search/issues")


def test_nothing_secret_is_in_a_call(pull: PullRequest) -> None:
    run(admit(pull))

    kept = json.dumps(Attempt.objects.get().calls)
    assert "?" not in kept
    assert "q=" not in kept
    assert "ghs_" not in kept
    with call_log.collected() as log, logged("GET", "https://x.test/repos/ghs_0123456789abcdefghij/a?token=1", "core"):
        pass
    assert log.calls[0].endpoint == "/repos/[redacted]/a"


def test_a_failing_record_stops_no_run(
    pull: PullRequest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object, **values: object) -> None:
        raise DatabaseError("disk full")

    monkeypatch.setattr(Attempt.objects, "create", fail)

    assert run(admit(pull)).conclusion == Conclusion.SUCCESS
    assert RateLimitEvent.objects.count() == 1
    assert not Attempt.objects.exists()
    assert "attempt not recorded" in caplog.text


def test_calls_and_attempts_are_bounded(github: Sandbox, pull: PullRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "MAX_ATTEMPTS", 2)
    github.fail("pull", Fault(FaultKind.PRIMARY_LIMIT, reset_in=60), times=3)
    delivery = admit(pull)
    for _ in range(3):
        run(delivery)
        cache.clear()
    kept = list(Attempt.objects.values_list("outcome", flat=True))
    assert kept == [AttemptOutcome.DEFERRED] * 2

    with call_log.collected() as log:
        for _ in range(call_log.MAX_CALLS + 5):
            with logged("GET", "/rate_limit", "core"):
                pass
    assert (len(log.calls), log.made) == (call_log.MAX_CALLS, call_log.MAX_CALLS + 5)
    delivery.delete()
    assert not Attempt.objects.exists()
