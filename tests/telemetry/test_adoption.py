"""Migrations adopt every database that is there: no row lost, no table rebuilt, no moment without a unique identity."""

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connections

from telemetry.migrations._operations import ATTEMPTS
from tests.support.databases import POSTGRES_URL
from tests.telemetry.legacy import (
    COMPOSITE,
    EVENTS,
    EXECUTIONS,
    IDENTITY,
    OWN_COLUMN,
    RANGE_ERRORS,
    ROWS,
    STARTS,
    content,
    event,
    has_unique_identity,
    make_bare,
    make_composite,
    make_legacy,
    migrate,
    steady_writer,
)
from tests.telemetry.stores import Store, known_to_django

pytestmark = [pytest.mark.database, pytest.mark.ops04, pytest.mark.usefixtures("_unblocked")]

LEGACY_FILE = Path(settings.BASE_DIR).parent / "shared" / "data" / "legacy-telemetry.sqlite3"


@pytest.fixture
def _unblocked(django_db_blocker: Any) -> Any:
    with django_db_blocker.unblock():
        yield


def assert_no_rebuild(statements: list[str]) -> None:
    text = "\n".join(statements)
    assert "new__" not in text
    assert "DROP TABLE" not in text
    assert "DELETE FROM" not in text.replace('DELETE FROM "django_migrations"', "")


@pytest.mark.sampled(5)
@pytest.mark.parametrize("fake_initial", [True, False], ids=["fake-initial", "plain"])
@pytest.mark.parametrize("start", STARTS)
def test_every_start_is_adopted_and_refuses_duplicates_then(
    store: Store, start: Callable[[Store], None], fake_initial: bool
) -> None:
    start(store)
    before = content(store)

    statements = migrate(store, fake_initial=fake_initial)
    statements += migrate(store)

    assert content(store) == before
    assert_no_rebuild(statements)
    assert has_unique_identity(store)
    store.execute(event("two", "pull_request.opened"), event("two", "issue_comment.created"))
    store.execute(event(None), event(None))
    with pytest.raises(RANGE_ERRORS):
        store.execute(event("out of range").replace("0.25", "1.5"))


@pytest.mark.sampled(1)
@pytest.mark.parametrize("start", [make_legacy, make_composite])
def test_the_identity_is_unique_at_every_step_there_and_back(store: Store, start: Callable[[Store], None]) -> None:
    start(store)
    before = content(store)
    steps = ["0001", "0002", "0003", "0004", "0005", "0006", "0008", "0006", "0005", "0004", "0003", "0002"]
    for target in steps:
        assert_no_rebuild(migrate(store, target, fake_initial=True))
        if not (start is make_composite and target in ("0003", "0002") and steps.index(target) < 3):
            assert has_unique_identity(store), target
        assert content(store) == before, target
    migrate(store)
    assert content(store) == before


def test_the_earliest_keeps_its_identity_and_every_row_is_kept(store: Store) -> None:
    """(d)"""
    make_bare(store)
    store.execute(
        event("twice", at="2026-02-02 00:00:00"),
        event("twice", at="2026-02-01 00:00:00"),
        event("twice", at="2026-02-01 00:00:00"),
        event("twice", "issue_comment.created", at="2026-02-03 00:00:00"),
    )
    before = store.rows("rate_limit_events")

    assert_no_rebuild(migrate(store, fake_initial=True))

    after = store.rows("rate_limit_events")
    moved = [row for row in after if row[OWN_COLUMN] is not None]
    assert len(after) == len(before)
    assert [row["delivery_id"] or row[OWN_COLUMN] for row in after] == [row["delivery_id"] for row in before]
    assert [(row["id"], row["delivery_id"], row[OWN_COLUMN]) for row in moved] == [
        (56, None, "twice"),
        (58, None, "twice"),
    ]
    untouched = ("created_at", "repo", "pr_number", "event_type", "cache_hit_rate", "degradation_path")
    assert [[row[name] for name in untouched] for row in after] == [[row[name] for name in untouched] for row in before]
    assert has_unique_identity(store)


def test_back_and_forward_again_gives_every_row_its_id_back(store: Store) -> None:
    make_legacy(store)
    migrate(store, fake_initial=True)
    store.execute(event("two", "pull_request.opened"), event("two", "issue_comment.created"))
    before = store.rows("rate_limit_events")

    migrate(store, "0002")
    back = store.rows("rate_limit_events")
    migrate(store)

    assert [row["delivery_id"] or row[OWN_COLUMN] for row in back] == [row["delivery_id"] for row in before]
    assert store.rows("rate_limit_events") == before


def test_migrating_to_zero_drops_no_table_that_has_rows(store: Store) -> None:
    make_legacy(store)
    before = content(store)
    migrate(store, fake_initial=True)

    migrate(store, "zero")
    assert content(store) == before
    migrate(store)

    assert content(store) == before
    assert has_unique_identity(store)


@pytest.mark.parametrize(
    "index",
    [
        COMPOSITE.replace("(delivery_id, event_type", "(delivery_id, pr_number"),
        COMPOSITE.replace("(delivery_id, event_type", "(delivery_id, event_type, repo"),
        COMPOSITE.replace("(delivery_id, event_type", "(lower(delivery_id), event_type"),
        COMPOSITE.replace("delivery_id IS NOT NULL", "repo = 'acme/web'"),
        COMPOSITE.replace("UNIQUE ", ""),
    ],
    ids=["columns", "more columns", "expression", "condition", "not unique"],
)
def test_another_index_of_that_name_is_an_error(store: Store, index: str) -> None:
    make_legacy(store)
    store.execute(index)

    with pytest.raises(CommandError, match="not the index it should be"):
        migrate(store, fake_initial=True)

    assert has_unique_identity(store)


def test_a_composite_index_without_a_condition_is_accepted(store: Store) -> None:
    store.execute(EXECUTIONS, EVENTS, COMPOSITE.replace(" WHERE delivery_id IS NOT NULL", ""), *ROWS)

    migrate(store, fake_initial=True)

    assert has_unique_identity(store)


@pytest.mark.skipif(bool(POSTGRES_URL), reason="the legacy file is SQLite's")
@pytest.mark.skipif(not LEGACY_FILE.exists(), reason="the genuine legacy file lies outside of this project")
@pytest.mark.parametrize("duplicated", [False, True])
def test_a_copy_of_the_genuine_legacy_file_is_adopted(tmp_path: Path, duplicated: bool) -> None:
    copy = tmp_path / "legacy.sqlite3"
    shutil.copyfile(LEGACY_FILE, copy)
    with known_to_django(f"sqlite:///{copy}", "legacy") as store:
        if duplicated:
            columns = "created_at, delivery_id, repo, pr_number, event_type, cache_hit_rate, skipped_queries, "
            columns += "retry_attempts, degradation_path"
            store.execute(
                "DROP INDEX idx_rate_limit_events_delivery",
                f"INSERT INTO rate_limit_events ({columns}) SELECT {columns} FROM rate_limit_events WHERE id <= 30",
            )
        before = store.rows("rate_limit_events"), store.rows("executions")

        statements = migrate(store, fake_initial=True) + migrate(store)

        after = store.rows("rate_limit_events"), store.rows("executions")
    assert_no_rebuild(statements)
    assert len(after[0]) == len(before[0]) == (430 if duplicated else 400)
    for rows_before, rows_after in zip(before, after, strict=True):
        for row_before, row_after in zip(rows_before, rows_after, strict=True):
            moved = row_after.pop(OWN_COLUMN)
            assert row_after | {"delivery_id": row_after["delivery_id"] or moved} == row_before


@pytest.mark.skipif(not POSTGRES_URL, reason="an index is built beside writers on PostgreSQL")
def test_an_invalid_index_of_an_interrupted_build_is_replaced(store: Store) -> None:
    make_bare(store)
    store.execute(event("twice"), event("twice"))
    with pytest.raises(psycopg.errors.UniqueViolation):
        store.execute(COMPOSITE.replace("INDEX", "INDEX CONCURRENTLY", 1))
    assert store.fetch(f"SELECT indisvalid FROM pg_index WHERE indexrelid = '{IDENTITY}'::regclass") == [(False,)]

    migrate(store, fake_initial=True)

    assert store.fetch(f"SELECT indisvalid FROM pg_index WHERE indexrelid = '{IDENTITY}'::regclass") == [(True,)]
    assert has_unique_identity(store)


@pytest.mark.skipif(not POSTGRES_URL, reason="SQLite has one writer at a time: each migration is one transaction there")
@pytest.mark.parametrize("start", [make_legacy, make_composite])
def test_a_constant_writer_loses_no_row_and_adds_no_duplicate(store: Store, start: Callable[[Store], None]) -> None:
    """Rows of the legacy system come in throughout, there and back; each is tried a second time at once."""
    start(store)
    before = len(store.rows("rate_limit_events"))
    with steady_writer(store, event, twice=True) as written:
        migrate(store, fake_initial=True)
        migrate(store, "0004")
        migrate(store)

    rows = store.rows("rate_limit_events")
    assert len(rows) == before + len(written), "no second row was accepted at any moment"
    assert {row["delivery_id"] or row[OWN_COLUMN] for row in rows} >= set(written)


# Nobody who writes is held up


EVENTS_READ = 'FROM "rate_limit_events"'


def is_search(sql: str) -> bool:
    """Whether the statement looks for duplicates among the events."""
    return "ROW_NUMBER()" in sql and EVENTS_READ in sql


@pytest.mark.sampled(1)
@pytest.mark.parametrize("start", [make_legacy, make_composite])
def test_no_duplicates_are_looked_for_behind_a_unique_index(store: Store, start: Callable[[Store], None]) -> None:
    start(store)

    statements = migrate(store, fake_initial=True)

    assert not [sql for sql in statements if is_search(sql)]


def migrate_with_writer(store: Store, *statements: str) -> int:
    """Migrate; an impatient writer runs one statement after each search for duplicates; return how many there were."""
    searches = 0

    def write(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        nonlocal searches
        result = execute(sql, params, many, context)
        if is_search(sql):
            with closing(store.connect()) as writer:
                writer.execute("SET lock_timeout = 1" if POSTGRES_URL else "PRAGMA busy_timeout = 0")
                for statement in statements[searches : searches + 1]:
                    writer.execute(statement)
            searches += 1
        return result

    with connections[store.alias].execute_wrapper(write):
        call_command("migrate", "telemetry", database=store.alias, verbosity=0, fake_initial=True)
    return searches


def test_writers_write_while_duplicates_are_looked_for(store: Store) -> None:
    make_bare(store)
    store.execute(event("twice"), event("twice"))

    assert migrate_with_writer(store, event("live")) == 1

    names = [row["delivery_id"] for row in store.rows("rate_limit_events")]
    assert names.count("live") == names.count("twice") == 1
    assert has_unique_identity(store)


def test_a_duplicate_written_after_the_search_is_moved_too(store: Store) -> None:
    make_bare(store)
    before = store.rows("rate_limit_events")

    assert migrate_with_writer(store, event("d-1")) == 2

    rows = store.rows("rate_limit_events")
    assert len(rows) == len(before) + 1
    assert (rows[-1]["delivery_id"], rows[-1][OWN_COLUMN]) == (None, "d-1")
    assert has_unique_identity(store)


def test_sqlmigrate_shows_the_index_and_moves_no_row(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    make_bare(store)
    store.execute(event("twice"), event("twice"))
    migrate(store, "0003", fake_initial=True)
    before = store.rows("rate_limit_events")

    call_command("sqlmigrate", "telemetry", "0004", database=store.alias)

    assert "CREATE UNIQUE INDEX" in capsys.readouterr().out
    assert store.rows("rate_limit_events") == before
    assert not has_unique_identity(store)


def test_duplicates_that_keep_coming_end_in_an_error(store: Store) -> None:
    make_bare(store)

    with pytest.raises(CommandError, match="duplicates kept being written"):
        migrate_with_writer(store, *[event("d-1")] * ATTEMPTS)
