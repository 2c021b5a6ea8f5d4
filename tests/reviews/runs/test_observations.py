"""What a process alone has seen is stored beside the runs, and never at their cost."""

import logging
from contextlib import closing
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from reviews.github import limits
from reviews.models import GitHubLimit, Tally
from reviews.runs import observations
from reviews.runs.observations import store_observations
from sandbox import Fault, FaultKind, PullRequest, Sandbox
from sandbox.limits import LIMITS
from telemetry import failures
from telemetry.models import Conclusion
from telemetry.recording import record_rate_limit_event
from tests.support.factories import GitHubLimitFactory, event_values
from tests.support.runs import admit, run
from tests.telemetry.stores import default_store

pytestmark = [pytest.mark.database, pytest.mark.django_db(transaction=True)]

LOCK = {"sqlite": ["BEGIN IMMEDIATE"], "postgresql": ["BEGIN", "LOCK TABLE reviews_tally"]}
"""Statements that keep others from writing, by database."""


@pytest.fixture(autouse=True)
def _nothing_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    limits.take_seen()
    failures.take()
    observations._failures.clear()
    monkeypatch.setattr(observations, "_stored_at", None)


def test_a_run_leaves_what_each_answer_said_last(pull: PullRequest) -> None:
    before = timezone.now()

    assert run(admit(pull)).conclusion == Conclusion.SUCCESS

    stored = {(row.installation_id, row.resource): row for row in GitHubLimit.objects.all()}
    installation = pull.repository.installation_id
    assert set(stored) == {(0, "core"), (installation, "core"), (installation, "search"), (installation, "graphql")}
    for (_, resource), row in stored.items():
        assert row.limit == LIMITS[resource]
        assert 0 <= row.remaining < row.limit
        assert before <= row.seen_at <= timezone.now() < row.reset_at


def test_a_limit_that_was_hit_is_stored_too(github: Sandbox, pull: PullRequest) -> None:
    github.fail("files", Fault(FaultKind.PRIMARY_LIMIT, reset_in=600))

    run(admit(pull))

    row = GitHubLimit.objects.get(installation_id=pull.repository.installation_id, resource="core")
    assert row.remaining == 0
    assert timedelta(seconds=500) < row.reset_at - row.seen_at < timedelta(seconds=700)


def test_a_later_answer_of_another_process_stays(pull: PullRequest) -> None:
    later = GitHubLimitFactory(
        installation_id=pull.repository.installation_id, remaining=1, seen_at=timezone.now() + timedelta(minutes=1)
    )

    run(admit(pull))

    later.refresh_from_db()
    assert later.remaining == 1


def test_a_process_stores_once_every_few_seconds(pull: PullRequest) -> None:
    run(admit(pull))
    first = list(GitHubLimit.objects.values())

    run(admit(pull, "reopened"))
    assert list(GitHubLimit.objects.values()) == first

    observations._stored_at = None
    store_observations()
    assert list(GitHubLimit.objects.values()) != first


def test_failed_writes_of_telemetry_are_counted(github: Sandbox) -> None:
    for _ in range(2):
        assert record_rate_limit_event(**event_values(cache_hit_rate=7)) is None

    for _ in range(2):
        observations._stored_at = None
        store_observations()

    assert Tally.objects.get(metric="telemetry_write_failures", label="rate_limit_event").value == 2


def test_a_locked_database_is_not_waited_for(pull: PullRequest, caplog: pytest.LogCaptureFixture) -> None:
    run(admit(pull))
    assert record_rate_limit_event(**event_values(cache_hit_rate=7)) is None
    observations._stored_at = None

    with closing(default_store().connect()) as other, caplog.at_level(logging.WARNING):
        for statement in LOCK[connection.vendor]:
            other.execute(statement)
        store_observations()

    assert "observations not stored" in caplog.messages
    observations._stored_at = None
    assert run(admit(pull, "ready_for_review")).conclusion == Conclusion.SUCCESS
    assert Tally.objects.get(metric="telemetry_write_failures").value == 1
