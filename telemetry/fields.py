"""The field of a column that other programs write to as well."""

import datetime
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class LegacyDateTimeField(models.DateTimeField):
    """A DateTimeField that reads `None` where the column holds no time that Python can read.

    SQLite keeps whatever a program writes ("", "garbage", 5), and PostgreSQL knows "infinity"; Django raises for each.
    Admin, API and reports must show such a row all the same. To migrations it is a DateTimeField.
    """

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
            return value  # type: ignore[no-any-return]
        convert = connection.ops.convert_datetimefield_value  # type: ignore[attr-defined]  # SQLite's has it
        try:
            read = convert(value, expression, connection)
            return None if read is None else read.astimezone(datetime.UTC)
        except (TypeError, ValueError, AttributeError, OverflowError):
            return None
