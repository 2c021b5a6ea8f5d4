"""Health checks: `/healthz` (the web process answers) and `/readyz` (Kodiai can store deliveries)."""

import time
from datetime import datetime

from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Min
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from reviews.intake.request_timeouts import database_time_limit
from reviews.models import Delivery, GitHubOutage, PeriodicTask, Review

WRITE_CHECK = "write-check"
"""The row that `/readyz` writes: a database that is full, locked or read-only may still be read."""
WRITE_CHECK_SECONDS = 1.0
"""How long a successful write counts, so that frequent probes do not cause frequent writes."""

_migrated = False
"""Applied migrations stay applied for the life of the process, so they are checked only once."""
_written_at: float | None = None
"""Time of the last successful write, by time.monotonic()."""


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 without touching the database."""
    return JsonResponse({"status": "alive"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 if deliveries can be stored (the database is writable and migrated), else 503 with the reason.

    `oldest_waiting_seconds` is the age of the oldest delivery that is due and not running; null if there is none.
    `last_run_seconds` holds the seconds since the last success of each periodic task; null if it never succeeded. An
    old sweep means that no worker runs. `github_unreachable_since` is when runs began to wait because GitHub cannot be
    reached; null if it can, as far as runs have asked. Alert on both, but keep the web server in service: deliveries
    are stored. A separate telemetry store is not checked, because reviews are published without it.
    """
    try:
        with database_time_limit():
            migrated = _all_migrated()
            waiting = _oldest_waiting_seconds() if migrated else None
            last_runs = _last_run_seconds() if migrated else {}
            unreachable = _github_unreachable_since() if migrated else None
            if migrated:
                # A delivery is stored together with its review, whose table may be locked separately.
                Review.objects.exists()
                _write()
    except (DatabaseError, InterfaceError) as error:
        problem = {"status": "not ready", "database": type(error).__name__}
        return JsonResponse(problem, status=503)
    return JsonResponse(
        {
            "status": "ready" if migrated else "not ready",
            "database": "ok",
            "migrations": "applied" if migrated else "missing: run manage.py migrate",
            "oldest_waiting_seconds": waiting,
            "last_run_seconds": last_runs,
            "github": "ok" if unreachable is None else "unreachable",
            "github_unreachable_since": unreachable,
        },
        status=200 if migrated else 503,
    )


def _all_migrated() -> bool:
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _migrated


def _oldest_waiting_seconds() -> float | None:
    oldest = Delivery.objects.oldest_due()
    return None if oldest is None else _seconds_since(oldest)


def _last_run_seconds() -> dict[str, float | None]:
    tasks = PeriodicTask.objects.exclude(name=WRITE_CHECK).values_list("name", "finished_at")
    return {name: None if finished is None else _seconds_since(finished) for name, finished in tasks}


def _github_unreachable_since() -> datetime | None:
    since: datetime | None = GitHubOutage.objects.current().aggregate(since=Min("since"))["since"]
    return since


def _write() -> None:
    """Write a row. Raises `DatabaseError` if the database is not writable."""
    global _written_at
    if _written_at is not None and time.monotonic() - _written_at < WRITE_CHECK_SECONDS:
        return
    now = timezone.now()
    if not PeriodicTask.objects.filter(name=WRITE_CHECK).update(finished_at=now):
        PeriodicTask.objects.bulk_create([PeriodicTask(name=WRITE_CHECK, finished_at=now)], ignore_conflicts=True)
    _written_at = time.monotonic()


def _seconds_since(moment: datetime) -> float:
    return round((timezone.now() - moment).total_seconds(), 3)
