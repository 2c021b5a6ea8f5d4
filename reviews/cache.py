"""Django's cache, fail-open: a broken cache is a miss, never an error."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from django.core.cache import cache

logger = logging.getLogger(__name__)

T = TypeVar("T")


def get(key: str) -> Any:
    """Return the value of `key`; None if it is absent or the cache is broken."""
    return _fail_open(lambda: cache.get(key), None)


def put(key: str, value: Any, seconds: float) -> None:
    """Store `value` under `key` for `seconds`; do nothing if the cache is broken."""
    _fail_open(lambda: cache.set(key, value, seconds), None)


def claim(key: str, seconds: float) -> bool:
    """Claim `key` for `seconds`; return whether it was free. With a broken cache every claim succeeds."""
    return _fail_open(lambda: cache.add(key, 1, seconds), True)


def count(key: str, seconds: float) -> int:
    """Increment the counter `key`, which expires `seconds` after its first use, and return it; 0 if broken."""

    def increment() -> int:
        cache.add(key, 0, seconds)
        return cache.incr(key)

    return _fail_open(increment, 0)


def uncount(key: str) -> None:
    """Decrement the counter `key`; do nothing if it is absent or the cache is broken."""
    _fail_open(lambda: cache.decr(key) if cache.get(key) else None, None)


def release(key: str) -> None:
    """Delete `key`; do nothing if the cache is broken."""
    _fail_open(lambda: cache.delete(key), None)


def _fail_open(operation: Callable[[], T], default: T) -> T:
    try:
        return operation()
    except Exception as error:  # noqa: BLE001  # a fail-open guard: each backend raises its own exceptions
        logger.warning("cache failed", extra={"error": f"{type(error).__name__}: {error}"})
        return default
