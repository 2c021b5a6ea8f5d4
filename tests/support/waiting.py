"""How tests wait for what other processes and threads do: for a condition, and never for a time."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 180.0
"""Seconds until what does not happen is a failure. Far more than anything takes: the machine may have other work."""


def wait_until(condition: Callable[[], Any], seconds: float = PATIENCE, every: float = 0.02) -> Any:
    """Return the condition's value as soon as it is true, or its last one after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(every)
    return value


def eventually(condition: Callable[[], Any], what: str) -> Any:
    """Return the condition's value as soon as it is true; fail if it never is."""
    value = wait_until(condition)
    assert value, f"never happened: {what}"
    return value
