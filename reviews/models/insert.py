"""Insert many rows of a model in one statement, at a third of what `bulk_create` costs."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Model


def insert_rows(
    model: type[Model],
    rows: Sequence[Mapping[str, Any]],
    common: Mapping[str, Any] | None = None,
    *,
    returning: Sequence[str],
    or_skip: bool = False,
) -> list[tuple[Any, ...]]:
    """Insert rows, all with the same fields; return the columns `returning` of each row that was inserted.

    `common` has the fields that are equal in all rows; what neither has gets its default. Raises `IntegrityError`,
    unless the row violates a unique constraint and `or_skip` says to leave it out. `bulk_create` asks every field of
    every row for its default and its form in the database; this does so once for what is equal in all rows.
    """
    if not rows:
        return []
    connection = connections[DEFAULT_DB_ALIAS]
    every = [field for field in model._meta.concrete_fields if not getattr(field, "db_returning", False)]
    varying = [field for field in every if field.attname in rows[0]]
    equal = [field for field in every if field.attname not in rows[0]]
    blank = model(**common or {})
    constants = [field.get_db_prep_save(field.pre_save(blank, add=True), connection) for field in equal]
    values = [[field.get_db_prep_save(row[field.attname], connection) for field in varying] for row in rows]
    table, parameters = _table(connection, varying, values)
    quote = connection.ops.quote_name
    names = ", ".join(quote(str(field.column)) for field in equal + varying)
    sql = (
        f"INSERT INTO {quote(model._meta.db_table)} ({names})"  # noqa: S608
        f" SELECT {''.join('%s, ' for _ in constants)}varying.* FROM {table} AS varying WHERE true"
        f"{' ON CONFLICT DO NOTHING' if or_skip else ''} RETURNING {', '.join(map(quote, returning))}"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, constants + parameters)
        return list(cursor.fetchall())


def _table(
    connection: BaseDatabaseWrapper, fields: Sequence["Field[Any, Any]"], rows: Sequence[Sequence[Any]]
) -> tuple[str, list[Any]]:
    """Return an SQL table of these rows, and its parameters."""
    if connection.vendor == "postgresql":
        # One array for each column: a parameter for each value costs several times as much. A type without its length,
        # because a cast to varchar(9) cuts off what is longer, where a column refuses it.
        types = [(field.db_type(connection) or "").partition("(")[0] for field in fields]
        columns = [list(column) for column in zip(*rows, strict=True)]
        return f"unnest({', '.join(f'%s::{kind}[]' for kind in types)})", columns
    row = f"({', '.join(['%s'] * len(fields))})"
    return f"(VALUES {', '.join([row] * len(rows))})", [value for row in rows for value in row]
