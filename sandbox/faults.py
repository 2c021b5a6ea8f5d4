"""Faults to order: what a route of the sandbox does instead of answering well."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

ANY_ROUTE = "*"
ECHO = "{authorization}"
"""In the message of a fault: replaced by the Authorization header of the request, as a hostile server would do."""


class FaultKind(StrEnum):
    """The ways in which GitHub, or the net before it, fails."""

    PRIMARY_LIMIT = "primary-limit"
    """403 (or `status` 429), `x-ratelimit-remaining: 0`, `x-ratelimit-reset` in `reset_in` seconds."""
    SECONDARY_LIMIT = "secondary-limit"
    """403 (or `status` 429) in GitHub's words, with `retry-after` unless `retry_after` is None."""
    GRAPHQL_RATE_LIMITED = "graphql-rate-limited"
    """200 with `errors: [{"type": "RATE_LIMITED"}]`, the primary limit as GraphQL tells it."""
    STATUS = "status"
    """`status` with a message: JSON, or a page of HTML for 502, 503 and 504."""
    TIMEOUT = "timeout"
    """Takes the request and answers nothing until the client goes away or the sandbox is closed."""
    RESET = "reset"
    """Resets the connection (TCP RST) before the request has any effect."""
    BROKEN_JSON = "broken-json"
    """200 with JSON that ends too soon, though as long as Content-Length says. The request has no effect."""
    WRONG_JSON = "wrong-json"
    """200 with valid JSON of another type: `body` (bytes are sent as they are). The request has no effect."""
    SLOW_BODY = "slow-body"
    """The right answer in pieces of `chunk_size` bytes, `delay` seconds apart."""
    HUGE_BODY = "huge-body"
    """200 with `size` bytes of blanks, sent until the client goes away. The request has no effect."""
    TAKEN_THEN_RESET = "taken-then-reset"
    """The request has its effect (a review is stored); then the connection is reset instead of an answer."""
    TAKEN_THEN_ANSWERED = "taken-then-answered"
    """The request has its effect; the answer is `body` with `status` (None: 200)."""
    TAKEN_THEN_DELAYED = "taken-then-delayed"
    """The request has its effect; the answer is held until `release()`. Closing the sandbox cuts the connection."""
    TAKEN_LATE = "taken-late"
    """The request is read, and has its effect only after `release()`, whether the client still waits or not."""


@dataclass(frozen=True, eq=False)
class Fault:
    """One fault with its details; which of them count, the kind says. Times are in seconds.

    `status` is the HTTP status of STATUS and of both limits (None: 403 for limits, 500 for STATUS). `message` replaces
    GitHub's wording. `retry_after` is meant for SECONDARY_LIMIT, and is sent with STATUS too if set.
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
    """Headers of the answer, instead of GitHub's own of these names; for every kind that answers something else."""
    error_type: str = "RATE_LIMITED"
    """`errors[0].type` of GRAPHQL_RATE_LIMITED; GitHub has sent RATE_LIMIT as well (githubkit issue 271)."""
    reached: threading.Event = field(default_factory=threading.Event, repr=False)
    """Set when a request has met the fault; for TAKEN_THEN_RESET and TAKEN_THEN_DELAYED, when its effect is stored."""
    released: threading.Event = field(default_factory=threading.Event, repr=False)
    done: threading.Event = field(default_factory=threading.Event, repr=False)
    """Set when TAKEN_LATE has had its effect."""

    def release(self) -> None:
        """Let the answers go that TAKEN_THEN_DELAYED holds, and the effects that TAKEN_LATE holds."""
        self.released.set()


@dataclass
class _Order:
    fault: Fault
    left: int | None
    after: int


class FaultPlan:
    """Faults queued per route; the first order of a route is served until it is used up, then the next."""

    def __init__(self, routes: Iterable[str]) -> None:
        self._routes = {*routes, ANY_ROUTE}
        self._orders: dict[str, list[_Order]] = {}
        self._lock = threading.Lock()

    def add(self, route: str, fault: Fault, times: int | None = 1, after: int = 0) -> None:
        """Queue a fault for the next `times` calls of a route (None: until cleared; "*": of any route).

        Before them `after` calls are served well.
        Raises ValueError for a route that the sandbox does not have.
        """
        if route not in self._routes:
            raise ValueError(f"no route {route!r}; there are {', '.join(sorted(self._routes))}")
        if times is not None and times < 1:
            raise ValueError("times must be at least 1, or None")
        with self._lock:
            self._orders.setdefault(route, []).append(_Order(fault, times, after))

    def take(self, route: str) -> Fault | None:
        """The fault that a call of this route meets now, if any; it is used up by that."""
        with self._lock:
            for key in (route, ANY_ROUTE):
                orders = self._orders.get(key)
                if not orders:
                    continue
                order = orders[0]
                if order.after:
                    order.after -= 1
                    continue
                if order.left is not None:
                    order.left -= 1
                    if not order.left:
                        orders.pop(0)
                return order.fault
        return None

    def clear(self) -> None:
        """Forget every order. A call that has met its fault already is not freed by this."""
        with self._lock:
            self._orders.clear()
