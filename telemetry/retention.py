"""Remove old telemetry rows on the operator's request; nothing here runs by itself."""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from telemetry.models import Execution, RateLimitEvent

MODELS: tuple[type[RateLimitEvent] | type[Execution], ...] = (RateLimitEvent, Execution)
BATCH = 1000
"""Rows removed in one transaction: SQLite's other writers wait for no more than that."""


def purge(before: datetime) -> int:
    """Remove the rows of both tables that were created before `before`; return how many.

    A row whose time cannot be read may be of today: it is kept.
    """
    return sum(_purge(model, before) for model in MODELS)


def count_older(before: datetime) -> int:
    """Return how many rows `purge` would remove."""
    return sum(_older(model, before).count() for model in MODELS)


def count_unreadable() -> int:
    """Return how many rows no purge removes, because their time cannot be read."""
    return sum(model.objects.filter(created_at__readable=None).count() for model in MODELS)


def _older(model: type[RateLimitEvent] | type[Execution], before: datetime) -> QuerySet[Any]:
    # The first condition is for the index; SQLite compares as text, and any text may be less.
    return model.objects.filter(created_at__lt=before, created_at__readable__lt=before)


def _purge(model: type[RateLimitEvent] | type[Execution], before: datetime) -> int:
    removed = 0
    while batch := list(_older(model, before).order_by("pk").values_list("pk", flat=True)[:BATCH]):
        model.objects.filter(pk__in=batch).delete()
        removed += len(batch)
    return removed
