"""Step 2 of a run: find the author's tier through GitHub Search; cached, one bounded retry, else degrade."""

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.utils import timezone

from reviews import cache
from reviews.github.client import Client
from reviews.github.errors import GitHubError, RateLimited, Unavailable
from reviews.models import AuthorTier
from telemetry.models import DegradationPath

logger = logging.getLogger(__name__)

MAX_WAIT = 1.5
"""Seconds that a review waits for Search before it degrades."""
UNHINTED_WAIT = 1.0
"""Seconds before the retry if GitHub gives no hint."""
TIER_SECONDS = 24 * 60 * 60
SEARCH_SECONDS = 60 * 60
FLIGHT_SECONDS = 30
"""Seconds for which one lookup may delay equal ones."""

MAX_FOR_FIRST_TIME = 1
MAX_FOR_REGULAR = 9
"""Merged pull requests up to which an author is `first-time`, or `regular`."""


@dataclass(frozen=True)
class Enrichment:
    """The final outcome of enrichment, with the values that its rate-limit event carries.

    `cache_hit_rate` is the share (0..1) of this run's Search lookups that the Search cache answered.
    """

    author_tier: AuthorTier
    cache_hit_rate: float = 0.0
    skipped_queries: int = 0
    retry_attempts: int = 0
    degradation_path: DegradationPath = DegradationPath.NONE


@dataclass(frozen=True)
class Lookup:
    """The outcome of a Search lookup: the number of matches, or None if Search was skipped or failed."""

    count: int | None
    hit: bool = False
    retries: int = 0
    degradation: DegradationPath = DegradationPath.NONE


def enrich(client: Client, *, repo: str, author: str, association: str) -> Enrichment:
    """Find the tier of `author` in `repo`. `association` is GitHub's `author_association`. Never raises."""
    if association in ("OWNER", "MEMBER"):
        return Enrichment(AuthorTier.CORE)
    if association in ("FIRST_TIMER", "FIRST_TIME_CONTRIBUTOR") or not author:
        return Enrichment(AuthorTier.FIRST_TIME)
    tier_key = _key("author-tier", repo, author)
    if (cached := cache.get(tier_key)) in AuthorTier.values:
        return Enrichment(AuthorTier(cached))
    lookup = look_up(client, repo, "merged-pull-requests", _merged_by(repo, author))
    if lookup.count is None:
        has_contributed = association in ("COLLABORATOR", "CONTRIBUTOR")
        return Enrichment(
            AuthorTier.REGULAR if has_contributed else AuthorTier.FIRST_TIME,
            skipped_queries=1,
            retry_attempts=lookup.retries,
            degradation_path=lookup.degradation,
        )
    tier = tier_of(lookup.count)
    cache.put(tier_key, str(tier), TIER_SECONDS)
    return Enrichment(tier, cache_hit_rate=float(lookup.hit), retry_attempts=lookup.retries)


def tier_of(merged: int) -> AuthorTier:
    """Return the tier of an author with `merged` merged pull requests."""
    if merged <= MAX_FOR_FIRST_TIME:
        return AuthorTier.FIRST_TIME
    return AuthorTier.REGULAR if merged <= MAX_FOR_REGULAR else AuthorTier.CORE


def _merged_by(repo: str, author: str) -> str:
    # Apps have their own qualifier in Search. Source: GitHub docs, "Searching issues".
    who = f"app/{author.removesuffix('[bot]')}" if author.endswith("[bot]") else author
    return f"repo:{repo} type:pr is:merged author:{who}"


def look_up(client: Client, repo: str, kind: str, query: str) -> Lookup:
    """Look up a count in the cache or by Search. Of concurrent equal lookups one calls Search for all."""
    key = _key("search", repo, kind, " ".join(query.lower().split()))
    if (count := _cached_count(key)) is not None:
        return Lookup(count, hit=True)
    flight = f"{key}:flight"
    if cache.claim(flight, FLIGHT_SECONDS):
        try:
            return _call_search(client, key, query)
        finally:
            cache.release(flight)
    answered = _wait_for(lambda: _cached_count(key), lambda: cache.get(flight) is None)
    return Lookup(answered, hit=True) if answered is not None else _call_search(client, key, query)


def _call_search(client: Client, key: str, query: str) -> Lookup:
    """Call Search, with one retry if the wait is short, and cache the answer."""
    retries = 0
    while True:
        try:
            count, complete = client.search_count(query)
        except RateLimited as limited:
            wait = (limited.retry_at - timezone.now()).total_seconds() if limited.hinted else UNHINTED_WAIT
            degradation = DegradationPath.SEARCH_RATE_LIMIT
            if not limited.asked:
                return Lookup(None, retries=retries, degradation=degradation)
        except GitHubError as error:
            logger.warning("Search failed", extra={"repo": client.repo, "error": str(error)})
            wait = UNHINTED_WAIT
            degradation = DegradationPath.SEARCH_ERROR
            if not isinstance(error, Unavailable):
                return Lookup(None, retries=retries, degradation=degradation)
        else:
            if complete:
                cache.put(key, count, SEARCH_SECONDS)
            return Lookup(count, retries=retries)
        if retries or wait > MAX_WAIT:
            return Lookup(None, retries=retries, degradation=degradation)
        retries += 1
        # Slightly longer than required: with a clock that is slow the limit would be hit again.
        time.sleep(max(0.0, wait) + 0.02)


def _cached_count(key: str) -> int | None:
    count = cache.get(key)
    return count if isinstance(count, int) else None


def _wait_for(answer: Callable[[], int | None], over: Callable[[], bool]) -> int | None:
    """Poll for another worker's answer until it arrives, its lookup is over, or `MAX_WAIT` has passed."""
    deadline = time.monotonic() + MAX_WAIT
    while (found := answer()) is None and time.monotonic() < deadline and not over():
        time.sleep(0.05)
    return found if found is not None else answer()


def _key(kind: str, *parts: str) -> str:
    """A deterministic cache key; hashed, because names may contain characters that cache servers reject."""
    return f"kodiai:{kind}:" + hashlib.sha256("\n".join(part.lower() for part in parts).encode()).hexdigest()
