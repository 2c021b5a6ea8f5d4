"""Any events in any order: nothing is lost, nothing is published twice, every run has its telemetry rows.

By default the test is bounded and always the same. `KODIAI_TEST_STATEFUL_EXAMPLES=2000` makes it search at random, for
that many examples.
"""

import os
import ssl
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import githubkit.cache
import pytest
import tenacity.nap
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from pytest_django import Settings

from reviews import enrichment, service
from reviews.models import Review
from reviews.runs import runner
from sandbox import Sandbox
from telemetry import timeouts
from tests.support.kill_points import Points
from tests.support.state_machine import Kodiai

pytestmark = pytest.mark.database

EXAMPLES = int(os.environ.get("KODIAI_TEST_STATEFUL_EXAMPLES") or 0)


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
    # Three in the fast tier, ten in its thorough profile.
    return settings(
        common, max_examples=settings.default.max_examples // 10, derandomize=True, phases=set(Phase) - {Phase.explain}
    )
