"""Backups: one file with every database of the installation, that `restore` checks whole before it changes anything.

The file is a zip: `manifest.json`, then a part for each database. SQLite is copied by its online backup API, PostgreSQL
by pg_dump. The main database goes first: a run that it does not know leaves at most a telemetry row, which the run
finds when it is redelivered; the other way round a row would be missing that the run believes to be recorded.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from kodiai.in_use import why_in_use
from kodiai.private_files import FILE_MODE
from reviews.local.version import version
from reviews.maintenance.redelivery import doubt_what_was_under_way
from reviews.redaction import redact

FORMAT = 1
"""Version of the file's layout. A reader refuses any other."""
MANIFEST = "manifest.json"
MAX_MANIFEST = 1024 * 1024
CHUNK = 1024 * 1024
POSTGRES_CLIENT = "install PostgreSQL's client programs, as new as the server: apt install postgresql-client"


class BackupError(Exception):
    """A backup that cannot be made, read or restored; the sentence says what to do."""


@dataclass(frozen=True)
class Part:
    """A database in a backup."""

    engine: str
    """`sqlite` or `postgresql`."""
    file: str
    sha256: str
    size: int
    migrations: list[str]
    """Applied migrations, as `app.name`."""


@dataclass(frozen=True)
class Manifest:
    """What a backup holds."""

    format: int
    kodiai: str
    """The version that made it."""
    created_at: str
    databases: dict[str, Part]


# Back up


def write(path: Path) -> Manifest:
    """Write a backup that only its owner can read; Kodiai may run meanwhile. Raises `BackupError`."""
    if path.exists():
        raise BackupError(f"{path} exists: give another name, or remove it.")
    try:
        with TemporaryDirectory(prefix=".kodiai-backup-", dir=path.parent) as folder:
            parts = {alias: _dumped(alias, Path(folder)) for alias in settings.DATABASES}
            manifest = Manifest(FORMAT, version(), timezone.now().isoformat(timespec="seconds"), parts)
            whole = Path(folder, "backup")
            with _private(whole) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                archive.writestr(MANIFEST, json.dumps(asdict(manifest), indent=2))
                for part in parts.values():
                    archive.write(Path(folder, part.file), part.file)
            whole.rename(path)
    except OSError as error:
        raise BackupError(f"{path} cannot be written: {error.strerror or error}.") from error
    return manifest


def _dumped(alias: str, folder: Path) -> Part:
    connection = connections[alias]
    is_sqlite = connection.vendor == "sqlite"
    file = folder / f"{alias}.{'sqlite3' if is_sqlite else 'dump'}"
    if is_sqlite:
        _copy_sqlite(str(connection.settings_dict["NAME"]), file)
        migrations = _migrations_in(file)
    else:
        # Before the dump: a migration that is applied in between is applied once more, which migrations can bear.
        migrations = _applied(alias)
        _private(file).close()
        _run("pg_dump", alias, "--format=custom", "--no-owner", "--no-privileges", f"--file={file}")
    return Part("sqlite" if is_sqlite else "postgresql", file.name, _digest(file), file.stat().st_size, migrations)


def _copy_sqlite(name: str, target: Path) -> None:
    """Copy a SQLite file in use, as of one moment: all pages in one step, while writers go on in the log."""
    if not Path(name).is_file():
        raise BackupError(f"{name} does not exist: Kodiai has never started with these settings.")
    _private(target).close()
    try:
        with closing(sqlite3.connect(name, timeout=60)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise BackupError(f"{name} cannot be copied: {error}.") from error


def _migrations_in(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as copy:
        try:
            return [
                f"{app}.{name}" for app, name in copy.execute("SELECT app, name FROM django_migrations ORDER BY id")
            ]
        except sqlite3.OperationalError:
            return []


def _applied(alias: str) -> list[str]:
    recorded = MigrationRecorder(connections[alias]).applied_migrations()
    return [f"{app}.{name}" for app, name in recorded]


# Restore


def restore(path: Path, *, replace: bool) -> Manifest:
    """Put a backup in the place of the configured databases, and migrate them. Kodiai has to be stopped.

    Everything is checked first: format, version, checksums, engines, whether the databases are in use, and whether
    they are empty (unless `replace`). Each database is replaced in one transaction. Raises `BackupError`.
    """
    with _opened(path) as (archive, manifest), TemporaryDirectory(prefix=".kodiai-restore-", dir=_room()) as folder:
        _check_fits(manifest)
        files = {alias: _extracted(archive, part, Path(folder)) for alias, part in manifest.databases.items()}
        for alias in manifest.databases:
            if in_use := why_in_use(alias):
                raise BackupError(f"{in_use} Stop Kodiai, web and workers, and restore again.")
            if not replace and (table := table_with_rows(alias)):
                raise BackupError(f"The database {alias} is not empty ({table} has rows): --replace replaces it.")
        for alias, file in files.items():
            (_restore_sqlite if file.suffix == ".sqlite3" else _restore_postgresql)(alias, file)
        for alias in files:
            call_command("migrate", database=alias, fake_initial=True, interactive=False, verbosity=0, skip_checks=True)
        doubt_what_was_under_way()
    return manifest


def table_with_rows(alias: str) -> str:
    """Return a table of a database that has rows of Kodiai's or an administrator; empty if it has none."""
    connection = connections[alias]
    try:
        tables = set(connection.introspection.table_names())
        models = [apps.get_model("auth", "User"), *(m for label in ("reviews", "telemetry") for m in _models(label))]
        for model in models:
            # A database in an unknown state, such as a legacy file: its columns may differ.
            if (table := model._meta.db_table) in tables:
                with connection.cursor() as cursor:
                    cursor.execute(f"SELECT 1 FROM {connection.ops.quote_name(table)} LIMIT 1")  # noqa: S608
                    if cursor.fetchone():
                        return str(table)
    finally:
        connection.close()
    return ""


def _models(label: str) -> list[Any]:
    return list(apps.get_app_config(label).get_models())


@contextmanager
def _opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    try:
        with zipfile.ZipFile(path) as archive:
            with archive.open(MANIFEST) as file:
                document = json.loads(file.read(MAX_MANIFEST))
            if document.get("format") != FORMAT:
                made_by = f"Kodiai {document.get('kodiai')}, format {document.get('format')}"
                raise BackupError(f"{path} was made by {made_by}; this version reads format {FORMAT}.")
            document["databases"] = {alias: Part(**part) for alias, part in document["databases"].items()}
            yield archive, Manifest(**document)
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (zipfile.BadZipFile, KeyError, TypeError, AttributeError, ValueError) as error:
        raise BackupError(f"{path} is no backup of Kodiai, or is damaged: {error}.") from error


def _check_fits(manifest: Manifest) -> None:
    here = {alias: connections[alias].vendor for alias in settings.DATABASES}
    there = {alias: part.engine for alias, part in manifest.databases.items()}
    if here != there:
        raise BackupError(
            f"The backup holds {_listed(there)}, and the settings name {_listed(here)}. Set DATABASE_URL and "
            "KODIAI_TELEMETRY_DATABASE_URL to databases of the same kinds; `manage.py move_database` changes the kind."
        )
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    own = {config.label for config in apps.get_app_configs()}
    for part in manifest.databases.values():
        newer = [name for name in part.migrations if name not in known and name.partition(".")[0] in own]
        if newer:
            raise BackupError(
                f"The backup is of a newer version, {manifest.kodiai}: this one, {version()}, does not know the "
                f"migration {newer[0]}. Install that version."
            )


def _listed(engines: dict[str, str]) -> str:
    return ", ".join(f"{alias} ({engine})" for alias, engine in sorted(engines.items()))


def _room() -> Path | None:
    """The folder of the database file, which has room for it; None for the system's temporary folder."""
    if connections["default"].vendor != "sqlite":
        return None
    folder = Path(str(connections["default"].settings_dict["NAME"])).absolute().parent
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _extracted(archive: zipfile.ZipFile, part: Part, folder: Path) -> Path:
    """Return the file of a part, whose checksum is right."""
    file = folder / Path(part.file).name
    with archive.open(part.file) as source, _private(file) as target:
        shutil.copyfileobj(source, target, CHUNK)
    if (file.stat().st_size, _digest(file)) != (part.size, part.sha256):
        raise BackupError(f"{part.file} in the backup is damaged: its checksum is wrong. Nothing was changed.")
    return file


def _restore_sqlite(alias: str, file: Path) -> None:
    """Copy the pages into the database, in one transaction of SQLite: it is the old one or the new one."""
    connection = connections[alias]
    try:
        connection.ensure_connection()
        with closing(sqlite3.connect(file)) as source:
            source.backup(connection.connection)
    except (sqlite3.Error, DatabaseError) as error:
        raise BackupError(f"{connection.settings_dict['NAME']} cannot be replaced: {error}.") from error
    finally:
        connection.close()


def _restore_postgresql(alias: str, file: Path) -> None:
    """Run the dump in one transaction, after the tables that are there have been dropped in it.

    Those of a newer version are not in the dump, and may refer to those that are.
    """
    connection = connections[alias]
    labels = tuple(f"{config.label}_" for config in apps.get_app_configs())
    own = {model._meta.db_table for model in apps.get_models(include_auto_created=True)} | {"django_migrations"}
    tables = [name for name in connection.introspection.table_names() if name in own or name.startswith(labels)]
    connection.close()
    drop = "".join(f"DROP TABLE IF EXISTS {connection.ops.quote_name(table)} CASCADE;\n" for table in tables)
    dump, _ = _client("pg_restore", alias)
    command, environment = _client("psql", alias)
    script = [*command, "--no-psqlrc", "--quiet", "--output=/dev/null", "--set=ON_ERROR_STOP=1"]
    psql = subprocess.Popen(script, env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert psql.stdin is not None  # noqa: S101  # it is a pipe
    complete, warning = False, b""
    # psql ends at the first error.
    with suppress(BrokenPipeError), psql.stdin as statements:
        statements.write(f"BEGIN;\nSET LOCAL lock_timeout = '10s';\n{drop}".encode())
        statements.flush()
        options = ["--clean", "--if-exists", "--no-owner", "--no-privileges", "--file=-", str(file)]
        done = subprocess.run([dump[0], *options], stdout=statements, stderr=subprocess.PIPE, check=False)
        complete, warning = done.returncode == 0, done.stderr
        # Without a commit, what came so far is rolled back.
        statements.write(b"COMMIT;\n" if complete else b"ROLLBACK;\n")
    failure = psql.stderr.read() if psql.stderr else b""
    if psql.wait() or not complete:
        raise BackupError(f"The database {alias} was not changed: {_first_line(failure or warning)}")


# PostgreSQL's programs


def _client(program: str, alias: str) -> tuple[list[str], dict[str, str]]:
    """Return the command that connects a program to a database, and its environment, which holds the password."""
    client = connections[alias].client
    arguments, more = client.settings_to_cmd_args_env(connections[alias].settings_dict, [])
    found = shutil.which(program)
    if found is None:
        raise BackupError(f"{program} is missing: {POSTGRES_CLIENT}.")
    return [found, *arguments[1:]], {**os.environ, **(more or {})}


def _run(program: str, alias: str, *options: str) -> None:
    command, environment = _client(program, alias)
    done = subprocess.run([*command, *options], env=environment, capture_output=True, check=False)
    if done.returncode:
        raise BackupError(f"{program} failed: {_first_line(done.stderr)}")


def _first_line(output: bytes) -> str:
    lines = redact(output.decode("utf-8", "replace")).strip().splitlines()
    return (lines or ["it says nothing"])[0]


def _private(path: Path) -> IO[bytes]:
    """Make a file that only its owner can read."""
    return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, FILE_MODE), "w+b")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
