"""What `import_telemetry` reads: a SQLite file, a PostgreSQL database, or an export as JSON Lines or CSV.

A source is never written to: SQLite is opened with `mode=ro`, PostgreSQL in read-only transactions. It may be in use:
databases are read in pages, each a short transaction, so that a writer of the source waits for none longer than that.
"""

import csv
import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from telemetry.exporting import FORMULA
from telemetry.models import Execution, RateLimitEvent

Model = type[RateLimitEvent] | type[Execution]
Page = Sequence[tuple[Any, ...]]

BATCH = 2000
"""Rows read, and stored in one transaction."""
TABLES: dict[str, Model] = {
    "rate_limit_events": RateLimitEvent,
    "executions": Execution,
    # Of the legacy system's later versions, on PostgreSQL. A view of `executions` once Kodiai has taken it over.
    "telemetry_events": Execution,
}
NEEDED: dict[Model, tuple[str, ...]] = {
    RateLimitEvent: ("repo", "event_type", "cache_hit_rate", "skipped_queries", "retry_attempts", "degradation_path"),
    Execution: ("repo", "event_type", "model", "conclusion"),
}
"""Columns that a table of the source must have."""
MAX_INDENT = 1024
"""Characters in which an export as JSON Lines must begin."""
MAX_CELL = 2**31 - 1
"""Characters of a cell of an export as CSV. Python's own limit is 131,072, and a text of a table may have more."""
_ADDRESS = re.compile("([a-z][a-z0-9+.-]*)://(.*)", re.IGNORECASE | re.DOTALL)
_FIRST_ID = -(2**63)
_SQLITE_MAGIC = b"SQLite format 3\0"


class SourceUnreadable(Exception):
    """The source cannot be read; the message says why, in a sentence without secrets."""


@dataclass(frozen=True)
class SourceTable:
    """A table of a source. Each row of a page is its id, or its line, and the values of `columns`."""

    name: str
    model: Model
    columns: tuple[str, ...]
    count: int
    pages: Callable[[], Iterator[Page]]


@contextmanager
def open_source(source: str) -> Iterator[list[SourceTable]]:
    """Yield the telemetry tables of a path or database URL. Raises SourceUnreadable, also while they are read."""
    address = _ADDRESS.match(source)
    scheme, rest = (address[1].lower(), address[2]) if address else ("", source)
    try:
        if scheme in ("postgres", "postgresql"):
            with closing(psycopg.connect(_conninfo(rest), autocommit=True, connect_timeout=10)) as connection:
                yield _postgresql_tables(connection)
            return
        if scheme and not (scheme == "sqlite" and rest.startswith("/")):
            raise SourceUnreadable(
                f"SOURCE begins with {scheme}://. Accepted are a path, sqlite:///path and postgresql://…."
            )
        path = Path(rest.removeprefix("/") if scheme else source)
        with path.open("rb") as file:
            head = file.read(len(_SQLITE_MAGIC))
        if head in (b"", _SQLITE_MAGIC):
            uri = f"file:{quote(str(path.absolute()))}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as sqlite:
                sqlite.text_factory = lambda value: value.decode("utf-8", "replace")
                yield _sqlite_tables(sqlite)
        else:
            yield _export_tables(path)
    # No message shows SOURCE: what is not read as an address may hold a password all the same.
    except OSError as error:
        raise SourceUnreadable(f"SOURCE cannot be read: {error.strerror or error}.") from error
    except sqlite3.Error as error:
        raise SourceUnreadable(f"SOURCE cannot be read as a SQLite file: {error}.") from error
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise SourceUnreadable(f"The PostgreSQL database of SOURCE cannot be read: {reason}") from error


def _conninfo(address: str) -> str:
    """Return what libpq connects to. Raises SourceUnreadable where its message would show part of the password."""
    conninfo = f"postgresql://{address}"
    try:
        port = str(conninfo_to_dict(conninfo).get("port", ""))
    except psycopg.ProgrammingError:
        port = "none"
    if re.search("[@/?#]", address.rpartition("@")[0]) or not re.fullmatch("[0-9,]*", port):
        raise SourceUnreadable(
            "SOURCE is not an address that PostgreSQL reads: postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with "
            "special characters of the password as %XX."
        )
    return conninfo


def _known(name: str, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that are imported. Raises SourceUnreadable if the table lacks one that it needs."""
    model = TABLES[name]
    if missing := [column for column in ("id", *NEEDED[model]) if column not in columns]:
        raise SourceUnreadable(f"The table {name} of SOURCE is not one of telemetry: it has no {', '.join(missing)}.")
    return tuple(field.name for field in model._meta.concrete_fields if field.name in columns and field.name != "id")


def _pages(fetch: Callable[[int], Page]) -> Callable[[], Iterator[Page]]:
    """Read page after page, each behind the last id of the one before."""

    def pages() -> Iterator[Page]:
        last = _FIRST_ID
        while page := fetch(last):
            yield page
            last = page[-1][0]

    return pages


# SQLite


def _sqlite_tables(connection: sqlite3.Connection) -> list[SourceTable]:
    def table(name: str) -> SourceTable:
        # Names have no letter case here; table_xinfo has generated columns too.
        columns = _known(name, [row[1].lower() for row in connection.execute(f"PRAGMA table_xinfo({name})")])
        key = _sqlite_key(connection, name)
        sql = f"SELECT {key}, {', '.join(columns)} FROM {name} WHERE {key} > ? ORDER BY {key} LIMIT {BATCH}"  # noqa: S608
        (count,) = connection.execute(f"SELECT count(*) FROM {name}").fetchone()  # noqa: S608
        return SourceTable(
            name, TABLES[name], columns, count, _pages(lambda last: connection.execute(sql, [last]).fetchall())
        )

    found = {row[0] for row in connection.execute("SELECT lower(name) FROM sqlite_master WHERE type = 'table'")}
    return [table(name) for name in TABLES if name in found]


def _sqlite_key(connection: sqlite3.Connection, name: str) -> str:
    """Return what identifies a row: the rowid, which in the legacy tables is the id, or the key of a table without."""
    try:
        connection.execute(f"SELECT rowid FROM {name} LIMIT 0")  # noqa: S608
    except sqlite3.OperationalError:
        return "id"
    return "rowid"


# PostgreSQL


def _postgresql_tables(connection: "psycopg.Connection[Any]") -> list[SourceTable]:
    connection.execute("SET default_transaction_read_only = on")

    def expression(column: str, kind: str) -> str:
        if kind in ("real", "double precision", "numeric"):
            # By way of text 0.1 of a single-precision column stays 0.1.
            return f"{column}::text"
        if kind.startswith("timestamp"):
            # Python has no "infinity" and no year 10000.
            return f"CASE WHEN {column} BETWEEN '0001-01-02' AND '9999-12-31' THEN {column} END"
        return column

    def table(name: str) -> SourceTable:
        kinds = dict(
            connection.execute(
                "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute "
                "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
                [name],
            ).fetchall()
        )
        columns = _known(name, list(kinds))
        values = ", ".join(expression(column, kinds[column]) for column in columns)
        sql = f"SELECT id, {values} FROM {name} WHERE id > %s ORDER BY id LIMIT {BATCH}"  # noqa: S608
        (count,) = connection.execute(f"SELECT count(*) FROM {name}").fetchone() or (0,)  # noqa: S608
        return SourceTable(
            name,
            TABLES[name],
            columns,
            count,
            _pages(lambda last: connection.execute(sql, [last]).fetchall()),
        )

    tables = connection.execute(
        "SELECT name FROM unnest(%s::text[]) AS name JOIN pg_class ON oid = to_regclass(name) "
        "WHERE relkind IN ('r', 'p')",
        [[*TABLES]],
    )
    found = {row[0] for row in tables}
    return [table(name) for name in TABLES if name in found]


# Exports


def _export_tables(path: Path) -> list[SourceTable]:
    """The rows of an export, which may be of both kinds: a rate-limit event has a `degradation_path`."""
    names: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    for line, row in _lines(path):
        name = _kind(line, row)
        counts[name] = counts.get(name, 0) + 1
        # A row may lack what is null in it.
        names.setdefault(name, {"id"}).update(row)
    columns = {name: _known(name, [*found]) for name, found in names.items()}

    def pages(name: str) -> Iterator[Page]:
        rows = (
            (line, *(row.get(column) for column in columns[name]))
            for line, row in _lines(path)
            if _kind(line, row) == name
        )
        while page := list(islice(rows, BATCH)):
            yield page

    def table(name: str) -> SourceTable:
        return SourceTable(name, TABLES[name], columns[name], counts[name], lambda: pages(name))

    return [table(name) for name in TABLES if name in columns]


def _kind(line: int, row: dict[str, Any]) -> str:
    if "degradation_path" in row:
        return "rate_limit_events"
    if "conclusion" in row:
        return "executions"
    raise SourceUnreadable(f"Line {line} of SOURCE is neither a rate-limit event nor an execution.")


def _cell(value: Any) -> Any:
    """Return the value that an export wrote into a cell: CSV has no null, and Kodiai quotes what may be a formula."""
    if isinstance(value, str) and value.startswith("'") and value[1:].startswith(FORMULA):
        return value[1:]
    return value or None


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each row of an export with its line, as a dict."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            is_json = file.read(MAX_INDENT).lstrip()[:1] == "{"
            file.seek(0)
            if not is_json:
                csv.field_size_limit(MAX_CELL)
                for row in (reader := csv.DictReader(file)):
                    yield reader.line_num, {name: _cell(value) for name, value in row.items() if name}
                return
            for number, line in enumerate(file, start=1):
                if line.strip():
                    if not isinstance(row := json.loads(line), dict):
                        raise ValueError(f"line {number} is no object")
                    yield number, row
        except (ValueError, RecursionError, csv.Error) as error:
            raise SourceUnreadable(
                f"SOURCE is neither a SQLite file nor an export as JSON Lines or CSV: {error}."
            ) from error
