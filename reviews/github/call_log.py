"""The calls to GitHub of this thread, kept in memory for whoever collects them: what they asked, and how it ended.

Never what was sent or received: no headers, no bodies, no query strings.
"""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
from django.utils import timezone

from reviews.redaction import redact, storable

MAX_CALLS = 200
"""Calls that are kept of one collection, the last ones."""
MAX_PATH = 200
"""Characters of a path."""


@dataclass(frozen=True)
class Call:
    """One request, of as many as a call that is retried makes. `status` is None where no answer came."""

    at: str
    method: str
    endpoint: str
    """The path of the URL."""
    status: int | None
    duration_ms: int
    resource: str
    remaining: int | None
    """Calls left in the limit of `resource`, as the answer says."""
    failure: str = ""
    """The class of the exception that took the place of an answer."""

    def to_json(self) -> dict[str, Any]:
        """Return the call for a JSON column."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "")}


@dataclass
class CallLog:
    """The last calls, and how many there were."""

    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=MAX_CALLS))
    made: int = 0


_collecting: ContextVar[CallLog | None] = ContextVar("calls", default=None)


@contextmanager
def collected() -> Iterator[CallLog]:
    """Collect the calls of a block."""
    log = CallLog()
    before = _collecting.set(log)
    try:
        yield log
    finally:
        _collecting.reset(before)


@contextmanager
def logged(method: str, path: str, resource: str) -> Iterator[list[httpx.Response]]:
    """Log the request of a block, which appends its response to the list."""
    log, at, started = _collecting.get(), timezone.now(), time.monotonic()
    answers: list[httpx.Response] = []
    failure = ""
    try:
        yield answers
    except BaseException as error:
        failure = type(error).__name__
        raise
    finally:
        if log is not None:
            headers = answers[0].headers if answers else httpx.Headers()
            remaining = headers.get("x-ratelimit-remaining", "")
            log.made += 1
            log.calls.append(
                Call(
                    at=at.isoformat(),
                    method=method,
                    endpoint=redact(storable(_path(path)))[:MAX_PATH],
                    status=answers[0].status_code if answers else None,
                    duration_ms=round((time.monotonic() - started) * 1000),
                    resource=resource,
                    remaining=int(remaining) if remaining.isdecimal() and len(remaining) < 10 else None,
                    failure=failure,
                )
            )


def _path(path: str) -> str:
    """Return a path without query; GraphQL's comes as a whole URL."""
    return urlsplit(path).path if path.startswith("http") else path.partition("?")[0]
