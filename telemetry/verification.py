"""What can be proved of the telemetry tables by themselves. `reviews.maintenance.verification` compares them with runs.

Each check has a claim, a status and the evidence. What is only noteworthy (rows without an identity, pending rows) is
evidence, not a violation.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

from django.db import connections
from django.db.models import Count, Min, Q, QuerySet
from django.utils import timezone

from telemetry.fields import LegacyValueField
from telemetry.models import Execution, RateLimitEvent

MAX_LISTED = 20
"""Violations of a check that are listed; all are counted."""
MIN_PURGE_AGE = timedelta(days=1)
"""No purge removes younger rows."""


def _unreadable(model: type[RateLimitEvent] | type[Execution]) -> dict[str, Q]:
    columns = [field.name for field in model._meta.concrete_fields if isinstance(field, LegacyValueField)]
    return {
        f"{name} is unreadable": Q(**{f"{name}__readable__isnull": True, f"{name}__isnull": False}) for name in columns
    }


RANGES: dict[type[RateLimitEvent] | type[Execution], dict[str, Q]] = {
    RateLimitEvent: {
        "cache_hit_rate is not in 0 to 1": ~Q(cache_hit_rate__range=(0, 1)),
        "skipped_queries is negative": Q(skipped_queries__lt=0),
        "retry_attempts is negative": Q(retry_attempts__lt=0),
        "it has no repository, event type or degradation path": Q(repo="") | Q(event_type="") | Q(degradation_path=""),
    }
    | _unreadable(RateLimitEvent),
    Execution: {
        f"{name} is negative": Q(**{f"{name}__lt": 0})
        for name in (
            "duration_ms", "cost_usd", "input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens",
        )
    }
    | {"it has no repository, event type or conclusion": Q(repo="") | Q(event_type="") | Q(conclusion="")}
    | _unreadable(Execution),
}  # fmt: skip
"""By table, what is wrong with a row whose values are out of range or unreadable."""


class Status(StrEnum):
    """Whether a claim holds."""

    HELD = "held"
    VIOLATED = "violated"
    NOT_ENOUGH_DATA = "not enough data"

    @property
    def exit_code(self) -> int:
        """The exit status of the command."""
        return (Status.HELD, Status.VIOLATED, Status.NOT_ENOUGH_DATA).index(self)


@dataclass
class Check:
    """A claim about telemetry, what was looked at, and what contradicts it."""

    name: str
    claim: str
    has_data: bool = True
    evidence: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    """The first `MAX_LISTED`."""
    violation_count: int = 0

    def violate(self, *violations: str, count: int = 0) -> None:
        """Add violations; `count` if there are more than are named."""
        self.violation_count += max(count, len(violations))
        self.violations += violations[: MAX_LISTED - len(self.violations)]

    @property
    def status(self) -> Status:
        """Whether the claim holds."""
        if self.violation_count:
            return Status.VIOLATED
        return Status.HELD if self.has_data else Status.NOT_ENOUGH_DATA


def verdict(checks: Iterable[Check]) -> Status:
    """Return the worst status: one violation decides."""
    found = {check.status for check in checks}
    return next(
        (status for status in (Status.VIOLATED, Status.NOT_ENOUGH_DATA) if status in found),
        Status.HELD,
    )


def digest(*values: Any) -> str:
    """Return a short digest of a row's values, the same for equal numbers of all databases."""
    # Six digits: an adopted column of PostgreSQL may be of single precision.
    written = [f"{value:.6g}" if isinstance(value, float) else repr(value) for value in values]
    return sha256("\n".join(written).encode()).hexdigest()[:12]


def oldest_row() -> datetime:
    """Return the time before which a purge may have removed rows: that of the oldest row, but at least a day ago."""
    oldest = timezone.now() - MIN_PURGE_AGE
    for model in (RateLimitEvent, Execution):
        oldest = min(oldest, model._base_manager.aggregate(oldest=Min("created_at__readable"))["oldest"] or oldest)
    return oldest


def check_identities(since: datetime | None) -> Check:
    """No identity has two rows, and the database itself sees to that."""
    check = Check("unique", "No run has two rows.")
    for model in (RateLimitEvent, Execution):
        table = model._meta.db_table
        if not _has_identity_index(model):
            check.violate(f"{table} has no unique index on (delivery_id, event_type): `manage.py migrate` builds it.")
        rows = _rows(model, since)
        named = rows.filter(delivery_id__isnull=False)
        twice = named.values("delivery_id", "event_type").annotate(rows=Count("pk")).filter(rows__gt=1)
        count = twice.count()
        listed = twice.order_by("delivery_id")[:MAX_LISTED] if count else []
        check.violate(
            *(f"{table}: {row['delivery_id']} {row['event_type']} has {row['rows']} rows." for row in listed),
            count=count,
        )
        nameless = rows.filter(delivery_id__isnull=True)
        adopted = nameless.filter(legacy_delivery_id__isnull=False).count()
        check.evidence.append(
            f"{table}: {named.count():,} rows with an identity, {nameless.count() - adopted:,} without (no webhook), "
            f"{adopted:,} duplicates that were adopted or imported"
        )
    return check


def check_ranges(since: datetime | None) -> Check:
    """Every value can be read and is in its range."""
    check = Check("ranges", "All values are in range.", has_data=False)
    for model, wrong in RANGES.items():
        table, rows = model._meta.db_table, _rows(model, since)
        count = rows.count()
        check.has_data |= bool(count)
        check.evidence.append(f"{table}: {count:,} rows")
        for what, condition in wrong.items():
            found = list(rows.filter(condition).order_by("pk").values_list("pk", flat=True)[: MAX_LISTED + 1])
            if found:
                total = len(found) if len(found) <= MAX_LISTED else rows.filter(condition).count()
                check.violate(*(f"{table}, row {pk}: {what}." for pk in found[:MAX_LISTED]), count=total)
    return check


def _rows(model: type[RateLimitEvent] | type[Execution], since: datetime | None) -> QuerySet[Any]:
    rows = model._base_manager.order_by()
    return rows if since is None else rows.filter(created_at__gte=since)


def _has_identity_index(model: type[RateLimitEvent] | type[Execution]) -> bool:
    connection = connections[model._base_manager.all().db]
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, model._meta.db_table).values()
    return any(index["unique"] and index["columns"] == ["delivery_id", "event_type"] for index in found)
