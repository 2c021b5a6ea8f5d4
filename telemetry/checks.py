"""Find the legacy unique index on the delivery id alone, where a legacy process brought it back, and drop it.

A process of the legacy system of before composite identity makes that index whenever it starts. With it a delivery can
leave one row only, so that the rows of its other event types stay pending for ever.
"""

import logging
from collections.abc import Sequence
from typing import Any

from django.apps import apps as installed
from django.apps.registry import Apps
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import connections, router

from telemetry.migrations._operations import drop_index
from telemetry.models import RateLimitEvent

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
    connection = connections[using]
    with connection.cursor() as cursor:
        indexes = connection.introspection.get_constraints(cursor, RateLimitEvent._meta.db_table)
    # Without the identity the database is not migrated yet, and the legacy index has its use.
    return IDENTITY in indexes and LEGACY_IDENTITY in indexes
