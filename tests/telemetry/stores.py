"""Databases of a test's own: a SQLite file, or a database on the PostgreSQL server that the suite runs on."""

import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from django.db import connections

from kodiai.settings import _database

POSTGRES_URL = os.environ.get("KODIAI_TEST_POSTGRES_URL", "")


@dataclass(frozen=True)
class Store:
    """A database, its address, and the alias under which Django knows it."""

    url: str
    alias: str

    @property
    def is_postgresql(self) -> bool:
        return self.url.startswith("postgres")

    def connect(self) -> Any:
        """A plain connection of the driver, in autocommit, behind Django's back."""
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

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows in the order of their ids, each as a dict."""
        with closing(self.connect()) as connection:
            cursor = connection.execute(f"SELECT * FROM {table} ORDER BY id")
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@contextmanager
def new_store(tmp_path: Path, alias: str) -> Iterator[Store]:
    """An empty database, known to Django as `alias` until the end."""
    name = f"kodiai_{uuid.uuid4().hex}"
    if POSTGRES_URL:
        with closing(psycopg.connect(POSTGRES_URL, autocommit=True)) as server:
            server.execute(f"CREATE DATABASE {name}")
            url = f"{POSTGRES_URL.rpartition('/')[0]}/{name}"
            try:
                with known_to_django(url, alias) as store:
                    yield store
            finally:
                server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    else:
        with known_to_django(f"sqlite:///{tmp_path / name}.sqlite3", alias) as store:
            yield store


@contextmanager
def known_to_django(url: str, alias: str) -> Iterator[Store]:
    """Make the database at `url` Django's `alias`, with the options that Kodiai gives it."""
    connections.databases[alias] = {
        **connections.databases["default"],
        **_database("KODIAI_TELEMETRY_DATABASE_URL", url, lock_wait=0.5),
    }
    try:
        yield Store(url, alias)
    finally:
        connections[alias].close()
        del connections[alias]
        del connections.databases[alias]


def default_store() -> Store:
    """The database that the suite itself runs on."""
    name = str(connections["default"].settings_dict["NAME"])
    url = f"{POSTGRES_URL.rpartition('/')[0]}/{name}" if POSTGRES_URL else f"sqlite:///{name}"
    return Store(url, "default")
