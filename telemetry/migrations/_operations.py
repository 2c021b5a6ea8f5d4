"""Migration operations for tables that already exist, may be in use, and are never rebuilt.

Each operation accepts what it finds: a table, column or index that is already as it should be stays untouched, so an
interrupted migration is run again. Going back drops no data. On PostgreSQL an index is built and dropped CONCURRENTLY,
which needs a migration with `atomic = False`.
"""

from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandError
from django.db import IntegrityError, migrations, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor as Editor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState as State
from django.db.models import Exists, F, Model, OuterRef, QuerySet, Window
from django.db.models.functions import RowNumber

ATTEMPTS = 5
"""Builds of a unique index before giving up, where duplicates are written faster than they are moved."""
BATCH = 500
"""Duplicates moved in one transaction: other writers wait for no more than that."""


class AddIdentity(migrations.AddConstraint):
    """Add a unique constraint; `instead` names the constraint that keeps identities unique without it.

    Duplicates keep their rows, see `move_duplicates`. Going back drops the constraint only while `instead` is there.
    """

    def __init__(self, model_name: str, constraint: models.UniqueConstraint, instead: str = "") -> None:
        super().__init__(model_name, constraint)
        self.constraint: models.UniqueConstraint = constraint
        self.instead = instead

    def database_forwards(self, app_label: str, schema_editor: Editor, from_state: State, to_state: State) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            build_index(schema_editor, model, self.constraint)

    def database_backwards(self, app_label: str, schema_editor: Editor, from_state: State, to_state: State) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            if self.instead:
                require_index(schema_editor, model, constraint_named(model, self.instead))
            drop_index(schema_editor, self.constraint.name)


class RemoveIdentity(migrations.RemoveConstraint):
    """Drop a unique constraint once `instead` keeps identities unique; rows without their identity get it back.

    Going back builds it again. Rows that it has no place for are kept, see `move_duplicates`.
    """

    def __init__(self, model_name: str, name: str, instead: str) -> None:
        super().__init__(model_name, name)
        self.instead = instead

    def database_forwards(self, app_label: str, schema_editor: Editor, from_state: State, to_state: State) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            identity = constraint_named(model, self.instead)
            require_index(schema_editor, model, identity)
            drop_index(schema_editor, self.name)
            give_back_delivery_ids(rows(schema_editor, model), identity.fields)

    def database_backwards(self, app_label: str, schema_editor: Editor, from_state: State, to_state: State) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            build_index(schema_editor, model, constraint_named(model, self.name))


class BuildIndexes(Operation):
    """Build the indexes of a model that an adopted table lacks. Going back, they stay."""

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name

    def state_forwards(self, app_label: str, state: State) -> None:
        """Nothing: the model has had these indexes since it was created."""

    def database_forwards(self, app_label: str, schema_editor: Editor, from_state: State, to_state: State) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            for index in model._meta.indexes:
                build_index(schema_editor, model, index)

    def database_backwards(self, *args: Any) -> None:
        """Nothing: an index that is too many does no harm."""

    def describe(self) -> str:
        return f"Build missing indexes of {self.model_name}"


class AdoptModel(migrations.CreateModel):
    """Create the table unless it is there; going back, drop it only if it has no rows.

    A table that is there is taken as it is: what it lacks, later migrations add. It is a `CreateModel`, so that
    `migrate --fake-initial` recognises it.
    """

    def database_forwards(self, app_label: str, schema_editor: Editor, from_state: State, to_state: State) -> None:
        table = to_state.apps.get_model(app_label, self.name)._meta.db_table
        if table not in schema_editor.connection.introspection.table_names():
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Editor, from_state: State, to_state: State) -> None:
        connection = schema_editor.connection
        model = from_state.apps.get_model(app_label, self.name)
        if not self.allow_migrate_model(connection.alias, model):
            return
        if connection.vendor == "postgresql":
            # No row may come in between the look and the drop. SQLite's transaction sees to that by itself.
            limit_lock_wait(schema_editor)
            schema_editor.execute(
                f"LOCK TABLE {connection.ops.quote_name(model._meta.db_table)} IN ACCESS EXCLUSIVE MODE"
            )
        if not model._base_manager.using(connection.alias).exists():
            super().database_backwards(app_label, schema_editor, from_state, to_state)


class AdoptField(migrations.AddField):
    """Add a nullable column unless it is there; going back, leave it, because it may hold what is nowhere else."""

    def database_forwards(self, app_label: str, schema_editor: Editor, from_state: State, to_state: State) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        if self.name not in column_defaults(schema_editor.connection, model._meta.db_table):
            limit_lock_wait(schema_editor)
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, *args: Any) -> None:
        """Nothing: whoever goes back does not lose the delivery ids of duplicates, and going forward finds them."""


# Indexes


def is_there(schema_editor: Editor, model: type[Model], wanted: models.Index | models.UniqueConstraint) -> bool | None:
    """Return whether the index of that name is valid; `None` if there is none.

    Raises CommandError if it has other columns, another condition or another uniqueness than `wanted`.
    """
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        if wanted.name not in connection.introspection.get_constraints(cursor, model._meta.db_table):
            return None
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT indisvalid, pg_get_indexdef(indexrelid) FROM pg_index WHERE indexrelid = to_regclass(%s)",
                [schema_editor.quote_name(wanted.name)],
            )
        else:
            cursor.execute("SELECT true, sql FROM sqlite_master WHERE type = 'index' AND name = %s", [wanted.name])
        valid, sql = cursor.fetchone() or (True, "no index")
    found, should_be = _definition(sql), _definition(str(wanted.create_sql(model, schema_editor)))
    # Without its condition a unique index keeps the same rows apart: no NULL equals another.
    if valid and found not in (should_be, should_be.partition(" where ")[0]):
        raise CommandError(
            f"{wanted.name} is not the index it should be. Found: {found}. Wanted: {should_be}. Drop or rename it."
        )
    return bool(valid)


def build_index(schema_editor: Editor, model: type[Model], wanted: models.Index | models.UniqueConstraint) -> None:
    """Build the index unless it is there. One that an interrupted build left invalid is replaced.

    Duplicates are looked for and moved before the build, so that writers wait only while an index is built.
    Raises CommandError if duplicates keep being written.
    """
    looks = isinstance(wanted, models.UniqueConstraint) and not is_unique_already(schema_editor, model, wanted.fields)
    connection = schema_editor.connection
    sql = str(wanted.create_sql(model, schema_editor))
    if connection.vendor == "postgresql":
        sql = sql.replace(" INDEX ", " INDEX CONCURRENTLY ", 1)
    for _ in range(ATTEMPTS):
        there = is_there(schema_editor, model, wanted)
        if there:
            return
        if there is False:
            drop_index(schema_editor, wanted.name)
        if isinstance(wanted, models.UniqueConstraint) and looks:
            move_duplicates(rows(schema_editor, model), wanted.fields)
        try:
            schema_editor.execute(sql)
        except IntegrityError:
            # A duplicate was written after the others were moved.
            looks = True
        else:
            return
    raise CommandError(
        f"{wanted.name} could not be built: duplicates kept being written to {model._meta.db_table}. "
        "Stop what writes them and run migrate again."
    )


def is_unique_already(schema_editor: Editor, model: type[Model], identity: Sequence[str]) -> bool:
    """Return whether a unique index over fewer of these columns seems to rule duplicates out."""
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, model._meta.db_table).values()
    return any(index["unique"] and set(index["columns"]) < set(identity) for index in found)


def require_index(schema_editor: Editor, model: type[Model], wanted: models.UniqueConstraint) -> None:
    """Raise CommandError unless the index is there."""
    if not is_there(schema_editor, model, wanted) and not schema_editor.collect_sql:
        raise CommandError(f"{wanted.name} is missing: without it nothing would keep identities unique.")


def drop_index(schema_editor: Editor, name: str) -> None:
    """Drop the index if there is one of that name; if a constraint of PostgreSQL holds it, the constraint."""
    if schema_editor.connection.vendor == "postgresql":
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(
                "SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'u' AND conindid = to_regclass(%s)",
                [schema_editor.quote_name(name)],
            )
            holder = cursor.fetchone()
        if holder:
            with transaction.atomic(using=schema_editor.connection.alias):
                limit_lock_wait(schema_editor)
                schema_editor.execute(f"ALTER TABLE {holder[0]} DROP CONSTRAINT {schema_editor.quote_name(name)}")
            return
    concurrently = "CONCURRENTLY " if schema_editor.connection.vendor == "postgresql" else ""
    schema_editor.execute(f"DROP INDEX {concurrently}IF EXISTS {schema_editor.quote_name(name)}")


def constraint_named(model: type[Model], name: str) -> models.UniqueConstraint:
    """Return the unique constraint of that name."""
    [constraint] = (c for c in model._meta.constraints if c.name == name)
    assert isinstance(constraint, models.UniqueConstraint)  # noqa: S101  # for the type checker
    return constraint


def _definition(sql: str) -> str:
    """Uniqueness, columns and condition out of `CREATE INDEX`, in lower case without quotes and parentheses."""
    # PostgreSQL writes the type of a text beside it.
    kind, _, rest = sql.lower().replace("'::text", "'").partition("(")
    words = " ".join(rest.translate(str.maketrans('"`[](),', "       ")).split())
    return f"{'unique ' if kind.split()[1:2] == ['unique'] else ''}{words}"


# Rows


def rows(schema_editor: Editor, model: type[Model]) -> QuerySet[Model]:
    """Return all rows of the model's table; none for `sqlmigrate`, which changes nothing."""
    found = model._base_manager.using(schema_editor.connection.alias).all()
    return found.none() if schema_editor.collect_sql else found


def move_duplicates(rows: QuerySet[Model], identity: Sequence[str]) -> None:
    """Leave an identity to the earliest row that has it; move the delivery id of the others to `legacy_delivery_id`."""
    rank = Window(RowNumber(), partition_by=list(identity), order_by=[F("created_at").asc(), F("id").asc()])
    later = rows.filter(delivery_id__isnull=False).annotate(rank=rank).filter(rank__gt=1).order_by()
    # Read before anything is locked: it takes seconds on a million rows.
    pks = list(later.values_list("pk", flat=True))
    for start in range(0, len(pks), BATCH):
        batch = rows.filter(pk__in=pks[start : start + BATCH], delivery_id__isnull=False)
        batch.update(legacy_delivery_id=F("delivery_id"), delivery_id=None)


def give_back_delivery_ids(rows: QuerySet[Model], identity: Sequence[str]) -> None:
    """Undo `move_duplicates` for rows whose identity no other row has."""
    others = {name: OuterRef("legacy_delivery_id" if name == "delivery_id" else name) for name in identity}
    moved = rows.filter(delivery_id__isnull=True, legacy_delivery_id__isnull=False)
    free = moved.exclude(Exists(rows.filter(**others)))
    for pk in list(free.order_by("created_at", "id").values_list("pk", flat=True)):
        try:
            with transaction.atomic(using=rows.db):
                rows.filter(pk=pk).update(delivery_id=F("legacy_delivery_id"), legacy_delivery_id=None)
        except IntegrityError:
            # An earlier row, or one just written, has this identity.
            continue


# Tables


def column_defaults(connection: BaseDatabaseWrapper, table: str) -> dict[str, str | None]:
    """Return the columns of a table, each with its default in the database."""
    with connection.cursor() as cursor:
        columns = connection.introspection.get_table_description(cursor, table)
    return {column.name: column.default for column in columns}


def limit_lock_wait(schema_editor: Editor) -> None:
    """Let this migration fail, to be run again, rather than queue for a table and hold up all who come after it."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("SET LOCAL lock_timeout = '5s'")
