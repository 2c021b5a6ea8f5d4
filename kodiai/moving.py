"""Move an installation from SQLite to PostgreSQL: every row, resumable, compared row by row.

The target keeps a mark, the table `kodiai_move`, that says whose copy it is. Tables are copied in the order of their
references, each batch of rows by key in a transaction; a move that was killed goes on after the last row that arrived.
While it runs, SQLite's write lock is held, so nothing can change. At the end each table is read on both sides and
compared by count and digest; only then is the mark closed.
"""

import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.color import no_style
from django.db import DatabaseError, connections, models, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

from kodiai.backups import table_with_rows
from kodiai.in_use import why_in_use
from kodiai.settings import database_settings
from kodiai.supervisor import MANAGE, child_environment
from reviews.redaction import redact
from telemetry.fields import LegacyDateTimeField
from telemetry.importing import UNREADABLE_TIME

TARGET = "target"
"""The alias of the database that is moved to."""
BATCH = 2000
"""Rows copied in one transaction, or compared at a time."""
MARK = "kodiai_move"

Model = type[models.Model]


class MoveError(Exception):
    """A move that cannot begin, or that cannot go on; the sentence says what to do."""


@dataclass(frozen=True)
class TableComparison:
    """A table on both sides."""

    table: str
    rows: int
    digest: str
    target_rows: int
    target_digest: str

    @property
    def is_equal(self) -> bool:
        """Return whether both sides hold the same rows."""
        return (self.rows, self.digest) == (self.target_rows, self.target_digest)


Progress = Callable[[str, int, int], None]
"""Called with what is done, and how many of how many rows."""


def move(address: Mapping[str, Any], url: str, progress: Progress = lambda *_: None) -> list[TableComparison]:
    """Copy every SQLite database of the installation to PostgreSQL and compare; return what was compared.

    `address` is `url` as Django's connection settings. A target that holds anything else is refused. A move that is
    complete is only compared again. Raises `MoveError`.
    """
    sources = [alias for alias in settings.DATABASES if connections[alias].vendor == "sqlite"]
    if "default" not in sources:
        raise MoveError("DATABASE_URL is not SQLite: there is nothing to move.")
    if not address["ENGINE"].endswith("postgresql"):
        raise MoveError("The target must be postgresql://user:password@host/name.")
    for alias in sources:
        if in_use := why_in_use(alias):
            raise MoveError(f"{in_use} Stop Kodiai, web and workers, and move again.")
        if alias == "default" and _is_unmigrated(connections[alias]):
            raise MoveError("The database is not migrated: run `manage.py migrate` first.")
    connections.settings[TARGET] = connections.configure_settings(
        {"default": {}, TARGET: database_settings("DATABASE_URL", address, lock_wait=10)}
    )[TARGET]
    target = connections[TARGET]
    try:
        is_complete = _begin(target, url, sources)
        with ExitStack() as stack:
            for alias in sources:
                # Begins IMMEDIATE, so no other process can write.
                stack.enter_context(transaction.atomic(using=alias))
            moved = [model for model in _in_order() if _source_of(model) in sources]
            if not is_complete:
                for model in moved:
                    _copy(model, target, progress)
            comparisons = [_compare(model, progress) for model in moved]
        if not is_complete and all(each.is_equal for each in comparisons):
            _end(target, moved)
    except DatabaseError as error:
        raise MoveError(f"A database failed: {redact(' '.join(str(error).split()))} Move again to go on.") from error
    finally:
        target.close()
    return comparisons


# The mark in the target


def _begin(target: BaseDatabaseWrapper, url: str, sources: list[str]) -> bool:
    """Make the target ready, or recognise it; return whether the move is complete. Raises `MoveError`."""
    source = ", ".join(str(Path(settings.DATABASES[alias]["NAME"]).absolute()) for alias in sources)
    if MARK in target.introspection.table_names():
        with target.cursor() as cursor:
            cursor.execute(f"SELECT source, complete FROM {MARK}")  # noqa: S608  # a constant
            row = cursor.fetchone()
        if row is None or row[0] != source:
            raise MoveError(f"The target holds the copy of another database ({row and row[0]}): give an empty one.")
        # Not migrated again: that would make content types and permissions with other keys.
        if _is_unmigrated(target):
            raise MoveError("The move was begun by another version: finish it with that, or give an empty database.")
        return bool(row[1])
    if table := table_with_rows(TARGET):
        raise MoveError(f"The target is not empty ({table} has rows): give an empty database.")
    _migrate(url)
    with transaction.atomic(using=TARGET), target.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {MARK} (source text NOT NULL, complete boolean NOT NULL DEFAULT false)")
        cursor.execute(f"INSERT INTO {MARK} (source) VALUES (%s)", [source])  # noqa: S608  # a constant
        # What migrations made comes from the source, with its keys.
        for model in reversed(_in_order()):
            cursor.execute(f"DELETE FROM {target.ops.quote_name(model._meta.db_table)}")  # noqa: S608
    return False


def _migrate(url: str) -> None:
    """Make the tables, in a process whose only database is the target."""
    environment = {
        **child_environment(),
        "DATABASE_URL": url,
        "DATABASE_URL_FILE": "",
        "KODIAI_TELEMETRY_DATABASE_URL": "",
    }
    environment["KODIAI_TELEMETRY_DATABASE_URL_FILE"] = ""
    command = [*MANAGE, "migrate", "--verbosity=0", "--skip-checks"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MoveError(f"The target cannot be migrated: {redact(done.stderr.strip().rpartition(chr(10))[2])}")


def _is_unmigrated(connection: BaseDatabaseWrapper) -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _end(target: BaseDatabaseWrapper, moved: list[Model]) -> None:
    """Let new rows have keys after those that were copied, and close the mark."""
    with transaction.atomic(using=TARGET), target.cursor() as cursor:
        for statement in target.ops.sequence_reset_sql(no_style(), moved):
            cursor.execute(statement)
        cursor.execute(f"UPDATE {MARK} SET complete = true")  # noqa: S608  # a constant


# Tables and rows


def _in_order() -> list[Model]:
    """Return every table, each after those that it refers to."""
    left: list[Model] = [m for m in apps.get_models(include_auto_created=True) if m._meta.managed and not m._meta.proxy]
    done: list[Model] = []
    while left:
        free = [model for model in left if not _references(model) & set(left) - {model}]
        done += free
        left = [model for model in left if model not in free]
    return done


def _references(model: Model) -> set[Any]:
    return {each.related_model for each in model._meta.concrete_fields if each.is_relation}


def _source_of(model: Model) -> str:
    return router.db_for_read(model) or "default"


def _pages(model: Model, using: str, after: Any = None) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows of a table in the order of their keys, the key first."""
    names = ["pk", *(each.attname for each in model._meta.concrete_fields)]
    rows = model._base_manager.using(using).order_by("pk").values_list(*names)
    while page := list((rows if after is None else rows.filter(pk__gt=after))[:BATCH]):
        yield page
        after = page[-1][0]


def _copy(model: Model, target: BaseDatabaseWrapper, progress: Progress) -> None:
    """Copy what the target does not have of a table."""
    source, table = _source_of(model), model._meta.db_table
    total = model._base_manager.using(source).count()
    there = model._base_manager.using(TARGET)
    if isinstance(model._meta.pk, models.IntegerField | models.AutoField | models.OneToOneField):
        last = there.aggregate(last=models.Max("pk"))["last"]
        done = there.count()
        for page in _pages(model, source, last):
            with transaction.atomic(using=TARGET):
                _insert(model, target, page)
            done += len(page)
            progress(f"copy {table}", done, total)
        return
    # Text is ordered in another way there, so such a table is copied as a whole: sessions, tokens, tasks.
    with transaction.atomic(using=TARGET):
        with target.cursor() as cursor:
            cursor.execute(f"DELETE FROM {target.ops.quote_name(table)}")  # noqa: S608
        for page in _pages(model, source):
            _insert(model, target, page)
    progress(f"copy {table}", total, total)


def _insert(model: Model, target: BaseDatabaseWrapper, page: list[tuple[Any, ...]]) -> None:
    fields = model._meta.concrete_fields
    quote = target.ops.quote_name
    columns = ", ".join(quote(each.column or "") for each in fields)
    adapters = [_adapter(each, target) for each in fields]
    into = f"COPY {quote(model._meta.db_table)} ({columns}) FROM STDIN"
    with target.wrap_database_errors, target.cursor() as cursor, cursor.copy(into) as copy:
        for row in page:
            values = zip(adapters, row[1:], strict=True)
            copy.write_row([value if adapt is None else adapt(value) for adapt, value in values])


def _adapter(field: Any, target: BaseDatabaseWrapper) -> Callable[[Any], Any] | None:
    if isinstance(field, models.JSONField):
        return lambda value: field.get_db_prep_save(value, target)
    if isinstance(field, LegacyDateTimeField) and not field.null:
        # SQLite keeps whatever was written; PostgreSQL keeps times.
        return lambda value: value or UNREADABLE_TIME
    return None


def _compare(model: Model, progress: Progress) -> TableComparison:
    source = _summary(model, _source_of(model), progress)
    there = _summary(model, TARGET, lambda *_: None)
    return TableComparison(model._meta.db_table, *source, *there)


def _summary(model: Model, using: str, progress: Progress) -> tuple[int, str]:
    """Return the number of rows and their digest, whatever their order."""
    times = {
        number
        for number, each in enumerate(model._meta.concrete_fields)
        if isinstance(each, LegacyDateTimeField) and not each.null
    }
    count, digest = 0, 0
    total = model._base_manager.using(using).count()
    for page in _pages(model, using):
        for row in page:
            values = [(value or UNREADABLE_TIME) if n in times else value for n, value in enumerate(row[1:])]
            written = json.dumps(values, sort_keys=True, default=_written).encode()
            digest = (digest + int.from_bytes(hashlib.sha256(written).digest())) % 2**256
        count += len(page)
        progress(f"compare {model._meta.db_table}", count, total)
    return count, f"{digest:064x}"


def _written(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
