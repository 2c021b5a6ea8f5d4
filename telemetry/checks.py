"""Find unique indexes on a part of the identity, and drop the legacy one, where a legacy process brought it back.

A process of the legacy system of before composite identity makes that index whenever it starts. With it, or with any
like it, a delivery can leave one row only, so that the rows of its other event types stay pending for ever.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from django.apps import apps as installed
from django.apps.registry import Apps
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import connections, router

from telemetry.migrations._operations import drop_index
from telemetry.models import Execution, RateLimitEvent

Model = type[RateLimitEvent] | type[Execution]

logger = logging.getLogger(__name__)

IDENTITY = "idx_rate_limit_events_delivery_event"
LEGACY_IDENTITY = "idx_rate_limit_events_delivery"


@register(Tags.database)
def legacy_identity_is_gone(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Name the legacy index and the command that drops it. Run by `migrate` and `check --database`."""
    return [
        Warning(
            f"{LEGACY_IDENTITY} is in the database {using}: a delivery can leave a telemetry row for only one of its "
            "event types. A process of the legacy system of before composite identity made it.",
            hint=f"Stop that process. `manage.py migrate telemetry --database {using}` drops the index.",
            id="telemetry.W001",
        )
        for using in databases or []
        if router.allow_migrate_model(using, RateLimitEvent) and _is_back(using)
    ]


@register(Tags.database)
def identity_is_whole(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Name each other unique index on a part of the identity, and what drops it; an adopted table may have any."""
    return [
        Warning(
            # SQLite has no name for a UNIQUE, and Django makes one up.
            f"{'A constraint' if name.startswith('__') else name} keeps {', '.join(index['columns'])} unique in the "
            f"table {model._meta.db_table} of the database {using}: a delivery can leave a row for only one of its "
            "event types, and the others stay pending.",
            hint=_how_to_drop(using, model, name, index),
            id="telemetry.W002",
        )
        for using in databases or []
        for model in (RateLimitEvent, Execution)
        if router.allow_migrate_model(using, model)
        for name, index in _constraints(using, model).items()
        if index["unique"] and index["columns"] and {*index["columns"]} < {"delivery_id", "event_type"}
        if not (model is RateLimitEvent and name == LEGACY_IDENTITY and _migrate_drops(using, index))
    ]


def _how_to_drop(using: str, model: Model, name: str, index: Any) -> str:
    quoted = connections[using].ops.quote_name(name)
    if index["index"]:
        return f"If no other program needs it: DROP INDEX {quoted}"
    if connections[using].vendor == "postgresql":
        return f"If no other program needs it: ALTER TABLE {model._meta.db_table} DROP CONSTRAINT {quoted}"
    return (
        "It is part of the table's definition, which SQLite cannot change: set KODIAI_TELEMETRY_DATABASE_URL to a new "
        "file, migrate, and merge this one with `manage.py import_telemetry`."
    )


def drop_legacy_identity(using: str, apps: Apps = installed, **kwargs: Any) -> None:
    """Drop the legacy index after `migrate`, unless the database was migrated back to where it belongs."""
    try:
        constraints = apps.get_model("telemetry", "RateLimitEvent")._meta.constraints
    except LookupError:
        return
    wanted = {constraint.name for constraint in constraints}
    if LEGACY_IDENTITY not in wanted and router.allow_migrate_model(using, RateLimitEvent) and _is_back(using):
        with connections[using].schema_editor(atomic=False) as schema_editor:
            drop_index(schema_editor, LEGACY_IDENTITY)
        logger.warning("dropped %s, which a legacy process had brought back", LEGACY_IDENTITY)


def _is_back(using: str) -> bool:
    indexes = _constraints(using, RateLimitEvent)
    # Without the identity the database is not migrated yet, and the legacy index has its use.
    return IDENTITY in indexes and LEGACY_IDENTITY in indexes and _migrate_drops(using, indexes[LEGACY_IDENTITY])


def _migrate_drops(using: str, index: Any) -> bool:
    """Return whether it is an index, or a constraint that can be dropped."""
    return bool(index["index"]) or connections[using].vendor == "postgresql"


def _constraints(using: str, model: Model) -> Mapping[str, Any]:
    connection = connections[using]
    with connection.cursor() as cursor:
        return connection.introspection.get_constraints(cursor, model._meta.db_table)
