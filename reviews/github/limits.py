"""GitHub's rate limits as last seen, in the cache, so that no call is made that GitHub would refuse.

`owner` is the owner of a limit: an installation or the App itself. Each owner has separate limits per resource (`core`,
`search`, `graphql`). With a broken cache the call is made.
"""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
from django.utils import timezone

from reviews import cache
from reviews.github.errors import RateLimited, reset_at, retry_at

SEARCH = "search"
UNHINTED_WAIT = timedelta(seconds=60)
"""Wait after a limit without a hint. Source: GitHub REST docs, "Exceeding the rate limit"."""
MAX_WAIT = timedelta(hours=1)
"""GitHub's longest window; after it a call is made again, whatever the hint was."""
MIN_GROWTH = timedelta(seconds=1)
"""The second wait if the first one was zero."""
REPEAT_WINDOW = timedelta(seconds=60)
"""Time after the end of a wait in which another hit counts as a repetition."""


@dataclass(frozen=True)
class SeenLimit:
    """What the headers of an answer say about a limit. Source: GitHub REST docs, "Rate limits for the REST API"."""

    limit: int
    remaining: int
    reset_at: datetime
    seen_at: datetime


_seen: dict[tuple[str, str], SeenLimit] = {}
"""The last one of each owner and resource, until a higher layer stores it: `reviews.runs.observations`."""
_seen_lock = threading.Lock()


def take_seen() -> dict[tuple[str, str], SeenLimit]:
    """Return what was seen by this process since the last call, by owner and resource."""
    with _seen_lock:
        seen = dict(_seen)
        _seen.clear()
    return seen


def raise_if_exhausted(owner: str, resource: str) -> None:
    """Raise `RateLimited` (`asked` False) while a limit is known to be exhausted."""
    until = cache.get(_key(owner, resource))
    if isinstance(until, datetime) and until > timezone.now():
        raise RateLimited(resource, until, asked=False)


def remember(owner: str, resource: str, response: httpx.Response) -> None:
    """Remember from any answer, successful ones included, what is left of a limit, and that it is exhausted."""
    if (seen := _read(response)) is not None:
        with _seen_lock:
            _seen[owner, resource] = seen
    if response.headers.get("x-ratelimit-remaining") == "0" and (reset := reset_at(response)):
        _keep(owner, resource, reset)


def register_hit(owner: str, resource: str, response: httpx.Response) -> RateLimited:
    """Remember a limit that was hit; return the exception to raise.

    Each repeated hit doubles the wait, up to an hour: GitHub requires it without a hint, and a wrong hint is no hint.
    Search does not wait without a hint: it has one short retry and degrades then.
    """
    now = timezone.now()
    until = retry_at(response)
    limited = RateLimited(resource, until or now + UNHINTED_WAIT, hinted=until is not None)
    if resource == SEARCH:
        if limited.hinted:
            _keep(owner, resource, limited.retry_at)
        return limited
    wait = limited.retry_at - now
    match cache.get(_key(owner, resource, "last")):
        case (datetime() as end, timedelta() as last) if end <= now:
            wait = max(wait, min(max(2 * last, MIN_GROWTH), MAX_WAIT))
    limited = RateLimited(resource, now + wait, hinted=limited.hinted)
    _keep(owner, resource, limited.retry_at)
    cache.put(_key(owner, resource, "last"), (limited.retry_at, wait), (wait + REPEAT_WINDOW).total_seconds())
    return limited


def _read(response: httpx.Response) -> SeenLimit | None:
    values = [response.headers.get(f"x-ratelimit-{name}", "").strip() for name in ("limit", "remaining", "reset")]
    # Nine digits fit into a column of any database, and ten are seconds until the year 2286.
    if not all(value.isdecimal() and len(value) <= 10 for value in values) or max(map(len, values[:2])) > 9:
        return None
    limit, remaining, reset = map(int, values)
    return SeenLimit(limit, remaining, datetime.fromtimestamp(reset, UTC), timezone.now())


def _keep(owner: str, resource: str, until: datetime) -> None:
    until = min(until, timezone.now() + MAX_WAIT)
    if (seconds := (until - timezone.now()).total_seconds()) > 0:
        cache.put(_key(owner, resource), until, seconds)


def _key(owner: str, resource: str, what: str = "until") -> str:
    return f"github-limit:{owner}:{resource}:{what}"
