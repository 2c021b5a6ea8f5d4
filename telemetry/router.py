"""Sends the telemetry tables to the alias `telemetry` where one is configured."""

from typing import Any

from django.conf import settings
from django.db.models import Model

ALIAS = "telemetry"


class TelemetryRouter:
    """Telemetry rows live in `DATABASES["telemetry"]` if there is one, all else in `default`."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        """Return `telemetry` for telemetry models if there is such a database, else no preference."""
        return ALIAS if model._meta.app_label == "telemetry" and ALIAS in settings.DATABASES else None

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        """Keep telemetry tables in their own database, if there is one, and all other tables out of it."""
        if ALIAS not in settings.DATABASES:
            return None
        return (db == ALIAS) == (app_label == "telemetry")
