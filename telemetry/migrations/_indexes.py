"""Indexes for tables that are in use: what is there is accepted, what is built does not keep writers waiting.

On PostgreSQL an index is built and dropped CONCURRENTLY, outside a transaction; on SQLite in one transaction together
with what has to be true before it.
"""

from dataclasses import dataclass, replace

from django.core.management.base import CommandError
from django.db import IntegrityError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import F, Model, QuerySet, Window
from django.db.models.functions import RowNumber

ATTEMPTS = 5
"""Builds of a unique index before giving up, where duplicates are written faster than they are moved."""


@dataclass(frozen=True)
class TableIndex:
    """An index as it is wanted or found; `condition` is the partial index's, bare of quotes and parentheses."""

    name: str
    table: str
    columns: tuple[str, ...]
    unique: bool = False
    condition: str = ""


def unique_index(name: str, table: str, *columns: str) -> TableIndex:
    """A unique index over the rows that have a delivery id."""
    return TableIndex(name, table, columns, unique=True, condition="delivery_id is not null")


def ensure_index(schema_editor: BaseDatabaseSchemaEditor, wanted: TableIndex, rows: QuerySet[Model]) -> None:
    """Build the index unless it is there; `rows` are all rows of its table.

    For a unique index, rows that are in its way are kept and made way: see `move_duplicates`. An index that an
    interrupted build left invalid is replaced. Raises CommandError if the name belongs to another kind of index, or if
    duplicates kept coming in.
    """
    connection = schema_editor.connection
    if connection.vendor == "postgresql":
        _ensure_concurrently(schema_editor, wanted, rows)
    elif not is_there(connection, wanted):
        with transaction.atomic(using=connection.alias):
            if wanted.unique:
                move_duplicates(rows, wanted.columns)
            schema_editor.execute(_create_sql(schema_editor, wanted))


def _ensure_concurrently(schema_editor: BaseDatabaseSchemaEditor, wanted: TableIndex, rows: QuerySet[Model]) -> None:
    for _ in range(ATTEMPTS):
        if is_there(schema_editor.connection, wanted):
            return
        # What is there now under this name, if anything, is an invalid index.
        drop_index(schema_editor, wanted.name)
        if wanted.unique:
            move_duplicates(rows, wanted.columns)
        try:
            schema_editor.execute(_create_sql(schema_editor, wanted, "CONCURRENTLY"))
        except IntegrityError:
            # A duplicate was written after the others were moved.
            continue
    if not is_there(schema_editor.connection, wanted):
        drop_index(schema_editor, wanted.name)
        raise CommandError(
            f"{wanted.name} could not be built: duplicates kept being written to {wanted.table}. "
            "Stop what writes them and run migrate again."
        )


def move_duplicates(rows: QuerySet[Model], columns: tuple[str, ...]) -> None:
    """Leave the values of `columns` to the earliest row that has them; keep the later rows, without a delivery id.

    A later row's delivery id moves to `legacy_delivery_id`.
    """
    place = Window(RowNumber(), partition_by=list(columns), order_by=[F("created_at").asc(), F("id").asc()])
    later = rows.filter(delivery_id__isnull=False).annotate(place=place).filter(place__gt=1).order_by()
    rows.filter(pk__in=later.values("pk")).update(legacy_delivery_id=F("delivery_id"), delivery_id=None)


def drop_index(schema_editor: BaseDatabaseSchemaEditor, name: str) -> None:
    """Drop the index if there is one of that name."""
    concurrently = "CONCURRENTLY" if schema_editor.connection.vendor == "postgresql" else ""
    schema_editor.execute(f"DROP INDEX {concurrently} IF EXISTS {schema_editor.quote_name(name)}")


def require_index(connection: BaseDatabaseWrapper, wanted: TableIndex) -> None:
    """Raise CommandError unless the index is there."""
    if not is_there(connection, wanted):
        raise CommandError(f"{wanted.name} is missing: without it nothing would keep identities unique.")


def is_there(connection: BaseDatabaseWrapper, wanted: TableIndex) -> bool:
    """Whether the index is there and valid. Raises CommandError if the name belongs to another kind of index."""
    find = _find_in_postgresql if connection.vendor == "postgresql" else _find_in_sqlite
    found, valid = find(connection, wanted.name)
    # Without the condition an index keeps the same rows apart: to a unique index no NULL equals another.
    if found is not None and valid and found not in (wanted, replace(wanted, condition="")):
        raise CommandError(f"{wanted.name} is not the index it should be. Found {found}, wanted {wanted}.")
    return found is not None and valid


def _find_in_postgresql(connection: BaseDatabaseWrapper, name: str) -> tuple[TableIndex | None, bool]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT t.relname, i.indisunique, coalesce(pg_get_expr(i.indpred, i.indrelid), ''), i.indisvalid,
                   ARRAY(SELECT pg_get_indexdef(i.indexrelid, n, true) FROM generate_series(1, i.indnatts) AS n)
            FROM pg_index AS i JOIN pg_class AS t ON t.oid = i.indrelid
            WHERE i.indexrelid = to_regclass(%s)
            """,
            [connection.ops.quote_name(name)],
        )
        row = cursor.fetchone()
    if row is None:
        return None, False
    table, unique, condition, valid, columns = row
    return TableIndex(name, table, tuple(columns), unique, _bare(condition)), valid


def _find_in_sqlite(connection: BaseDatabaseWrapper, name: str) -> tuple[TableIndex | None, bool]:
    with connection.cursor() as cursor:
        cursor.execute(
            'SELECT m.tbl_name, l."unique", m.sql FROM sqlite_master AS m, pragma_index_list(m.tbl_name) AS l '
            "WHERE m.type = 'index' AND m.name = %s AND l.name = m.name",
            [name],
        )
        row = cursor.fetchone()
        if row is None:
            return None, False
        table, unique, sql = row
        cursor.execute("SELECT name FROM pragma_index_info(%s) ORDER BY seqno", [name])
        columns = tuple(column for (column,) in cursor.fetchall())
    condition = _bare(sql).partition(" where ")[2]
    return TableIndex(name, table, columns, bool(unique), condition), True


def _bare(sql: str) -> str:
    """SQL in lower case with single spaces, without quotes and parentheses."""
    return " ".join(sql.lower().translate(str.maketrans('"`[]()', "      ")).split())


def _create_sql(schema_editor: BaseDatabaseSchemaEditor, index: TableIndex, concurrently: str = "") -> str:
    quote = schema_editor.quote_name
    columns = ", ".join(quote(column) for column in index.columns)
    return (
        f"CREATE {'UNIQUE' if index.unique else ''} INDEX {concurrently} {quote(index.name)} "
        f"ON {quote(index.table)} ({columns}) {'WHERE ' + index.condition if index.condition else ''}"
    )
