"""The periodic tasks, run by the workers, or by `manage.py maintain` from cron.

Each has a row (`PeriodicTask`) with the time at which it is due. A process claims a task with one filtered UPDATE, so
that several workers, on one machine or many, never do the same work twice.
"""

import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import django.db
from django.conf import settings
from django.db import connection
from django.db.models import Q
from django.utils import timezone

from reviews.maintenance import channels, redelivery
from reviews.maintenance.finding_outcomes import follow_findings
from reviews.maintenance.notifications import notify
from reviews.maintenance.recovery import flush_outbox, next_expiry, sweep
from reviews.maintenance.retention import retain
from reviews.maintenance.tallies import add_up
from reviews.models import PeriodicTask
from reviews.publishing import check_runs
from reviews.redaction import redact, storable
from reviews.runs.observations import store_observations

logger = logging.getLogger(__name__)

MAX_OUTCOME = 255


def _never() -> None:
    return None


@dataclass(frozen=True)
class Periodic:
    """A periodic task. `run` returns counts of what it did.

    `every` returns the seconds between two starts; 0 turns the task off. `earlier` may return an earlier time at which
    it is due. `longest` is for how many seconds a process holds it, even one that died.
    """

    name: str
    run: Callable[[], Mapping[str, int]]
    every: Callable[[], float]
    longest: float = 60
    earlier: Callable[[], datetime | None] = _never


def _telemetry() -> dict[str, int]:
    return {"rows recorded": flush_outbox()}


def _tallies() -> dict[str, int]:
    """Without counts, which would be a line of the log in each round."""
    add_up()
    follow_findings()
    return {}


PERIODIC = (
    # Due when a lease expires, so that a run whose worker died waits no longer than its lease.
    Periodic("sweep", sweep, lambda: settings.KODIAI_SWEEP_SECONDS, longest=5, earlier=next_expiry),
    # Not held for long: an outage may keep a process from releasing it, and right after an outage it is needed.
    Periodic("pending-telemetry", _telemetry, lambda: settings.KODIAI_SWEEP_SECONDS, longest=15),
    # Off until the App is configured.
    Periodic(
        "check-runs",
        check_runs.report_pending,
        lambda: settings.KODIAI_SWEEP_SECONDS if settings.KODIAI_GITHUB_APP_ID else 0,
        # Each check run has its own claim, so a second process may help.
        longest=15,
    ),
    Periodic(
        redelivery.TASK,
        redelivery.request_missed_deliveries,
        lambda: settings.KODIAI_REDELIVER_SECONDS if settings.KODIAI_GITHUB_APP_ID else 0,
        longest=600,
    ),
    Periodic("tallies", _tallies, lambda: settings.KODIAI_SWEEP_SECONDS, longest=60),
    Periodic("retention", retain, lambda: 3600 if settings.KODIAI_SWEEP_SECONDS else 0, longest=600),
    # Last, because a channel that hangs takes seconds. Off without a channel.
    Periodic("notifications", notify, lambda: 60 if channels.configured() else 0, longest=60),
)


def prepare() -> None:
    """Create missing rows of periodic tasks."""
    PeriodicTask.objects.bulk_create([PeriodicTask(name=task.name) for task in PERIODIC], ignore_conflicts=True)


def run_due() -> None:
    """Run the tasks that are due and that no other process holds. Exceptions are logged and stored on their rows."""
    now = timezone.now()
    due = set(PeriodicTask.objects.filter(_free(now), due_at__lte=now).values_list("name", flat=True))
    for task in PERIODIC:
        if task.name in due and task.every() > 0:
            _run(task, Q(due_at__lte=now))
    store_observations()


def run_all() -> dict[str, Mapping[str, int] | Exception | None]:
    """Run every task now; return for each its counts, the exception, or None if another process holds it."""
    prepare()
    return {task.name: _run(task, Q()) for task in PERIODIC}


def _free(now: datetime) -> Q:
    return Q(held_until__isnull=True) | Q(held_until__lt=now)


def _run(task: Periodic, condition: Q) -> Mapping[str, int] | Exception | None:
    started = timezone.now()
    rows = PeriodicTask.objects.filter(name=task.name)
    held_until = started + timedelta(seconds=task.longest)
    if not rows.filter(_free(started), condition).update(started_at=started, held_until=held_until):
        return None
    try:
        done = task.run()
    except Exception as error:  # the edge of a worker: the next round comes whatever happens in this one
        logger.exception("periodic task failed", extra={"task": task.name})
        if isinstance(error, django.db.Error):
            connection.close()  # the connection itself may have failed
        failure = storable(redact("".join(traceback.format_exception(error))))
        rows.filter(started_at=started).update(
            failed_at=timezone.now(), failure=failure, held_until=None, due_at=_next_due(task, started)
        )
        return error
    if any(done.values()):
        logger.info("periodic task", extra={"task": task.name, **{key.replace(" ", "_"): done[key] for key in done}})
    outcome = ", ".join(f"{what}: {count}" for what, count in done.items())[:MAX_OUTCOME]
    rows.filter(started_at=started).update(
        finished_at=timezone.now(), outcome=outcome, held_until=None, due_at=_next_due(task, started)
    )
    return done


def _next_due(task: Periodic, started: datetime) -> datetime:
    regular = started + timedelta(seconds=task.every())
    earlier = task.earlier()
    return min(regular, earlier) if earlier is not None else regular
