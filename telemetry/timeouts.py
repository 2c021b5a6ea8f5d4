"""Time limits for a database that is locked, slow or hanging."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from threading import Thread
from typing import TypeVar

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

Row = TypeVar("Row")

POSTGRES_TIMEOUT_MS = 300
"""For each statement of a telemetry write. At most three of them can wait, so that all stay under a second."""
SQLITE_BUSY_TIMEOUT_MS = 800
"""For SQLite's lock, which a telemetry write waits for once, when it begins."""
OWN_STORE_TIMEOUT_S = 0.9
"""For connecting to a separate telemetry store and writing to it."""


def write_in_time(write: Callable[[], Row], *, using: str) -> Row:
    """Return what `write` stores in the database `using`, or raise after less than a second."""

    def bounded_write() -> Row:
        with database_timeout(using, postgresql_ms=POSTGRES_TIMEOUT_MS, sqlite_ms=SQLITE_BUSY_TIMEOUT_MS):
            return write()

    return bounded_write() if using == DEFAULT_DB_ALIAS else _in_thread(bounded_write, using=using)


@contextmanager
def database_timeout(using: str, *, postgresql_ms: int, sqlite_ms: int) -> Iterator[None]:
    """Limit how long the database `using` may wait in this block; its time-out is restored afterwards.

    PostgreSQL cancels any statement, also one that waits for a lock, after `postgresql_ms`. SQLite waits `sqlite_ms`
    for its lock. Both then raise `OperationalError`. An exception rolls the caller's transaction back to where this
    block began, and no further.
    """
    connection = connections[using]
    nested = connection.in_atomic_block
    if connection.vendor == "postgresql":
        with transaction.atomic(using=using), _statement_timeout(connection, postgresql_ms, restore=nested):
            yield
    else:
        # Outside a transaction none is opened: it would take SQLite's write lock, and a replay only reads.
        savepoint = transaction.atomic(using=using) if nested else nullcontext()
        with _busy_timeout(connection, sqlite_ms), savepoint:
            yield


@contextmanager
def _statement_timeout(connection: BaseDatabaseWrapper, milliseconds: int, *, restore: bool) -> Iterator[None]:
    """Set PostgreSQL's `statement_timeout` for the open transaction or savepoint.

    A rollback and the end of a transaction undo the setting; the release of a savepoint does not: `restore` does.
    """
    with connection.cursor() as cursor:

        def set_local(timeout: str) -> None:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [timeout])

        before = None
        if restore:
            cursor.execute("SHOW statement_timeout")
            (before,) = cursor.fetchone()
        set_local(f"{milliseconds}ms")
        yield
        if before is not None:
            set_local(before)


@contextmanager
def _busy_timeout(connection: BaseDatabaseWrapper, milliseconds: int) -> Iterator[None]:
    """Set SQLite's `busy_timeout` for this connection and restore it."""
    connection.ensure_connection()
    # Not Django's cursor, which refuses to restore it after an error that made SQLite end the transaction.
    sqlite = connection.connection
    (before,) = sqlite.execute("PRAGMA busy_timeout").fetchone()
    sqlite.execute(f"PRAGMA busy_timeout = {milliseconds}")
    try:
        yield
    finally:
        sqlite.execute(f"PRAGMA busy_timeout = {before}")


_hung: Thread | None = None
"""The last thread that did not end in time."""


def _in_thread(write: Callable[[], Row], *, using: str) -> Row:
    """Return what `write` returns, or raise `TimeoutError` after `OWN_STORE_TIMEOUT_S`.

    A database's own time-outs do not help when its server is frozen or unreachable: libpq waits at least two seconds
    for a connection and without limit for an answer. So a thread waits, and the review does not. A write that
    finishes late is harmless, because it is the same write that a replay would make.
    """
    global _hung
    if _hung is not None and _hung.is_alive():
        # The first review pays for finding out that the store hangs; later ones wait for nothing and add no threads.
        raise TimeoutError("an earlier write to the telemetry store is still waiting for an answer")
    outcome: Future[Row] = Future()

    def run() -> None:
        try:
            outcome.set_result(write())
        except BaseException as error:  # noqa: BLE001 - not handled here, carried to the caller's guard
            outcome.set_exception(error)
        finally:
            # Connections belong to threads; without this each write would leave one open.
            connections[using].close()

    # A daemon thread, so that a hanging store does not keep a worker from ending.
    thread = Thread(target=run, name="telemetry-write", daemon=True)
    thread.start()
    try:
        return outcome.result(timeout=OWN_STORE_TIMEOUT_S)
    except TimeoutError:
        _hung = thread
        raise TimeoutError(f"the telemetry store gave no answer within {OWN_STORE_TIMEOUT_S} s") from None
