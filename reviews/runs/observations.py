"""Store what this process alone has seen, between runs and never at their cost.

That is what is left of GitHub's limits, and which writes of telemetry have failed.
"""

import logging
import threading
import time
from collections import Counter

from reviews.github import limits
from reviews.github.app import OWNER as APP
from reviews.models import GitHubLimit, Tally
from reviews.runs.fail_open import is_stored
from telemetry import failures

logger = logging.getLogger(__name__)

STORE_SECONDS = 5.0
"""Least time between two rounds of one process."""
LOCK_MS = 100
"""Longest wait for SQLite's lock, and for a statement on PostgreSQL."""
TELEMETRY_WRITE_FAILURES = "telemetry_write_failures"

_stored_at: float | None = None
"""Start of the last round, by time.monotonic()."""
_storing = threading.Lock()
_failures: Counter[str] = Counter()
"""Failed writes of telemetry that are not stored yet."""


def store_observations() -> None:
    """Store what was seen since the last round; do nothing within `STORE_SECONDS` of it. Never raise.

    What cannot be stored now is stored later: failures are kept, limits are seen again.
    """
    # The thread of the periodic tasks does the same.
    if not _storing.acquire(blocking=False):
        return
    try:
        _store()
    finally:
        _storing.release()


def _store() -> None:
    global _stored_at
    if _stored_at is not None and time.monotonic() - _stored_at < STORE_SECONDS:
        return
    seen = limits.take_seen()
    _failures.update(failures.take())
    if not seen and not _failures:
        return
    _stored_at = time.monotonic()

    def write() -> None:
        for (owner, resource), limit in seen.items():
            _store_limit(_installation(owner), resource, limit)
        for kind, count in _failures.items():
            Tally.add(TELEMETRY_WRITE_FAILURES, kind, count)

    if is_stored(write, milliseconds=LOCK_MS, report=_report):
        _failures.clear()


def _report(error: Exception) -> None:
    logger.warning("observations not stored", extra={"error": f"{type(error).__name__}: {error}"})


def _store_limit(installation_id: int, resource: str, seen: limits.SeenLimit) -> None:
    """Store a limit, unless another process has stored a later answer."""
    values = vars(seen)
    rows = GitHubLimit.objects.filter(installation_id=installation_id, resource=resource)
    if not rows.filter(seen_at__lte=seen.seen_at).update(**values):
        new = GitHubLimit(installation_id=installation_id, resource=resource, **values)
        GitHubLimit.objects.bulk_create([new], ignore_conflicts=True)


def _installation(owner: str) -> int:
    return 0 if owner == APP else int(owner.removeprefix("installation-"))
