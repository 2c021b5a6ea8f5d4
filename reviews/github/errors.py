"""Errors of calls to GitHub, and how to distinguish them by the answer."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from django.utils import timezone

from reviews.redaction import redact, storable


class GitHubError(Exception):
    """Base class of errors of calls to GitHub."""


class RateLimited(GitHubError):
    """The primary or secondary rate limit for `resource` (`core`, `search`, `graphql`) is exhausted until `retry_at`.

    `hinted`: GitHub itself gave that time. `asked`: a call was made; False if the limit was known from an earlier
    answer.
    """

    def __init__(self, resource: str, retry_at: datetime, *, hinted: bool = True, asked: bool = True) -> None:
        super().__init__(f"GitHub's {resource} limit is exhausted until {retry_at:%Y-%m-%d %H:%M:%S} UTC")
        self.resource = resource
        self.retry_at = retry_at
        self.hinted = hinted
        self.asked = asked


class Unavailable(GitHubError):
    """GitHub sent an invalid answer, or one that says nothing about the call; or it is `Unreachable`."""


class Unreachable(Unavailable):
    """GitHub could not be reached, timed out, failed (5xx), or its answer was cut short: an outage, not our fault."""


class Refused(GitHubError):
    """GitHub refused a call: `status` is 401, 403, 404, 409, 410, 422, 451 or another 3xx or 4xx, but no limit."""

    def __init__(self, status: int, call: str, message: str) -> None:
        super().__init__(f"GitHub answered {status} to {call}: {message}{_ADVICE.get(status, '')}")
        self.status = status


class NotConfigured(GitHubError):
    """The App's credentials are missing or invalid."""


class GraphQLUnavailable(GitHubError):
    """GraphQL answered without the requested data."""


_ADVICE = {
    403: " (check that the App has the permissions listed in README.md and that the owner has accepted them)",
}


def is_limit(response: httpx.Response) -> bool:
    """Return whether a refusal is a rate limit. Source: GitHub REST docs, "Exceeding the rate limit"."""
    if response.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in response.headers:
        return True
    words = message_of(response).lower()
    return response.status_code == 429 or "rate limit" in words or "abuse detection" in words


def retry_at(response: httpx.Response) -> datetime | None:
    """The time from which GitHub accepts calls again; None without a valid hint."""
    retry_after = response.headers.get("retry-after", "").strip()
    if retry_after.isdecimal() and len(retry_after) < 8:
        return timezone.now() + timedelta(seconds=int(retry_after))
    if retry_after:
        return _in_future(_http_date(retry_after))
    return reset_at(response) if response.headers.get("x-ratelimit-remaining") == "0" else None


def reset_at(response: httpx.Response) -> datetime | None:
    """The time when the primary limit resets; None without a hint, or if the time is over.

    A time in the past means that a clock is wrong; trusting it would mean to retry at once, for ever.
    """
    reset = response.headers.get("x-ratelimit-reset", "").strip()
    return _in_future(datetime.fromtimestamp(int(reset), UTC)) if reset.isdecimal() and len(reset) < 12 else None


def message_of(response: httpx.Response) -> str:
    """GitHub's error message with its list of `errors`, at most 1,000 characters.

    Redacted, in case the message repeats credentials.
    """
    answer = read_json(response, default=None)
    words = response.reason_phrase
    if isinstance(answer, dict):
        errors = answer.get("errors")
        words = str(answer.get("message", words)) + (f" {errors}" if errors else "")
    return redact(storable(words))[:1000]


def read_json(response: httpx.Response, *, default: Any) -> Any:
    """Parse the body as JSON; `default` if it is invalid or nested too deep."""
    try:
        return response.json()
    except (ValueError, RecursionError):
        return default


def _in_future(moment: datetime | None) -> datetime | None:
    return moment if moment is not None and moment > timezone.now() else None


def _http_date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, TypeError, LookupError, OverflowError):
        return None
