"""GitHub's primary rate limits, counted."""

import math
import threading
import time

WINDOW_SECONDS = {"core": 3600, "app": 3600, "graphql": 3600, "search": 60}
"""Length of a window. Source: GitHub REST docs, "Rate limits for the REST API" and "Search"."""

LIMITS = {"core": 5000, "app": 5000, "graphql": 5000, "search": 30}
"""Requests per window of an installation. "app" counts the requests that the App makes with its JSON web token."""


class RateLimit:
    """The counter of one resource. All installations share it, so that a test has one number to read."""

    def __init__(self, key: str) -> None:
        self.key = key
        # GitHub reports requests of the App itself under the resource "core" too.
        self.resource = "core" if key == "app" else key
        self.limit = LIMITS[key]
        self._window = WINDOW_SECONDS[key]
        self._used = 0
        self._resets_at = time.time() + self._window
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Requests counted in this window."""
        with self._lock:
            self._roll()
            return self._used

    @property
    def remaining(self) -> int:
        """Requests left in this window."""
        return max(self.limit - self.used, 0)

    @property
    def resets_at(self) -> int:
        """End of the window in seconds since the epoch, rounded up: a client must wait at least that long."""
        with self._lock:
            self._roll()
            return math.ceil(self._resets_at)

    def take(self) -> bool:
        """Count a request; return False if the limit is exhausted."""
        with self._lock:
            self._roll()
            if self._used >= self.limit:
                return False
            self._used += 1
            return True

    def exhaust(self, reset_in: float = 60) -> None:
        """Leave no requests until `reset_in` seconds from now."""
        with self._lock:
            self._used = self.limit
            self._resets_at = time.time() + reset_in

    def restore(self) -> None:
        """Begin a new window."""
        with self._lock:
            self._used = 0
            self._resets_at = time.time() + self._window

    def headers(self, *, remaining: int | None = None, resets_at: int | None = None) -> dict[str, str]:
        """Return GitHub's x-ratelimit-* headers. Faults pass `remaining` and `resets_at` in place of the counter's."""
        left = self.remaining if remaining is None else remaining
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(left),
            "X-RateLimit-Used": str(self.limit - left),
            "X-RateLimit-Reset": str(self.resets_at if resets_at is None else resets_at),
            "X-RateLimit-Resource": self.resource,
        }

    def _roll(self) -> None:
        # The published reset is rounded up; the window must not end later than published.
        if time.time() >= self._resets_at:
            self._used = 0
            self._resets_at = time.time() + self._window
