"""Databases of the tests' own: a SQLite file, or a database on the PostgreSQL server that the suite runs on."""

import atexit
import os
import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psycopg

from tests.support import processes

POSTGRES_URL = os.environ.get("KODIAI_TEST_POSTGRES_URL", "")


@dataclass(frozen=True)
class Database:
    """A database by its address, used behind Django's back: each statement is a transaction of its own."""

    url: str

    @property
    def is_postgresql(self) -> bool:
        return self.url.startswith("postgres")

    def connect(self) -> Any:
        """A plain connection of the driver, in autocommit."""
        if self.is_postgresql:
            return psycopg.connect(self.url, autocommit=True)
        return sqlite3.connect(self.url.removeprefix("sqlite:///"), isolation_level=None)

    def execute(self, *statements: str) -> None:
        with closing(self.connect()) as connection:
            for statement in statements:
                connection.execute(statement)

    def fetch(self, query: str) -> list[tuple[Any, ...]]:
        with closing(self.connect()) as connection:
            return connection.execute(query).fetchall()


_empty: list[str] = []
"""Databases of this process that nobody uses: to drop one takes a checkpoint of the whole server."""


@contextmanager
def empty_database(folder: Path) -> Iterator[str]:
    """Yield the URL of a database without tables, for as long as the block: in `folder`, or on the server."""
    if not POSTGRES_URL:
        yield f"sqlite:///{folder / uuid.uuid4().hex}.sqlite3"
        return
    name = _empty.pop() if _empty else _create()
    url = f"{POSTGRES_URL.rpartition('/')[0]}/{name}"
    try:
        yield url
    finally:
        others = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        Database(POSTGRES_URL).execute(others)
        Database(url).execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
        _empty.append(name)


@contextmanager
def migrated_database(folder: Path) -> Iterator[str]:
    """The same for a Kodiai that starts: on SQLite its tables are there, which saves a second."""
    with empty_database(folder) as url:
        if not POSTGRES_URL:
            shutil.copy(Path(_migrated().name) / "database.sqlite3", url.removeprefix("sqlite:///"))
        yield url


@cache
def _migrated() -> "tempfile.TemporaryDirectory[str]":
    """A folder with a SQLite database that has all tables and no rows, which goes with this process."""
    folder = tempfile.TemporaryDirectory(prefix="kodiai-migrated-")
    address = f"sqlite:///{folder.name}/database.sqlite3"
    done = processes.python("manage.py", "run", "--prepare", DATABASE_URL=address, KODIAI_SECRET_KEY="e2e" * 20)
    assert done.returncode == 0, done.stderr
    return folder


def _create() -> str:
    name = f"kodiai_{uuid.uuid4().hex}"
    Database(POSTGRES_URL).execute(f"CREATE DATABASE {name}")
    atexit.register(Database(POSTGRES_URL).execute, f"DROP DATABASE {name} WITH (FORCE)")
    return name
