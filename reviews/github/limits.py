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
LONGEST_MEMORY = timedelta(hours=1)
"""GitHub's longest window: past it a limit is looked at again, whatever the answer said that told of it."""


def heed(owner: str, resource: str) -> None:
    """Raise `RateLimited` (`asked` False) while a limit is known to be exhausted."""
    until = cache.get(_key(owner, resource))
    if isinstance(until, datetime) and until > timezone.now():
        raise RateLimited(resource, until, asked=False)


def remember(owner: str, resource: str, response: httpx.Response) -> None:
    """Remember from an answer, a good one too, that nothing is left."""
    if response.headers.get("x-ratelimit-remaining") == "0" and (reset := reset_at(response)):
        _keep(owner, resource, reset)


def met(owner: str, resource: str, response: httpx.Response) -> RateLimited:
    """What to raise for an answer that tells of a limit; the limit is remembered.

    One of Search without a hint is not: Search has its one retry after a moment, and then is done without.
    """
    until = retry_at(response)
    limited = RateLimited(resource, until or timezone.now() + UNHINTED_WAIT, hinted=until is not None)
    if limited.hinted or resource != SEARCH:
        _keep(owner, resource, limited.retry_at)
    return limited


def _keep(owner: str, resource: str, until: datetime) -> None:
    until = min(until, timezone.now() + LONGEST_MEMORY)
    if (seconds := (until - timezone.now()).total_seconds()) > 0:
        cache.put(_key(owner, resource), until, seconds)


def _key(owner: str, resource: str) -> str:
    return f"github-limit:{owner}:{resource}"
