"""Programs of the legacy system write to a database that Kodiai made, adopted or migrated."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.core import checks
from django.utils import timezone

from telemetry.models import Execution, RateLimitEvent
from telemetry.recording import record_rate_limit_event
from tests.support.databases import POSTGRES_URL
from tests.support.factories import event_values
from tests.telemetry.legacy import (
    DELIVERY_ONLY,
    EVENTS,
    EXECUTIONS,
    make_empty,
    make_first_release,
    make_legacy,
    make_without_defaults,
    migrate,
)
from tests.telemetry.stores import Store, new_store

pytestmark = [pytest.mark.database, pytest.mark.ops04]

INSERT, ON_CONFLICT = ("INSERT", " ON CONFLICT DO NOTHING") if POSTGRES_URL else ("INSERT OR IGNORE", "")
LEGACY_EVENT = (
    f"{INSERT} INTO rate_limit_events (delivery_id, repo, pr_number, event_type, cache_hit_rate, skipped_queries, "
    f"retry_attempts, degradation_path) VALUES ('live', 'acme/web', 7, 'push', 0.25, 1, 1, 'none'){ON_CONFLICT}"
)
LEGACY_EXECUTION = (
    f"{INSERT} INTO executions (delivery_id, repo, event_type, model, conclusion) "
    f"VALUES ('live', 'acme/web', 'push', 'a-model', 'success'){ON_CONFLICT}"
)
# What the legacy system of before composite identity does whenever it starts.
LEGACY_START = DELIVERY_ONLY.replace("INDEX", "INDEX IF NOT EXISTS", 1)
LEGACY_INDEX = "idx_rate_limit_events_delivery"


def has_legacy_index(store: Store) -> bool:
    catalogue = "pg_indexes WHERE indexname" if store.is_postgresql else "sqlite_master WHERE name"
    return bool(store.fetch(f"SELECT 1 FROM {catalogue} = '{LEGACY_INDEX}'"))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("start", [make_legacy, make_first_release, make_without_defaults, make_empty])
def test_a_row_without_its_time_is_stored_with_one(store: Store, start: Callable[[Store], None]) -> None:
    start(store)
    migrate(store, fake_initial=True)
    before = timezone.now()

    store.execute(LEGACY_EVENT, LEGACY_EXECUTION)

    for model in (RateLimitEvent, Execution):
        row = model._base_manager.using(store.alias).get(delivery_id="live")
        assert abs((row.created_at - before).total_seconds()) < 3600
    assert (row.provider, row.input_tokens, row.cost_usd) == ("anthropic", 0, 0.0)


def test_an_open_connection_learns_of_the_defaults(store: Store) -> None:
    make_without_defaults(store)
    migrate(store, "0006", fake_initial=True)
    rows = store.rows("rate_limit_events")
    with closing(store.connect()) as writer:
        writer.execute("SELECT * FROM rate_limit_events").fetchall()

        migrate(store)
        writer.execute(LEGACY_EVENT)

    assert store.rows("rate_limit_events")[:-1] == rows
    if not store.is_postgresql:
        assert store.fetch("PRAGMA integrity_check") == [("ok",)]


@pytest.fixture
def own_store(tmp_path: Path, django_db_blocker: Any) -> Iterator[Store]:
    """An adopted legacy database as the store that Kodiai records to."""
    with django_db_blocker.unblock(), new_store(tmp_path, "telemetry") as store:
        make_legacy(store)
        migrate(store, fake_initial=True)
        yield store


def warnings(store: Store) -> list[checks.CheckMessage]:
    return [found for found in checks.run_checks(databases=[store.alias]) if found.id == "telemetry.W001"]


def test_a_check_is_content_before_adoption(store: Store) -> None:
    assert warnings(store) == []
    make_legacy(store)
    assert warnings(store) == []


def test_a_legacy_index_that_came_back_is_named_and_dropped(own_store: Store, caplog: pytest.LogCaptureFixture) -> None:
    assert warnings(own_store) == []
    own_store.execute(LEGACY_START)
    [warning] = warnings(own_store)
    assert LEGACY_INDEX in warning.msg
    assert "manage.py migrate telemetry --database telemetry" in str(warning.hint)
    assert record_rate_limit_event(**event_values(event_type="pull_request.opened")) is not None
    assert record_rate_limit_event(**event_values(event_type="issue_comment.created")) is None

    with caplog.at_level(logging.WARNING, logger="telemetry.checks"):
        migrate(own_store)

    assert not has_legacy_index(own_store)
    assert LEGACY_INDEX in caplog.messages[-1]
    assert warnings(own_store) == []
    assert record_rate_limit_event(**event_values(event_type="issue_comment.created")) is not None


def test_migrating_back_keeps_the_legacy_index(own_store: Store) -> None:
    migrate(own_store, "0004")
    migrate(own_store, "0004")

    assert has_legacy_index(own_store)


# Other unique indexes on a part of the identity


def named(store: Store) -> list[tuple[str, str]]:
    return [
        (found.msg, str(found.hint))
        for found in checks.run_checks(databases=[store.alias])
        if found.id == "telemetry.W002"
    ]


@pytest.mark.parametrize(
    ("index", "column"),
    [
        ("CREATE UNIQUE INDEX rle_delivery ON rate_limit_events(delivery_id)", "delivery_id"),
        ("CREATE UNIQUE INDEX once ON executions(delivery_id) WHERE delivery_id IS NOT NULL", "delivery_id"),
        ('CREATE UNIQUE INDEX "Of events" ON executions(event_type)', "event_type"),
    ],
)
def test_another_index_on_a_part_of_the_identity_is_named(store: Store, index: str, column: str) -> None:
    make_legacy(store)
    store.execute("DELETE FROM executions", index)
    name = index.split(" ON ")[0].removeprefix("CREATE UNIQUE INDEX ").strip('"')

    [(before, _)] = named(store)
    migrate(store, fake_initial=True)
    [(message, hint)] = named(store)

    assert before == message
    assert message.startswith(f"{name} keeps {column} unique in the table ")
    store.execute(hint.partition(": ")[2])
    assert named(store) == []


@pytest.mark.parametrize("table", ["rate_limit_events", "executions"])
def test_a_constraint_on_a_part_of_the_identity_is_named(store: Store, table: str) -> None:
    definitions = [sql.replace("delivery_id TEXT", "delivery_id TEXT UNIQUE") for sql in (EXECUTIONS, EVENTS)]
    store.execute(*(new if table in new else old for new, old in zip(definitions, (EXECUTIONS, EVENTS), strict=True)))

    migrate(store, fake_initial=True)
    [(message, hint)] = named(store)

    name = f"{table}_delivery_id_key" if store.is_postgresql else "A constraint"
    assert message.startswith(f"{name} keeps delivery_id unique in the table {table} of the database store")
    if store.is_postgresql:
        store.execute(hint.partition(": ")[2])
        assert named(store) == []
    else:
        assert "merge this one with `manage.py import_telemetry`" in hint


@pytest.mark.parametrize("late", [False, True], ids=["adopted", "brought back"])
def test_a_constraint_of_the_legacy_name_stops_no_migration(store: Store, late: bool) -> None:
    constraint = f"CONSTRAINT {LEGACY_INDEX} UNIQUE (delivery_id)"
    if late and not store.is_postgresql:
        pytest.skip("SQLite adds no constraint to a table")
    if late:
        make_legacy(store)
        migrate(store, fake_initial=True)
        store.execute(f"ALTER TABLE rate_limit_events ADD {constraint}")
        assert warnings(store)
    else:
        store.execute(EXECUTIONS, EVENTS.replace("TEXT NOT NULL)", f"TEXT NOT NULL, {constraint})"))

    migrate(store, fake_initial=True)

    assert warnings(store) == []
    assert len(named(store)) == (not store.is_postgresql)
