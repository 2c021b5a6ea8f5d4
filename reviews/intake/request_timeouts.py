"""How long a request waits for the database: GitHub hangs up after ten seconds, and must hear a no before that.

The bounds are those of requests alone. Workers, migrations and the building of an index wait as long as it takes.
Source of the ten seconds: GitHub docs, "Best practices for using webhooks".
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from telemetry.timeouts import database_timeout

LOCK_SECONDS = 3.0
"""For a lock, or a statement, after which the database itself cancels."""
CUT_SECONDS = 3.5
"""For everything that a request asks of PostgreSQL. A server that is frozen, or cannot be reached any more, heeds no
time-out of its own, and libpq waits for its answer without end. A new connection may be tried for 4 s after that
(`connect_timeout` in the settings), which makes less than eight."""
REST_SECONDS = 1.0
"""For which nobody waits after somebody waited in vain, so that what has queued meanwhile is answered."""

_hung_at: float | None = None
"""When a request last waited in vain, by time.monotonic(); None once the database has answered again."""
_turn = threading.Lock()
"""Held by the one request that waits for a database that hangs."""


@contextmanager
def database_time_limit() -> Iterator[None]:
    """Let what the block asks of the reviews' database fail in time, as a `DatabaseError` or `InterfaceError`.

    Once a request has waited in vain one at a time waits, and the others fail at once: a few threads answer all
    deliveries, and those that queue behind them have ten seconds too.
    """
    global _hung_at
    known = _hung_at
    waits = known is not None and time.monotonic() - known > REST_SECONDS and _turn.acquire(blocking=False)
    if known is not None and not waits:
        raise OperationalError("the database hung a moment ago, and another request waits for it")
    database = connections[DEFAULT_DB_ALIAS]
    started = time.monotonic()
    try:
        # SQLite waits for its lock when a transaction begins; a request begins one, at worst two. PostgreSQL's time-out
        # ends with the transaction, so that it reaches no other use of the connection or of a pooler's.
        milliseconds = round(LOCK_SECONDS * 1000)
        with (
            _cut_off(database) if database.vendor == "postgresql" else nullcontext(),
            database_timeout(DEFAULT_DB_ALIAS, postgresql_ms=milliseconds, sqlite_ms=milliseconds),
        ):
            yield
        _hung_at = None
    except (DatabaseError, InterfaceError):
        now = time.monotonic()
        _hung_at = now if now - started > 0.9 * LOCK_SECONDS else None
        # It may be the connection that is to blame: to a server that only reads since another one took over, or to a
        # file that was read-only when it was opened. The next request makes a new one.
        if not database.in_atomic_block:
            database.close()
        raise
    finally:
        if waits:
            _turn.release()


@contextmanager
def _cut_off(database: BaseDatabaseWrapper) -> Iterator[None]:
    """End the connection after `CUT_SECONDS`, whatever its server does."""
    cut = threading.Timer(CUT_SECONDS, _cut, [database])
    cut.daemon = True
    cut.start()
    try:
        yield
    finally:
        cut.cancel()


def _cut(database: BaseDatabaseWrapper) -> None:
    """End a connection under the thread that waits for it, which hears of it at once."""
    try:
        with socket.socket(fileno=os.dup(database.connection.pgconn.socket)) as wire:
            wire.shutdown(socket.SHUT_RDWR)
    except (AttributeError, OSError, DatabaseError):
        # There is none: the thread is connecting, for which there is a bound already, or was faster.
        return
