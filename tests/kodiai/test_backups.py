"""Backups are whole and private; a restore that would destroy or confuse something is refused, and changes nothing."""

import json
import sqlite3
import stat
import threading
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kodiai.backups import BackupError, _copy_sqlite
from tests.support import processes
from tests.support.databases import Database, empty_database

pytestmark = [pytest.mark.slow, pytest.mark.database]

ROW = (
    "INSERT INTO rate_limit_events (repo, event_type, cache_hit_rate, skipped_queries, retry_attempts, "
    "degradation_path) VALUES ('octo/{}', 'x', 0, 0, 0, 'none')"
)


class Installation:
    def __init__(self, url: str, folder: Path) -> None:
        self.database, self.folder = Database(url), folder
        self.settings = {"DATABASE_URL": url, "KODIAI_SECRET_KEY": "k" * 40}

    def manage(self, *arguments: str, **settings: str) -> tuple[int, str]:
        manage = str(processes.ROOT / "manage.py")
        done = processes.python(manage, *arguments, cwd=self.folder, **self.settings | settings)
        return done.returncode, done.stdout + done.stderr

    def repos(self) -> list[str]:
        return [repo for (repo,) in self.database.fetch("SELECT repo FROM rate_limit_events ORDER BY id")]


@pytest.fixture(scope="module")
def backed_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, Path]]:
    """An installation and its backup. Tests restore it, in any order."""
    folder = tmp_path_factory.mktemp("backups")
    with empty_database(folder) as url:
        installation = Installation(url, folder)
        assert installation.manage("migrate", "-v0") == (0, "")
        installation.database.execute(ROW.format("before"))
        status, said = installation.manage("backup", "backup")
        assert status == 0, said
        yield installation, folder / "backup"


def with_a_later_row(installation: Installation) -> list[str]:
    """Add a row that the backup does not have; return the rows that are there then."""
    installation.database.execute(ROW.format("after"))
    return installation.repos()


def forged(file: Path, target: Path, **changes: Any) -> Path:
    """Copy a backup with another manifest."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(target, "w") as new:
        manifest = json.loads(old.read("manifest.json"))
        manifest["databases"]["default"] |= changes.pop("part", {})
        new.writestr("manifest.json", json.dumps(manifest | changes))
        for name in old.namelist()[1:]:
            new.writestr(name, old.read(name))
    return target


def test_a_backup_is_private_and_overwrites_nothing(backed_up: tuple[Installation, Path]) -> None:
    installation, file = backed_up

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each for each in file.parent.iterdir() if each.name.startswith(".kodiai")] == []
    status, said = installation.manage("backup", str(file))
    assert (status, "exists" in said) == (1, True)


def test_what_does_not_fit_is_refused_and_changes_nothing(backed_up: tuple[Installation, Path], tmp_path: Path) -> None:
    installation, file = backed_up
    other = tmp_path / "other"
    other.write_bytes(b"no backup")
    newer = forged(file, tmp_path / "newer", part={"migrations": ["reviews.9999_later"]})
    before = with_a_later_row(installation)
    wrong = [
        (other, "no backup of Kodiai"),
        (tmp_path / "absent", "cannot be read"),
        (forged(file, tmp_path / "format", format=2), "reads format 1"),
        (forged(file, tmp_path / "damaged", part={"sha256": "0"}), "damaged"),
        (forged(file, tmp_path / "kind", part={"engine": "oracle"}), "move_database"),
        (newer, "newer version"),
    ]

    for path, why in wrong:
        status, said = installation.manage("restore", "--replace", str(path))
        assert (status, why in said) == (1, True), said
    status, said = installation.manage("restore", str(file))
    assert (status, "--replace replaces it" in said) == (1, True), said
    with closing(installation.database.connect()) as connection:
        connection.execute("SELECT count(*) FROM rate_limit_events").fetchall()
        status, said = installation.manage("restore", "--replace", str(file))
    assert (status, "Stop Kodiai" in said) == (1, True), said
    assert installation.repos() == before


def test_a_failed_restore_leaves_the_database_as_it_was(backed_up: tuple[Installation, Path], tmp_path: Path) -> None:
    installation, file = backed_up
    if not installation.database.is_postgresql:
        pytest.skip("SQLite's own transaction copies the pages")
    # The dump ends in the middle of a table, and its checksum is right.
    with zipfile.ZipFile(file) as archive:
        dump = archive.read("default.dump")[:-20_000]
    import hashlib

    short = tmp_path / "short"
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(short, "w") as new:
        manifest = json.loads(old.read("manifest.json"))
        manifest["databases"]["default"] |= {"size": len(dump), "sha256": hashlib.sha256(dump).hexdigest()}
        new.writestr("manifest.json", json.dumps(manifest))
        new.writestr("default.dump", dump)

    before = with_a_later_row(installation)
    status, said = installation.manage("restore", "--replace", str(short))
    assert (status, "was not changed" in said) == (1, True), said
    assert installation.repos() == before


def test_a_restore_replaces_all_and_fills_an_empty_database(
    backed_up: tuple[Installation, Path], tmp_path: Path
) -> None:
    installation, file = backed_up
    with_a_later_row(installation)
    # A table of a later version refers to one of the backup.
    later = "CREATE TABLE reviews_later (id integer, review_id bigint REFERENCES reviews_review (id))"
    installation.database.execute(later)

    status, said = installation.manage("restore", "--replace", str(file))
    assert status == 0, said
    assert installation.repos() == ["octo/before"]
    with empty_database(tmp_path) as url:
        empty = Installation(url, tmp_path)
        status, said = empty.manage("restore", str(file))
        assert status == 0, said
        assert empty.repos() == ["octo/before"]
        assert empty.manage("migrate", "--check")[0] == 0


def test_a_missing_program_is_named_with_its_package(backed_up: tuple[Installation, Path]) -> None:
    installation, _ = backed_up
    if not installation.database.is_postgresql:
        pytest.skip("SQLite needs no program")

    status, said = installation.manage("backup", "another", PATH="/nowhere")
    assert (status, "pg_dump is missing" in said, "apt install postgresql-client" in said) == (1, True, True), said


def test_a_copy_of_sqlite_is_of_one_moment_while_others_write(tmp_path: Path) -> None:
    name, ended = tmp_path / "busy.sqlite3", threading.Event()
    with closing(sqlite3.connect(name, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        for table in ("first", "second"):
            connection.execute(f"CREATE TABLE {table} (n integer, text)")

    def write() -> None:
        with closing(sqlite3.connect(name, isolation_level=None, timeout=30)) as connection:
            for number in range(1_000_000):
                if ended.is_set():
                    return
                connection.execute("BEGIN IMMEDIATE")
                for table in ("first", "second"):
                    connection.execute(f"INSERT INTO {table} VALUES (?, ?)", (number, "x" * 500))
                connection.execute("COMMIT")

    writer = threading.Thread(target=write)
    writer.start()
    found = []
    try:
        while len(found) < 5 or found[-1] == found[0]:
            copy = tmp_path / f"copy-{len(found)}"
            _copy_sqlite(str(name), copy)
            with closing(sqlite3.connect(copy)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                counts = [connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("first", "second")]
            assert counts[0] == counts[1]
            found.append(counts[0])
    finally:
        ended.set()
        writer.join()
    with pytest.raises(BackupError, match="does not exist"):
        _copy_sqlite(str(tmp_path / "absent"), tmp_path / "none")
