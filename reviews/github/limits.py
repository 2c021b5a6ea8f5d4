"""GitHub's limits as they were last seen, in the cache, so that no call is made that is known to be refused.

`owner` is whose limit it is: an installation's number, or the App itself. Each has its own, and so has each resource
(`core`, `search`, `graphql`). A broken cache only means that GitHub is asked.
"""

from datetime import datetime, timedelta

import httpx
from django.utils import timezone

from reviews import cache
from reviews.github.errors import RateLimited, reset_at, retry_at

SEARCH = "search"
UNHINTED_WAIT = timedelta(seconds=60)
"""Wait after a limit that does not say how long. Source: GitHub REST docs, "Exceeding the rate limit"."""
MAX_MEMORY = timedelta(hours=1)
"""GitHub's longest window: past it a limit is looked at again, whatever the answer said that told of it."""
MIN_GROWTH = timedelta(seconds=1)
"""The second wait where the first was none at all."""
IN_A_ROW = timedelta(seconds=60)
"""After its wait is over, the time for which a limit that is met again counts as the same."""


def raise_if_exhausted(owner: str, resource: str) -> None:
    """Raise `RateLimited` (`asked` False) while a limit is known to be exhausted."""
    until = cache.get(_key(owner, resource))
    if isinstance(until, datetime) and until > timezone.now():
        raise RateLimited(resource, until, asked=False)


def remember(owner: str, resource: str, response: httpx.Response) -> None:
    """Remember from an answer, a good one too, that nothing is left."""
    if response.headers.get("x-ratelimit-remaining") == "0" and (reset := reset_at(response)):
        _keep(owner, resource, reset)


def register_hit(owner: str, resource: str, response: httpx.Response) -> RateLimited:
    """What to raise for an answer that tells of a limit; the limit is remembered.

    A limit that is met again as soon as its wait is over is waited for twice as long, up to an hour: GitHub asks for
    that where it gives no hint, and a hint that turned out wrong is none. Search is not made to wait without a hint:
    it has its one retry after a moment, and then is done without.
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
        case (datetime() as over, timedelta() as last) if over <= now:
            wait = max(wait, min(max(2 * last, MIN_GROWTH), MAX_MEMORY))
    limited = RateLimited(resource, now + wait, hinted=limited.hinted)
    _keep(owner, resource, limited.retry_at)
    cache.put(_key(owner, resource, "last"), (limited.retry_at, wait), (wait + IN_A_ROW).total_seconds())
    return limited


def _keep(owner: str, resource: str, until: datetime) -> None:
    until = min(until, timezone.now() + MAX_MEMORY)
    if (seconds := (until - timezone.now()).total_seconds()) > 0:
        cache.put(_key(owner, resource), until, seconds)


def _key(owner: str, resource: str, what: str = "until") -> str:
    return f"github-limit:{owner}:{resource}:{what}"
