"""The fields of columns that other programs write to as well.

SQLite keeps in any column whatever a program writes, and PostgreSQL knows "infinity" and NaN. Admin, API and reports
must show such a row all the same, so these fields read `None` where the column holds no value of its kind.
To migrations each is the field of Django that it extends.
"""

import datetime
from decimal import Decimal
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Col

MAX_INTEGER = 2**31 - 1
"""The largest value of PostgreSQL's integer. SQLite's is larger, and a sum of a few of those is an error."""
MAX_FLOAT = 1e300
"""More is no amount of anything, and a sum of a few of those is infinite."""


class LegacyDateTimeField(models.DateTimeField):
    """A DateTimeField that reads `None` where the column holds no time that Python can read ("", "garbage", 5)."""

    readable = "CASE WHEN %(expressions)s BETWEEN '0001-01-02' AND '9999-12-31' THEN %(expressions)s END"
    # julianday() also takes numbers, for days.
    readable_on_sqlite = (
        "CASE WHEN %(expressions)s GLOB '[0-9][0-9][0-9][0-9]-*' AND %(expressions)s > '0001-01-02' "
        "AND julianday(%(expressions)s) IS NOT NULL THEN %(expressions)s END"
    )

    # DateTimeField's own makes `update_or_create` write the column back, which `None` must not be.
    pre_save = models.Field.pre_save

    def get_internal_type(self) -> str:
        """Return a name that SQLite's backend does not know, so that its converter, which raises, leaves it alone."""
        return type(self).__name__

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        """Return the column type of a DateTimeField."""
        return str(connection.data_types["DateTimeField"])

    def deconstruct(self) -> Any:
        """Describe the field to migrations as a DateTimeField."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.DateTimeField", args, kwargs

    def select_format(self, compiler: Any, sql: str, params: Any) -> Any:
        """Keep the driver from converting, and so from raising."""
        if compiler.connection.vendor == "postgresql":
            return f"CASE WHEN {sql} BETWEEN '0001-01-02' AND '9999-12-31' THEN {sql} END", (*params, *params)
        # Of an expression sqlite3 knows no declared type.
        return f"+{sql}", params

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> datetime.datetime | None:
        """Convert a value of the column; None if it is not a time."""
        if connection.vendor != "sqlite":
            # An adopted column may be one without a time zone.
            return value if value is None or value.tzinfo else value.replace(tzinfo=datetime.UTC)  # type: ignore[no-any-return]
        convert = connection.ops.convert_datetimefield_value  # type: ignore[attr-defined]  # SQLite's has it
        # Python takes some numbers of milliseconds for a date without dashes.
        if isinstance(value, str) and value[4:5] != "-":
            return None
        try:
            read = convert(value, expression, connection)
            return None if read is None else read.astimezone(datetime.UTC)
        except (TypeError, ValueError, AttributeError, OverflowError):
            return None


class LegacyValueField(models.Field):
    """What the fields of numbers and texts have in common."""

    readable = ""
    """SQL of the transform `Readable`."""
    readable_on_sqlite = ""

    def deconstruct(self) -> Any:
        """Describe the field to migrations as Django's."""
        name, _, args, kwargs = super().deconstruct()
        return name, f"django.db.models.{self.get_internal_type()}", args, kwargs

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        """Convert a value of the column. A sum, of which this is the output field too, is left as it is."""
        return self.read(value) if isinstance(expression, Col) else value

    def read(self, value: Any) -> Any:
        """Return a value as the field's type; None if it is none."""
        raise NotImplementedError


class LegacyIntegerField(LegacyValueField, models.IntegerField):
    """An IntegerField that reads `None` for what is no integer, or larger than PostgreSQL's."""

    readable = f"CASE WHEN %(expressions)s BETWEEN -{MAX_INTEGER} AND {MAX_INTEGER} THEN %(expressions)s END"
    readable_on_sqlite = readable.replace("WHEN", "WHEN typeof(%(expressions)s) = 'integer' AND")

    def read(self, value: Any) -> int | None:
        """Return the number; None if it is none."""
        return value if isinstance(value, int) and abs(value) <= MAX_INTEGER else None


class LegacyFloatField(LegacyValueField, models.FloatField):
    """A FloatField that reads `None` for what is no number, NaN and infinity among it."""

    # Text and blobs of SQLite, and PostgreSQL's NaN, are greater than every number.
    readable = f"CASE WHEN %(expressions)s BETWEEN -{MAX_FLOAT} AND {MAX_FLOAT} THEN %(expressions)s END"
    readable_on_sqlite = readable

    def read(self, value: Any) -> float | None:
        """Return the number; None if it is none."""
        number = float(value) if isinstance(value, int | float | Decimal) else None
        return number if number is not None and abs(number) <= MAX_FLOAT else None


class LegacyTextField(LegacyValueField, models.TextField):
    """A TextField that reads bytes as the text that they may be meant for, with a sign for what is none."""

    readable = "%(expressions)s"
    readable_on_sqlite = "CASE WHEN typeof(%(expressions)s) = 'text' THEN %(expressions)s END"

    def read(self, value: Any) -> str | None:
        """Return the text; None for NULL."""
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        return None if value is None else str(value)


@LegacyDateTimeField.register_lookup
@LegacyIntegerField.register_lookup
@LegacyFloatField.register_lookup
@LegacyTextField.register_lookup
class Readable(models.Transform):
    """The value of a column, NULL if it is none of its kind: `Sum("cost_usd__readable")` leaves such rows out."""

    lookup_name = "readable"

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Return the SQL. What is transformed is a column, which has no parameters to repeat."""
        field: Any = self.lhs.output_field
        return self.as_sql(compiler, connection, template=field.readable_on_sqlite, **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Return the SQL."""
        field: Any = self.lhs.output_field
        return self.as_sql(compiler, connection, template=field.readable, **context)
