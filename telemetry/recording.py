"""Recording telemetry: the first write of an identity is the truth, and a broken store never stops a review.

Both functions return the stored row, or `None` when the store failed; no `Exception` leaves them, and they cost the
caller at most a second. A failure leaves the caller's transaction usable and one warning in the log that holds the
whole event, so that nothing is lost to whoever reads it. A replay makes no second row and returns the one that is
there. A delivery id is an opaque string, kept as given; `None` says that no webhook is behind the run, and such a run
is always written. An empty string is not "none": it would be one identity that all such runs share.
"""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from threading import Thread
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from telemetry.models import Execution, RateLimitEvent

logger = logging.getLogger(__name__)

Row = TypeVar("Row", RateLimitEvent, Execution)

POSTGRES_TIMEOUT_MS = 300
"""For each of a write's (at most) three statements that can wait, so that together they stay under a second."""
SQLITE_BUSY_TIMEOUT_MS = 800
"""A write waits for SQLite's lock once, when it begins."""
OWN_STORE_TIMEOUT_S = 0.9
"""For connecting to a store of its own and writing to it."""


def record_rate_limit_event(
    *,
    delivery_id: str | None,
    event_type: str,
    repo: str,
    pr_number: int | None,
    cache_hit_rate: float,
    skipped_queries: int,
    retry_attempts: int,
    degradation_path: str,
) -> RateLimitEvent | None:
    """Store how GitHub's limits touched a run; return the row of its identity, or `None` when the store failed.

    `cache_hit_rate` is 0 to 1, the two counts are 0 or more (the database refuses anything else, which counts as a
    failure), `degradation_path` is a `DegradationPath`. A replay returns the first row, whatever its own values are.
    """
    values = {
        "repo": repo,
        "pr_number": pr_number,
        "cache_hit_rate": cache_hit_rate,
        "skipped_queries": skipped_queries,
        "retry_attempts": retry_attempts,
        "degradation_path": degradation_path,
    }

    def write() -> RateLimitEvent:
        if delivery_id is None:
            return RateLimitEvent.objects.create(event_type=event_type, **values)
        return RateLimitEvent.objects.get_or_create(delivery_id=delivery_id, event_type=event_type, defaults=values)[0]

    return _fail_open(
        "rate_limit_event",
        {"delivery_id": delivery_id, "event_type": event_type, **values},
        RateLimitEvent,
        write,
    )


def record_execution(
    *,
    delivery_id: str | None,
    event_type: str,
    repo: str,
    pr_number: int | None,
    pr_author: str | None,
    provider: str,
    model: str,
    conclusion: str,
    duration_ms: int = 0,
    input_tokens: int = 0,
    output_tokens: int = 0,
    cache_read_tokens: int = 0,
    cache_creation_tokens: int = 0,
    cost_usd: float = 0.0,
) -> Execution | None:
    """Store how a run ended; return the row of its identity, or `None` when the store failed.

    `duration_ms` is in milliseconds, `cost_usd` in US dollars, `conclusion` is a `Conclusion`. There is one row for an
    identity, and it tells the last conclusion: a run that was given up and queued again ends a second time, and its
    row is changed. A replay with the same values changes nothing.
    """
    values = {
        "repo": repo,
        "pr_number": pr_number,
        "pr_author": pr_author,
        "provider": provider,
        "model": model,
        "conclusion": conclusion,
        "duration_ms": duration_ms,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "cache_read_tokens": cache_read_tokens,
        "cache_creation_tokens": cache_creation_tokens,
        "cost_usd": cost_usd,
    }

    def write() -> Execution:
        if delivery_id is None:
            return Execution.objects.create(event_type=event_type, **values)
        return Execution.objects.update_or_create(delivery_id=delivery_id, event_type=event_type, defaults=values)[0]

    return _fail_open(
        "execution",
        {"delivery_id": delivery_id, "event_type": event_type, **values},
        Execution,
        write,
    )


def _fail_open(kind: str, event: dict[str, Any], model: type[Model], write: Callable[[], Row]) -> Row | None:
    """The one guard: return what `write` returns, or log the event and return `None`."""
    try:
        using = router.db_for_write(model)
        if using == DEFAULT_DB_ALIAS:
            with _bounded(using):
                return write()
        return _in_a_thread(using, write)
    except Exception as error:  # whatever ails the store, the review goes on
        logger.warning(
            "%s not recorded",
            kind.replace("_", "-"),
            extra={kind: event, "error": f"{type(error).__name__}: {error}"},
            exc_info=True,
        )
        return None


# Waits


@contextmanager
def _bounded(using: str) -> Iterator[None]:
    """Let the database give up soon, and roll back no more than a savepoint where the caller has a transaction."""
    connection = connections[using]
    if connection.vendor == "postgresql":
        with transaction.atomic(using=using), _postgres_timeout(connection):
            yield
    else:
        # No transaction of its own: it would begin with SQLite's write lock, which a replay, a mere read, can spare.
        savepoint = transaction.atomic(using=using) if connection.in_atomic_block else nullcontext()
        with sqlite_busy_timeout(connection, SQLITE_BUSY_TIMEOUT_MS), savepoint:
            yield


@contextmanager
def _postgres_timeout(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Lower PostgreSQL's time-out, which bounds waits for locks too, in the transaction or savepoint that is open."""
    with connection.cursor() as cursor:

        def set_local(timeout: str) -> None:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [timeout])

        cursor.execute("SHOW statement_timeout")
        (before,) = cursor.fetchone()
        set_local(f"{POSTGRES_TIMEOUT_MS}ms")
        yield
        # A rollback undoes the setting by itself; a released savepoint would leave it to the caller's transaction.
        set_local(before)


@contextmanager
def sqlite_busy_timeout(connection: BaseDatabaseWrapper, milliseconds: int) -> Iterator[None]:
    """Let the block wait for SQLite's lock for so long on this connection, and no longer."""
    connection.ensure_connection()
    # Past Django's cursor, which refuses to set it back after an error that SQLite answered by ending the transaction.
    sqlite = connection.connection
    (before,) = sqlite.execute("PRAGMA busy_timeout").fetchone()
    sqlite.execute(f"PRAGMA busy_timeout = {milliseconds}")
    try:
        yield
    finally:
        sqlite.execute(f"PRAGMA busy_timeout = {before}")


_hung: Thread | None = None
"""The last thread that did not end in time."""


def _in_a_thread(using: str, write: Callable[[], Row]) -> Row:
    """Return what `write` returns, or raise `TimeoutError` if it takes longer than `OWN_STORE_TIMEOUT_S`.

    A database's own time-outs do not help against a server that is frozen or cannot be reached: libpq waits at least
    two seconds for a connection, and for an answer without end. So a thread waits, and the review does not. A write
    that is finished late is harmless, because it is the same write that a replay would make.
    """
    global _hung
    if _hung is not None and _hung.is_alive():
        # One review pays for finding out that the store hangs; those after it pay nothing and add no threads.
        raise TimeoutError("an earlier write to the telemetry store is still waiting for an answer")
    outcome: Future[Row] = Future()

    def run() -> None:
        try:
            with _bounded(using):
                row = write()
            outcome.set_result(row)
        except BaseException as error:  # noqa: BLE001 - not handled here, carried to the caller's guard
            outcome.set_exception(error)
        finally:
            # Connections belong to threads; without this each write would leave one open.
            connections[using].close()

    # A daemon, so that a store that hangs does not keep a worker from ending.
    thread = Thread(target=run, name="telemetry-write", daemon=True)
    thread.start()
    try:
        return outcome.result(timeout=OWN_STORE_TIMEOUT_S)
    except TimeoutError:
        _hung = thread
        raise TimeoutError(f"the telemetry store gave no answer within {OWN_STORE_TIMEOUT_S} s") from None
