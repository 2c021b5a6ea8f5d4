"""A store in the reviews' own database that fails: each way costs a review at most a second and one warning."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from time import monotonic
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction

from telemetry.models import RateLimitEvent
from telemetry.recording import record_rate_limit_event
from tests.support.databases import POSTGRES_URL
from tests.support.factories import RateLimitEventFactory, event_values
from tests.telemetry.stores import default_store

pytestmark = [pytest.mark.database, pytest.mark.ops05, pytest.mark.django_db(transaction=True)]

BOUND_S = 2
"""One second is promised; the other is for a busy machine. Every lock here is held for as long as the test looks."""

Failure = Callable[[], AbstractContextManager[dict[str, Any]]]
"""While it is entered the store fails; it gives the values of an event that runs into the failure."""


@contextmanager
def table_missing() -> Iterator[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE rate_limit_events RENAME TO rate_limit_events_elsewhere")
        try:
            yield {}
        finally:
            cursor.execute("ALTER TABLE rate_limit_events_elsewhere RENAME TO rate_limit_events")


@contextmanager
def value_out_of_range() -> Iterator[dict[str, Any]]:
    yield {"pr_number": 2**63}


@contextmanager
def rate_out_of_range() -> Iterator[dict[str, Any]]:
    yield {"cache_hit_rate": float("nan")}


@contextmanager
def read_only() -> Iterator[dict[str, Any]]:
    setting = "SESSION CHARACTERISTICS AS TRANSACTION READ {}" if POSTGRES_URL else "query_only = {}"
    command = "SET" if POSTGRES_URL else "PRAGMA"
    with connection.cursor() as cursor:
        cursor.execute(f"{command} {setting.format('ONLY' if POSTGRES_URL else 'ON')}")
        try:
            yield {}
        finally:
            cursor.execute(f"{command} {setting.format('WRITE' if POSTGRES_URL else 'OFF')}")


@contextmanager
def disk_full() -> Iterator[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA max_page_count")
        (before,) = cursor.fetchone()
        cursor.execute("PRAGMA max_page_count = 1")  # SQLite takes the present size for a number below it.
        try:
            yield {"repo": "acme/" + "x" * 1_000_000}
        finally:
            cursor.execute(f"PRAGMA max_page_count = {before}")


@contextmanager
def other_holds_the_lock(*statements: str) -> Iterator[dict[str, Any]]:
    with closing(default_store().connect()) as other:
        for statement in statements:
            other.execute(statement)
        yield {}


def file_locked() -> AbstractContextManager[dict[str, Any]]:
    return other_holds_the_lock("BEGIN IMMEDIATE")


def table_locked() -> AbstractContextManager[dict[str, Any]]:
    return other_holds_the_lock("BEGIN", "LOCK TABLE rate_limit_events")


def same_identity_not_yet_committed() -> AbstractContextManager[dict[str, Any]]:
    return other_holds_the_lock(
        "BEGIN",
        "INSERT INTO rate_limit_events (created_at, delivery_id, repo, event_type, cache_hit_rate, skipped_queries, "
        "retry_attempts, degradation_path) VALUES (now(), '{delivery_id}', 'acme/web', '{event_type}', 0, 0, 0, 'none')"
        "".format(**event_values()),
    )


@contextmanager
def trigger(body: str) -> Iterator[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; END $$")
        cursor.execute("CREATE TRIGGER fail BEFORE INSERT ON rate_limit_events EXECUTE FUNCTION fail()")
        try:
            yield {}
        finally:
            cursor.execute("DROP FUNCTION fail CASCADE")


def slow_statement() -> AbstractContextManager[dict[str, Any]]:
    return trigger("PERFORM pg_sleep(30); RETURN NULL")


def postgresql_disk_full() -> AbstractContextManager[dict[str, Any]]:
    return trigger("RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'")


ANYWHERE: list[Failure] = [table_missing, value_out_of_range, rate_out_of_range, read_only]
FAILURES = ANYWHERE + (
    [table_locked, same_identity_not_yet_committed, slow_statement, postgresql_disk_full]
    if POSTGRES_URL
    else [file_locked, disk_full]
)


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("in_transaction", [False, True], ids=["alone", "in-transaction"])
def test_it_returns_none_and_stores_the_row_after_the_repair(
    failure: Failure, in_transaction: bool, caplog: pytest.LogCaptureFixture
) -> None:
    if in_transaction and not POSTGRES_URL and failure in (file_locked, read_only):
        pytest.skip("A transaction of ours begins with SQLite's write lock, which then cannot be had.")
    writes = in_transaction and failure is not read_only
    with failure() as values:
        event = event_values(**values)
        with transaction.atomic() if in_transaction else nullcontext():
            if writes:
                Group.objects.create(name="before")
            started = monotonic()
            assert record_rate_limit_event(**event) is None
            assert monotonic() - started < BOUND_S
            if writes:
                Group.objects.create(name="after")
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                assert cursor.fetchone() == (1,)

    witnesses = Group.objects.filter(name__in=("before", "after")).order_by("pk")
    assert [group.name for group in witnesses] == ["before", "after"] * writes
    [warning] = caplog.records
    assert warning.rate_limit_event == event
    assert warning.error

    first = record_rate_limit_event(**event_values())
    assert record_rate_limit_event(**event_values()) == first
    assert RateLimitEvent.objects.get() == first
    assert len(caplog.records) == 1


def test_a_replay_is_answered_while_another_process_writes() -> None:
    row = RateLimitEventFactory(delivery_id="d-1", event_type="pull_request.opened")
    busy = ["BEGIN", "LOCK TABLE rate_limit_events IN EXCLUSIVE MODE"] if POSTGRES_URL else ["BEGIN IMMEDIATE"]

    with other_holds_the_lock(*busy):
        assert record_rate_limit_event(**event_values(delivery_id="d-1")) == row
