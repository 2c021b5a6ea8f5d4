"""Databases that Django knows by an alias for as long as a test needs them."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connections

from kodiai.configuration.addresses import DatabaseAddress
from kodiai.settings import database_settings
from tests.support.databases import POSTGRES_URL, Database, empty_database


@dataclass(frozen=True)
class Store(Database):
    """A database, and the alias under which Django knows it."""

    alias: str

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows in the order of their ids, each as a dict."""
        with closing(self.connect()) as connection:
            cursor = connection.execute(f"SELECT * FROM {table} ORDER BY id")
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@contextmanager
def new_store(tmp_path: Path, alias: str) -> Iterator[Store]:
    """An empty database, known to Django as `alias` until the end."""
    with empty_database(tmp_path) as url, known_to_django(url, alias) as store:
        yield store


_migrated: list[bytes] = []
"""The SQLite file of an empty store after its migrations, once this process has one."""


@contextmanager
def migrated_store(tmp_path: Path) -> Iterator[Store]:
    """An empty telemetry store of its own, as migrations make it; for tests of what comes after these."""
    with new_store(tmp_path, "telemetry") as store:
        file = Path(store.url.removeprefix("sqlite:///"))
        if _migrated:
            file.write_bytes(_migrated[0])
        else:
            call_command("migrate", "telemetry", database="telemetry", verbosity=0)
            if not store.is_postgresql:
                connections["telemetry"].close()
                _migrated.append(file.read_bytes())
        yield store


@contextmanager
def known_to_django(url: str, alias: str) -> Iterator[Store]:
    """Make the database at `url` Django's `alias`, with the options that Kodiai gives it."""
    connections.databases[alias] = {
        **connections.databases["default"],
        **database_settings("KODIAI_TELEMETRY_DATABASE_URL", DatabaseAddress().parse(url), lock_wait=0.5),
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
