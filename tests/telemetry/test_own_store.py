"""A telemetry store of its own: rows go there, and a store that hangs costs one review its wait, and one thread."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from telemetry import timeouts
from telemetry.recording import record_execution, record_rate_limit_event
from tests.support.databases import POSTGRES_URL
from tests.support.factories import event_values, execution_values
from tests.telemetry.stores import Store, known_to_django, migrated_store

pytestmark = [pytest.mark.database, pytest.mark.ops05]


@pytest.fixture(autouse=True)
def _any_database(django_db_blocker: Any) -> Iterator[None]:
    """The mark `django_db` knows no databases that come and go."""
    with django_db_blocker.unblock():
        yield


@contextmanager
def store_that_never_answers() -> Iterator[None]:
    """A server that takes connections and says nothing. At the end it hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"postgresql://postgres@127.0.0.1:{server.getsockname()[1]}/telemetry"
        with known_to_django(url, "telemetry"):
            yield


def writing() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "telemetry-write"]


def let_writes_end() -> None:
    for thread in writing():
        thread.join(30)
    assert not writing()


def errors(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [vars(entry)["error"] for entry in caplog.records if entry.name == "telemetry.recording"]


def test_rows_are_stored_there_once_and_returned(own_store: Store) -> None:
    event, execution = record_rate_limit_event(**event_values()), record_execution(**execution_values())

    assert record_rate_limit_event(**event_values(retry_attempts=9)) == event
    assert own_store.fetch("SELECT id, repo FROM rate_limit_events") == [(event.pk, "acme/web")]
    assert own_store.fetch("SELECT id, repo FROM executions") == [(execution.pk, "acme/web")]


def test_no_write_leaves_a_connection_open(own_store: Store, caplog: pytest.LogCaptureFixture) -> None:
    opened: list[BaseDatabaseWrapper] = []

    def note(connection: BaseDatabaseWrapper, **_: Any) -> None:
        opened.append(connection)

    connection_created.connect(note)
    try:
        assert record_rate_limit_event(**event_values()) is not None
        assert record_rate_limit_event(**event_values(cache_hit_rate=2.0, delivery_id="refused")) is None
    finally:
        connection_created.disconnect(note)
    let_writes_end()

    assert len(opened) == 2
    assert [connection.connection for connection in opened] == [None, None]
    [error] = errors(caplog)
    assert error.startswith("IntegrityError: "), "the store's own words"


def test_a_lock_in_the_store_is_ended_by_the_store_itself(
    own_store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(timeouts, "OWN_STORE_TIMEOUT_S", 20)
    other = own_store.connect()
    try:
        other.execute("BEGIN" if POSTGRES_URL else "BEGIN IMMEDIATE")
        if POSTGRES_URL:
            other.execute("LOCK TABLE rate_limit_events")
        assert record_rate_limit_event(**event_values()) is None
    finally:
        other.close()

    [error] = errors(caplog)
    assert error.startswith("OperationalError: ")


def test_a_hanging_store_holds_one_thread_and_recovers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with store_that_never_answers():
        assert record_rate_limit_event(**event_values()) is None
        [hung] = writing()
        assert record_rate_limit_event(**event_values()) is None
        assert writing() == [hung]
        # Such a thread must not keep a worker from ending.
        assert hung.daemon
    let_writes_end()

    assert errors(caplog) == [
        "TimeoutError: the telemetry store gave no answer within 0.9 s",
        "TimeoutError: an earlier write to the telemetry store is still waiting for an answer",
    ]
    with migrated_store(tmp_path) as store:
        assert record_rate_limit_event(**event_values()) is not None
        assert len(store.rows("rate_limit_events")) == 1


def test_all_waits_of_a_write_stay_under_a_second() -> None:
    assert 3 * timeouts.POSTGRES_TIMEOUT_MS < 1000
    assert timeouts.SQLITE_BUSY_TIMEOUT_MS < 1000
    assert timeouts.OWN_STORE_TIMEOUT_S < 1
