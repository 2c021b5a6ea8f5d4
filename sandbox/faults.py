"""Faults that tests inject: a route of the sandbox misbehaves instead of sending its normal response."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

ANY_ROUTE = "*"
ECHO = "{authorization}"
"""Placeholder in a fault's message for the request's Authorization header, which a hostile server may echo."""


class FaultKind(StrEnum):
    """The ways in which GitHub, or the network before it, fails. Unless noted, the request has no effect."""

    PRIMARY_LIMIT = "primary-limit"
    """403 (or `status` 429), `x-ratelimit-remaining: 0`, `x-ratelimit-reset` in `reset_in` seconds."""
    SECONDARY_LIMIT = "secondary-limit"
    """403 (or `status` 429) with GitHub's message, and `retry-after` unless `retry_after` is None."""
    GRAPHQL_RATE_LIMITED = "graphql-rate-limited"
    """200 with `errors: [{"type": "RATE_LIMITED"}]`: the primary limit in GraphQL."""
    STATUS = "status"
    """`status` with a message: JSON, or an HTML page for 502, 503 and 504."""
    TIMEOUT = "timeout"
    """Send nothing until the client closes the connection or the sandbox is closed."""
    RESET = "reset"
    """Reset the connection (TCP RST)."""
    BROKEN_JSON = "broken-json"
    """200 with truncated JSON of the length that Content-Length announces."""
    WRONG_JSON = "wrong-json"
    """200 with valid JSON of another type: `body`. Bytes are sent unchanged."""
    SLOW_BODY = "slow-body"
    """The normal response in pieces of `chunk_size` bytes, `delay` seconds apart. The request has its effect."""
    HUGE_BODY = "huge-body"
    """200 with `size` bytes of white space, sent until the client closes the connection."""
    APPLIED_THEN_RESET = "applied-then-reset"
    """The request has its effect (a review is stored); then the connection is reset without a response."""
    APPLIED_THEN_REPLACED = "applied-then-replaced"
    """The request has its effect; the response is `body` with `status` (None: 200)."""
    APPLIED_THEN_DELAYED = "applied-then-delayed"
    """The request has its effect; the response waits for `release()`. Closing the sandbox closes the connection."""
    APPLIED_LATE = "applied-late"
    """The request has its effect only after `release()`, whether or not the client still waits."""


@dataclass(frozen=True, eq=False)
class Fault:
    """A fault and its parameters; which of them apply depends on the kind. Times are in seconds.

    `status` is the HTTP status of STATUS and of both limits (None: 403 for limits, 500 for STATUS). `message` replaces
    GitHub's message. `retry_after` applies to SECONDARY_LIMIT, and to STATUS if set.
    """

    kind: FaultKind
    status: int | None = None
    message: str | None = None
    reset_in: float = 60
    retry_after: int | None = None
    delay: float = 0.02
    chunk_size: int = 16
    size: int = 2 * 1024**3
    body: Any = field(default_factory=lambda: [1, 2, 3])
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers that replace GitHub's of the same names, for every kind that sends another response."""
    dropped: frozenset[str] = frozenset()
    """Names in the request's JSON that APPLIED_THEN_REPLACED drops first: a review is stored without its comments."""
    error_type: str = "RATE_LIMITED"
    """`errors[0].type` of GRAPHQL_RATE_LIMITED; GitHub has sent RATE_LIMIT as well (githubkit issue 271)."""
    reached: threading.Event = field(default_factory=threading.Event, repr=False)
    """Set when a request meets the fault; for APPLIED_THEN_RESET and APPLIED_THEN_DELAYED, after its effect."""
    released: threading.Event = field(default_factory=threading.Event, repr=False)
    applied: threading.Event = field(default_factory=threading.Event, repr=False)
    """Set when a request that met APPLIED_LATE has had its effect."""

    def release(self) -> None:
        """Send the response that APPLIED_THEN_DELAYED holds, or apply the request that APPLIED_LATE holds."""
        self.released.set()


@dataclass
class _PlannedFault:
    fault: Fault
    remaining: int | None
    after: int


class FaultPlan:
    """The planned faults of each route, in the order in which they were added."""

    def __init__(self, routes: Iterable[str]) -> None:
        self._routes = {*routes, ANY_ROUTE}
        self._planned: dict[str, list[_PlannedFault]] = {}
        self._lock = threading.Lock()

    def add(self, route: str, fault: Fault, times: int | None = 1, after: int = 0) -> None:
        """Plan a fault for the next `times` requests of a route (None: until cleared; "*": of any route).

        Before them, `after` requests are served normally. Raises ValueError for an unknown route and `times` below 1.
        """
        if route not in self._routes:
            raise ValueError(f"no route {route!r}; there are {', '.join(sorted(self._routes))}")
        if times is not None and times < 1:
            raise ValueError("times must be at least 1, or None")
        with self._lock:
            self._planned.setdefault(route, []).append(_PlannedFault(fault, times, after))

    def take(self, route: str) -> Fault | None:
        """Return the fault of the next request of a route, if any, and count it."""
        with self._lock:
            for key in (route, ANY_ROUTE):
                queue = self._planned.get(key)
                if not queue:
                    continue
                planned = queue[0]
                if planned.after:
                    planned.after -= 1
                    continue
                if planned.remaining is not None:
                    planned.remaining -= 1
                    if not planned.remaining:
                        queue.pop(0)
                return planned.fault
        return None

    def peek(self, route: str) -> Fault | None:
        """Return the fault that the next request of a route meets, if any, without counting it."""
        with self._lock:
            queues = [self._planned[key] for key in (route, ANY_ROUTE) if self._planned.get(key)]
            return next((queue[0].fault for queue in queues if not queue[0].after), None)

    def clear(self) -> None:
        """Remove every planned fault. Requests that have met a fault are not released."""
        with self._lock:
            self._planned.clear()
