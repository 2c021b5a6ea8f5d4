"""Migrations hold up nobody who writes: duplicates are looked for without a lock, and only where there may be some."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from telemetry.migrations._operations import ATTEMPTS
from tests.support.databases import POSTGRES_URL
from tests.telemetry.legacy import (
    OWN_COLUMN,
    event,
    has_unique_identity,
    make_bare,
    make_composite,
    make_legacy,
    migrate,
)
from tests.telemetry.stores import Store

pytestmark = [pytest.mark.database, pytest.mark.ops04]

EVENTS_READ = 'FROM "rate_limit_events"'


def is_search(sql: str) -> bool:
    """Whether the statement looks for duplicates among the events."""
    return "ROW_NUMBER()" in sql and EVENTS_READ in sql


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


def test_duplicates_that_keep_coming_end_in_an_error(store: Store) -> None:
    make_bare(store)

    with pytest.raises(CommandError, match="duplicates kept being written"):
        migrate_with_writer(store, *[event("d-1")] * ATTEMPTS)
