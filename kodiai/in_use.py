"""Whether somebody else uses a database: Kodiai has to be stopped before its database is replaced or moved."""

import sqlite3
from contextlib import closing
from pathlib import Path

from django.db import connections
from django.db.utils import DatabaseError, InterfaceError


def why_in_use(alias: str) -> str:
    """Return who else has the database open, as a sentence; empty if nobody has. Closes this process's connection."""
    connection = connections[alias]
    if connection.vendor == "sqlite":
        name = str(connection.settings_dict["NAME"])
        connection.close()
        return f"{name} is open in another process." if Path(name).exists() and not _is_alone(name) else ""
    try:
        with connection.cursor() as cursor:
            # Kodiai's processes give no name; psql, pg_dump and exporters do, and change nothing.
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND application_name = ''"
            )
            others = cursor.fetchone()[0]
    except (DatabaseError, InterfaceError):
        return ""
    finally:
        connection.close()
    return f"{others} other connections to the database are open." if others else ""


def _is_alone(name: str) -> bool:
    """Return whether no other connection to a SQLite file is open.

    Each holds a shared lock for as long as it is open in WAL mode. Source: SQLite documentation, "Write-Ahead Logging",
    and wal.c, exclusive mode.
    """
    with closing(sqlite3.connect(name, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return False
    return True
