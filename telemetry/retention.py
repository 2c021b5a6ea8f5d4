"""Remove old telemetry rows on the operator's request; nothing here runs by itself."""

from datetime import datetime

from telemetry.models import Execution, RateLimitEvent

BATCH = 1000
"""Rows removed in one transaction: SQLite's other writers wait for no more than that."""


def purge(before: datetime) -> int:
    """Remove the rows of both tables that were created before `before`; return how many."""
    return sum(_purge(model, before) for model in (RateLimitEvent, Execution))


def count_older(before: datetime) -> int:
    """Return how many rows `purge` would remove."""
    return sum(model.objects.filter(created_at__lt=before).count() for model in (RateLimitEvent, Execution))


def _purge(model: type[RateLimitEvent] | type[Execution], before: datetime) -> int:
    removed = 0
    while batch := list(
        model.objects.filter(created_at__lt=before).order_by("pk").values_list("pk", flat=True)[:BATCH]
    ):
        model.objects.filter(pk__in=batch).delete()
        removed += len(batch)
    return removed
