"""Django's cache, fail-open: a broken cache is a miss and never an error."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from django.core.cache import cache

logger = logging.getLogger(__name__)

T = TypeVar("T")


def get(key: str) -> Any:
    """Return the value under `key`, or None when it is absent or the cache is broken."""
    return _fail_open(lambda: cache.get(key), None)


def put(key: str, value: Any, seconds: float) -> None:
    """Keep `value` under `key` for `seconds`, if the cache works."""
    _fail_open(lambda: cache.set(key, value, seconds), None)


def claim(key: str, seconds: float) -> bool:
    """Return whether `key` was free and is now ours for `seconds`. With a broken cache everyone gets the claim."""
    return _fail_open(lambda: cache.add(key, 1, seconds), True)


def count(key: str, seconds: float) -> int:
    """Count one more under `key` and return how many there were in the `seconds` since the first; 0 if it is broken."""

    def one_more() -> int:
        cache.add(key, 0, seconds)
        return cache.incr(key)

    return _fail_open(one_more, 0)


def release(key: str) -> None:
    """Forget `key`, if the cache works."""
    _fail_open(lambda: cache.delete(key), None)


def _fail_open(operation: Callable[[], T], otherwise: T) -> T:
    try:
        return operation()
    except Exception as error:  # noqa: BLE001  # a fail-open guard: each backend has exceptions of its own
        logger.warning("cache failed", extra={"error": f"{type(error).__name__}: {error}"})
        return otherwise
