"""What the doctor finds on this machine: settings, databases, cache, queue, workers, analyzers, disk."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.core import checks
from django.core.cache import cache
from django.db import DatabaseError, InterfaceError, connections, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from django.utils.crypto import get_random_string

from kodiai.configuration import SETTINGS
from kodiai.doctor.results import Result, Status, ok
from reviews.intake.request_timeouts import database_time_limit
from reviews.models import Delivery, PeriodicTask
from reviews.redaction import redact
from telemetry.models import RateLimitEvent

MIN_FREE, LOW_FREE = 100 * 1024**2, 1024**3
"""Bytes of a disk below which deliveries will soon not be stored, and below which somebody should look."""
MAX_WAITING = timedelta(minutes=5)
"""Age of a due delivery that a healthy worker has taken."""


def examine() -> list[Result]:
    """Check everything on this machine."""
    results = [*_settings(), *_files()]
    usable = True
    for alias in settings.DATABASES:
        found = list(_database(alias))
        usable = usable and not any(result.status in (Status.ERROR, Status.UNKNOWN) for result in found)
        results += found
    results += _cache()
    if usable:
        results += [*_queue(), *_worker()]
    else:
        results.append(Result("worker", Status.UNKNOWN, "not looked for: its traces are in the database"))
    return [*results, *_analyzers(), *_confinement(), *_disk()]


def at_start() -> list[Result]:
    """Return what is wrong of what is cheap to know and not said by `manage.py run`; workers name their wall."""
    results = [*_files(), *_cache(), *_disk()]
    return [result for result in results if result.status is not Status.OK]


def _settings() -> Iterator[Result]:
    problems = checks.run_checks()
    for problem in problems:
        status = Status.ERROR if problem.level >= checks.ERROR else Status.WARNING
        yield Result("settings", status, f"{problem.msg} ({problem.id})", problem.hint or "")
    if not problems:
        yield ok("settings", f"all {len(SETTINGS)} can be read, and no other name begins with KODIAI_")


def _files() -> Iterator[Result]:
    """A `.env` holds every secret."""
    file = Path(os.environ.get("KODIAI_ENV_FILE") or Path(settings.BASE_DIR) / ".env")
    if not file.is_file():
        return
    found = file.stat()
    # Kodiai reads a file of root's through its group, as README has it: root:kodiai, 640.
    through_group = found.st_uid != os.geteuid() or (found.st_uid == 0 and found.st_gid != 0)
    if found.st_mode & (0o037 if through_group else 0o077):
        mend = f"chmod {'g=r,o=' if through_group else 'go='} {file}"
        yield Result(".env", Status.WARNING, f"{file} can be read by other users of this machine", mend)


def _database(alias: str) -> Iterator[Result]:
    """Connect, compare versions, look for migrations, and write."""
    check = "database" if alias == "default" else f"{alias} database"
    setting = "DATABASE_URL" if alias == "default" else "KODIAI_TELEMETRY_DATABASE_URL"
    connection = connections[alias]
    try:
        with database_time_limit() if alias == "default" else transaction.atomic(using=alias):
            connection.ensure_connection()
            version = ".".join(map(str, connection.get_database_version()))
            executor = MigrationExecutor(connection)
            missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
            if missing and alias == "default":
                mend = "run `manage.py migrate --fake-initial`, or `manage.py run`, which does it"
                yield Result(check, Status.ERROR, f"{missing} migrations are missing", mend)
                return
            # No row has this key, but the lock and the right to write are needed all the same.
            if alias == "default":
                PeriodicTask.objects.filter(name="").update(outcome="")
            else:
                RateLimitEvent.objects.using(alias).filter(pk=-1).update(repo="")
        yield ok(check, f"{connection.display_name} {version}, migrated, writable")
    except (DatabaseError, InterfaceError) as error:
        why = redact(" ".join(str(error).split())) or type(error).__name__
        yield Result(check, Status.ERROR, f"it fails: {why}", f"check {setting}, and that its server runs")
        return
    if connection.vendor == "sqlite":
        yield from _journal(check, alias)


def _journal(check: str, alias: str) -> Iterator[Result]:
    with connections[alias].cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        mode = str(cursor.fetchone()[0])
    if mode not in ("wal", "memory"):
        mend = "put the file on a local disk: network file systems have no shared memory"
        yield Result(check, Status.WARNING, f"its journal is {mode}, not wal: readers and writers wait", mend)


def _cache() -> Iterator[Result]:
    """Write a value and read it back."""
    key, value = "doctor", get_random_string(12)
    try:
        cache.set(key, value, 60)
        found = cache.get(key) == value
    except Exception as error:  # noqa: BLE001  # each cache has its own errors, and none may end the doctor
        why = redact(f"{type(error).__name__}: {error}")
        yield Result("cache", Status.WARNING, f"it fails, so nothing is shared: {why}", "check KODIAI_CACHE_URL")
        return
    if found:
        local = "locmem" in settings.CACHES["default"]["BACKEND"]
        yield ok("cache", "each process has its own" if local else "shared, keeps what is written")
    else:
        yield Result("cache", Status.WARNING, "it forgets what is written", "check KODIAI_CACHE_URL and its memory")


def _queue() -> Iterator[Result]:
    """Ask the queue's server, and look at the oldest delivery that nobody took."""
    where = "in the database"
    if settings.KODIAI_TASKS_URL:
        where = "on Redis"
        from redis.exceptions import RedisError

        try:
            _redis_ping()
        except RedisError as error:
            why = redact(f"{type(error).__name__}: {error}")
            mend = "check KODIAI_TASKS_URL and that Redis runs; deliveries are kept in the database meanwhile"
            yield Result("queue", Status.ERROR, f"it fails: {why}", mend)
            return
    due, oldest = Delivery.objects.due().count(), Delivery.objects.oldest_due()
    if oldest is not None and timezone.now() - oldest > MAX_WAITING:
        message = f"{due} deliveries wait, the oldest for {_age(oldest)}"
        yield Result("queue", Status.WARNING, message, "see docs/runbook.md; raise KODIAI_WORKERS if workers are busy")
    else:
        yield ok("queue", f"{where}, {due} deliveries are due")


def _redis_ping() -> None:
    from django_rq import get_connection

    get_connection("default").ping()


def _worker() -> Iterator[Result]:
    """Look for the last sweep, which workers do all the time."""
    every = settings.KODIAI_SWEEP_SECONDS
    mend = "start `manage.py run` or `manage.py worker`" if every else "run `manage.py maintain` from cron, each minute"
    last = PeriodicTask.objects.filter(name="sweep").values_list("finished_at", flat=True).first()
    late = timedelta(seconds=3 * every + 60)
    if last is None:
        yield Result("worker", Status.ERROR, "none has ever worked on this database", mend)
    elif timezone.now() - last > late:
        yield Result("worker", Status.ERROR, f"none has given a sign of life for {_age(last)}", mend)
    else:
        yield ok("worker", f"the last sign of life was {_age(last)} ago")


def _analyzers() -> Iterator[Result]:
    """Look for each analyzer's program."""
    # Imported here: `manage.py run` does not need them.
    from reviews.engines.analyzer import PROGRAMS
    from reviews.engines.analyzers import ANALYZERS

    missing = [analyzer.name for analyzer in ANALYZERS if not shutil.which(analyzer.command[0], path=PROGRAMS)]
    if missing:
        mend = "run `make install`; on Linux on ARM install ShellCheck from the system"
        yield Result("analyzers", Status.WARNING, f"not installed: {', '.join(missing)}", mend)
    else:
        yield ok("analyzers", f"all {len(ANALYZERS)} are installed")


def _confinement() -> Iterator[Result]:
    """Say what holds an analyzer that was taken over."""
    from reviews.engines import confinement

    way = confinement.in_force()
    if way.is_wall:
        yield ok("confinement", f"analyzers see nothing but their scratch directory ({way.name})")
        return
    status = Status.ERROR if settings.KODIAI_CONFINEMENT == "required" else Status.WARNING
    message = f"analyzers have {way.name}, but may reach {', '.join(way.lacks)}"
    yield Result("confinement", status, message, "install bubblewrap, or allow user namespaces or Landlock")


def _disk() -> Iterator[Result]:
    """Look at the free space of each folder that Kodiai writes to."""
    places = {"temporary files": Path(tempfile.gettempdir())}
    for alias, database in settings.DATABASES.items():
        if database["ENGINE"] == "django.db.backends.sqlite3" and database["NAME"] != ":memory:":
            places[f"database {alias}"] = Path(database["NAME"]).parent
    for what, folder in places.items():
        try:
            free = shutil.disk_usage(folder).free
        except OSError as error:
            yield Result("disk", Status.UNKNOWN, f"{folder} ({what}): {error.strerror}")
            continue
        message = f"{free / 1024**3:.1f} GiB free for {what} ({folder})"
        if free < LOW_FREE:
            status = Status.ERROR if free < MIN_FREE else Status.WARNING
            mend = "free some space; KODIAI_RETENTION_DAYS removes what is old"
            yield Result("disk", status, message, mend)
        else:
            yield ok("disk", message)


def _age(moment: datetime) -> str:
    seconds = (timezone.now() - moment).total_seconds()
    steps: tuple[tuple[int, str], ...] = ((86_400, "d"), (3_600, "h"), (60, "min"))
    return next((f"{seconds / size:.0f} {unit}" for size, unit in steps if seconds >= 2 * size), f"{seconds:.0f} s")
