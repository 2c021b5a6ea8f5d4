"""Writes of telemetry that failed in this process, for the metrics. In memory, because the database may be away."""

import threading
from collections import Counter

_failures: Counter[str] = Counter()
_lock = threading.Lock()


def count(kind: str) -> None:
    """Count a failed write of a kind of row: `rate_limit_event` or `execution`."""
    with _lock:
        _failures[kind] += 1


def take() -> Counter[str]:
    """Return the failures since the last call, by kind."""
    with _lock:
        taken = _failures.copy()
        _failures.clear()
    return taken
