"""Merge the telemetry of another database or an export into this one: each row once, however often it is imported.

A row with an identity that is not here yet is stored with it. If the identity is here with the same values, the row is
equal; with other values it is a conflict: the first write wins, so the row that is here stays, and the other is stored
without the identity, its delivery id in `legacy_delivery_id`, as migration 0004 does. Rows without an identity are
recognised by their content, as often as they occur. So an import that was interrupted, or is repeated, adds what is
missing and nothing else: each batch is one transaction, and only the tables show how far it came.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from django.db import connections, models, router, transaction
from django.utils.dateparse import parse_datetime

from telemetry.fields import LegacyDateTimeField
from telemetry.import_sources import Model, Page, SourceTable

UNREADABLE_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""Time of a row whose own cannot be read: the same at each import, and visibly none."""
MAX_LISTED = 10_000
"""Conflicts, and refused rows, that are kept to be listed; all are counted."""
ATTEMPTS = 5
"""Tries to store a batch while another process writes the same identities."""
_MAX_INTEGER = 2**31 - 1
_IDENTITY = ("created_at", "delivery_id", "legacy_delivery_id", "event_type")
"""Columns that come first in a `Row`; the values that the first write decides follow."""

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Conflict:
    """A row whose identity is here already with other values."""

    source_id: int
    delivery_id: str
    event_type: str
    differences: dict[str, tuple[Any, Any]]
    """By column: the value here, which stays, and that of the source."""


@dataclass
class Outcome:
    """What became of the rows of one table: each is new, equal, in conflict or refused."""

    table: str
    read: int = 0
    new: int = 0
    equal: int = 0
    conflicts: int = 0
    refused: int = 0
    unreadable_times: int = 0
    listed_conflicts: list[Conflict] = field(default_factory=list)
    listed_refused: list[tuple[int, str]] = field(default_factory=list)
    """Id in the source, and why the row cannot be stored."""


class Raced(Exception):
    """Another process stored one of the identities of a batch meanwhile."""


def import_table(source: SourceTable, progress: Callable[[int], None] = lambda rows: None) -> Outcome:
    """Merge a table; `progress` is called with the rows of each batch, after its commit. Raises SourceUnreadable."""
    return _Target(source).merge(source, progress)


class _Target:
    """The table that is imported into."""

    def __init__(self, source: SourceTable) -> None:
        self.model: Model = source.model
        self.using = router.db_for_write(self.model)
        fields = {each.name: each for each in self.model._meta.concrete_fields if each.name != "id"}
        self.columns = (*_IDENTITY, *(name for name in fields if name not in _IDENTITY))
        self.readers = [_reader(fields[name]) for name in self.columns]
        self.types = [fields[name].db_type(connections[self.using]) for name in self.columns]
        # What the source does not have, such as the author in its first versions, makes no row differ.
        shared = {*source.columns, *_IDENTITY}
        self.shared = [index for index, name in enumerate(self.columns) if name in shared]
        self.decided = [index for index in self.shared if index >= len(_IDENTITY)]
        order = [source.columns.index(name) + 1 if name in source.columns else -1 for name in self.columns]
        self.reading = list(zip(self.readers, order, strict=True))
        limits = {"cache_hit_rate": 1, "skipped_queries": _MAX_INTEGER, "retry_attempts": _MAX_INTEGER}
        self.limits = [(self.columns.index(name), name, most) for name, most in limits.items() if name in fields]
        self.loose = self._loose_rows()

    def merge(self, source: SourceTable, progress: Callable[[int], None]) -> Outcome:
        outcome = Outcome(source.name)
        for page in source.pages():
            rows = self._read(page, outcome)
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    self._store(rows, outcome)
                    break
                except Raced:
                    if attempt == ATTEMPTS:
                        raise
            outcome.read += len(page)
            progress(len(page))
        return outcome

    def _loose_rows(self) -> Counter[bytes]:
        """The rows here that have no identity, by their content."""
        found = self.model._base_manager.using(self.using).filter(delivery_id__isnull=True)
        return Counter(
            self._digest(tuple(map(_read_here, self.readers, values)))
            for values in found.values_list(*self.columns).iterator(chunk_size=2000)
        )

    def _digest(self, row: Row) -> bytes:
        return blake2b(repr([row[index] for index in self.shared]).encode(), digest_size=16).digest()

    def _read(self, page: Page, outcome: Outcome) -> list[tuple[int, Row]]:
        """Return the rows of a page, with their ids in the source, as they are stored here."""
        rows = []
        for source in page:
            try:
                # What the source does not have is None: it stands behind the last of its values.
                values = (*source, None)
                row = tuple([read(values[index]) for read, index in self.reading])
                self._check_ranges(row)
            except (ValueError, TypeError, OverflowError) as error:
                outcome.refused += 1
                if len(outcome.listed_refused) < MAX_LISTED:
                    outcome.listed_refused.append((source[0], str(error)))
                continue
            outcome.unreadable_times += row[0] == UNREADABLE_TIME
            rows.append((source[0], row))
        return rows

    def _check_ranges(self, row: Row) -> None:
        """Raise ValueError for what the table's check constraints refuse."""
        for index, name, most in self.limits:
            if not 0 <= row[index] <= most:
                raise ValueError(f"{name} {row[index]} is not in 0 to {most}")

    def _store(self, rows: Sequence[tuple[int, Row]], outcome: Outcome) -> None:
        """Store what is new of a batch, in one transaction. Raises `Raced`, with nothing stored or counted."""
        new: list[Row] = []
        taken: Counter[bytes] = Counter()
        conflicts: list[Conflict] = []
        added = 0
        with transaction.atomic(using=self.using):
            here = self._identities([row[1] for _, row in rows if row[1] is not None])
            for source_id, row in rows:
                created_at, delivery_id, _, event_type = row[: len(_IDENTITY)]
                if delivery_id is not None:
                    first = here.setdefault((delivery_id, event_type), row)
                    if first is row:
                        new.append(row)
                        added += 1
                        continue
                    differences = {
                        self.columns[index]: (first[index], row[index])
                        for index in self.decided
                        if first[index] != row[index]
                    }
                    if not differences:
                        continue
                    conflicts.append(Conflict(source_id, delivery_id, event_type, differences))
                    row = (created_at, None, delivery_id, event_type, *row[len(_IDENTITY) :])
                digest = self._digest(row)
                if taken[digest] < self.loose[digest]:
                    taken[digest] += 1
                else:
                    new.append(row)
                    added += delivery_id is None
            if self._insert(new) != len(new):
                raise Raced("another process stores the same identities all the time; stop it and import again")
        self.loose.subtract(taken)
        outcome.new += added
        outcome.conflicts += len(conflicts)
        outcome.equal += len(rows) - added - len(conflicts)
        outcome.listed_conflicts += conflicts[: MAX_LISTED - len(outcome.listed_conflicts)]

    def _identities(self, delivery_ids: Sequence[str]) -> dict[tuple[str, str], Row]:
        """The rows here that belong to these deliveries, by identity."""
        found = self.model._base_manager.using(self.using).filter(delivery_id__in=delivery_ids)
        return {(row[1], row[3]): row for row in found.values_list(*self.columns)} if delivery_ids else {}

    def _insert(self, rows: Sequence[Row]) -> int:
        """Insert rows; return how many were stored: the identity keeps out those that another process has stored."""
        if not rows:
            return 0
        connection = connections[self.using]
        names = ", ".join(map(connection.ops.quote_name, self.columns))
        into = f"INSERT INTO {self.model._meta.db_table} ({names})"
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                # One array for each column: an order of magnitude faster than a parameter for each value.
                arrays = ", ".join(f"%s::{kind}[]" for kind in self.types)
                columns = [list(column) for column in zip(*rows, strict=True)]
                cursor.execute(f"{into} SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING", columns)  # noqa: S608
            else:
                as_stored = connection.ops.adapt_datetimefield_value
                values = ", ".join(["%s"] * len(self.columns))
                cursor.executemany(
                    f"{into} VALUES ({values}) ON CONFLICT DO NOTHING",
                    [(as_stored(row[0]), *row[1:]) for row in rows],
                )
            return int(cursor.rowcount)


# Values: SQLite stores in any column whatever a program wrote


def _reader(field: "models.Field[Any, Any]") -> Callable[[Any], Any]:
    """Return the function that reads a value of this column. It raises ValueError for one that cannot be stored."""
    if isinstance(field, LegacyDateTimeField):
        return _time
    kind: type = str
    convert: Callable[[Any], Any] = _text
    if isinstance(field, models.IntegerField):
        kind, convert = int, _integer
    elif isinstance(field, models.FloatField):
        kind, convert = float, _float
    default = field.db_default if field.has_db_default() else None

    def read(value: Any) -> Any:
        if value is None:
            if field.null:
                return None
            if default is None:
                raise ValueError(f"{field.name} is empty")
            return default
        # Almost every value is of this kind and needs no conversion.
        as_it_is = type(value) is kind
        if as_it_is and (_is_plain(value) if kind is str else -_MAX_INTEGER <= value <= _MAX_INTEGER):
            return value
        try:
            return convert(value)
        except (ValueError, TypeError, OverflowError) as error:
            raise ValueError(f"{field.name}: {error}") from error

    return read


def _read_here(read: Callable[[Any], Any], value: Any) -> Any:
    """Return a value of this table as the same of a source is read; one that a source may not have as it is."""
    try:
        # What is no number is None here, and must not count as the default.
        return None if value is None and read is not _time else read(value)
    except ValueError:
        return value


def _is_plain(text: str) -> bool:
    return text.isascii() and "\0" not in text


def _text(value: Any) -> str:
    """Return a text. Raises ValueError, also for lone surrogates, which no database stores."""
    if isinstance(value, dict | list):
        raise ValueError("not a text")
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    if "\0" in text:
        raise ValueError("a text with a NUL character, which PostgreSQL cannot store")
    text.encode()
    return text


def _integer(value: Any) -> int:
    number = int(value)
    if isinstance(value, float) and number != value:
        raise ValueError(f"{value} is not a whole number")
    if abs(number) > _MAX_INTEGER:
        raise ValueError(f"{value} is too large")
    return number


def _float(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value} is not a number")
    return number


def _time(value: Any) -> datetime:
    try:
        time = value if isinstance(value, datetime) else parse_datetime(value)
        if time is None:
            return UNREADABLE_TIME
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return UNREADABLE_TIME
