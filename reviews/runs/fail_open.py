"""The guard around what is stored for people beside a run: no run depends on it, or waits long for it."""

from collections.abc import Callable

import django.db
from django.db import DEFAULT_DB_ALIAS, connection

from telemetry.timeouts import database_timeout


def is_stored(write: Callable[[], None], *, milliseconds: int, report: Callable[[Exception], None]) -> bool:
    """Write to the reviews' database; return whether it was done and committed. Let no exception out: `report` logs it.

    `milliseconds` limit the wait for SQLite's lock, and each statement on PostgreSQL.
    """
    try:
        with database_timeout(DEFAULT_DB_ALIAS, postgresql_ms=milliseconds, sqlite_ms=milliseconds):
            write()
    except Exception as error:  # noqa: BLE001  # the guard: the worker goes on, and `report` logs
        report(error)
        if isinstance(error, django.db.Error) and not connection.in_atomic_block:
            connection.close()  # the connection itself may have failed
        return False
    return True
