"""GitHub's primary rate limits, really counted."""

import math
import threading
import time

WINDOW_SECONDS = {"core": 3600, "app": 3600, "graphql": 3600, "search": 60}
"""Length of a window. Source: GitHub REST docs, "Rate limits for the REST API" and "Search"."""

LIMITS = {"core": 5000, "app": 5000, "graphql": 5000, "search": 30}
"""Requests per window of an installation; "app" counts what the App asks for under its own name (JWT)."""


class Limit:
    """One resource's counter. All installations share it: a sandbox has few, and a test wants one number to look at."""

    def __init__(self, key: str) -> None:
        self.key = key
        # GitHub answers requests of the App itself under the resource "core" too.
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
        """When the window ends: seconds since the epoch, rounded up as a client must wait at least that long."""
        with self._lock:
            self._roll()
            return math.ceil(self._resets_at)

    def take(self) -> bool:
        """Count a request; False if there was none left."""
        with self._lock:
            self._roll()
            if self._used >= self.limit:
                return False
            self._used += 1
            return True

    def exhaust(self, reset_in: float = 60) -> None:
        """Leave nothing until `reset_in` seconds from now."""
        with self._lock:
            self._used = self.limit
            self._resets_at = time.time() + reset_in

    def restore(self) -> None:
        """Begin a new, unused window."""
        with self._lock:
            self._used = 0
            self._resets_at = time.time() + self._window

    def headers(self, *, remaining: int | None = None, resets_at: int | None = None) -> dict[str, str]:
        """GitHub's x-ratelimit-* headers; the arguments let a fault say something else than the counter."""
        left = self.remaining if remaining is None else remaining
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(left),
            "X-RateLimit-Used": str(self.limit - left),
            "X-RateLimit-Reset": str(self.resets_at if resets_at is None else resets_at),
            "X-RateLimit-Resource": self.resource,
        }

    def _roll(self) -> None:
        # The published reset is rounded up; the window must not end later than it said.
        if time.time() >= self._resets_at:
            self._used = 0
            self._resets_at = time.time() + self._window
