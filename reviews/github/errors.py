"""What can go wrong between Kodiai and GitHub, and how an answer tells which it is."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from django.utils import timezone

from reviews.redaction import redact, storable


class GitHubError(Exception):
    """Base of what can go wrong between Kodiai and GitHub."""


class RateLimited(GitHubError):
    """GitHub's primary or secondary limit for `resource` (`core`, `search`, `graphql`) was met.

    `retry_at` is when GitHub may be asked again. `hinted` tells whether GitHub said so itself, `asked` whether a
    call was made to find out: False when the limit was known from an earlier answer.
    """

    def __init__(self, resource: str, retry_at: datetime, *, hinted: bool = True, asked: bool = True) -> None:
        super().__init__(f"GitHub's {resource} limit is exhausted until {retry_at:%Y-%m-%d %H:%M:%S} UTC")
        self.resource = resource
        self.retry_at = retry_at
        self.hinted = hinted
        self.asked = asked


class Unavailable(GitHubError):
    """GitHub could not be reached, timed out, failed (5xx), or answered with what cannot be read."""


class Refused(GitHubError):
    """GitHub said no: `status` is 401, 403, 404, 409, 410, 422, 451 or another 3xx or 4xx that is not a limit."""

    def __init__(self, status: int, call: str, message: str) -> None:
        super().__init__(f"GitHub answered {status} to {call}: {message}{_ADVICE.get(status, '')}")
        self.status = status


class NotConfigured(GitHubError):
    """The App's credentials are missing, unusable, or not those that GitHub knows."""


class GraphQLUnavailable(GitHubError):
    """GraphQL answered, but not with what was asked for."""


_ADVICE = {
    403: " (does the App have the permissions that README.md names, and has the owner accepted them?)",
}


def is_limit(response: httpx.Response) -> bool:
    """Tell a limit from a plain refusal. Source: GitHub REST docs, "Exceeding the rate limit"."""
    if response.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in response.headers:
        return True
    words = message_of(response).lower()
    return response.status_code == 429 or "rate limit" in words or "abuse detection" in words


def retry_at(response: httpx.Response) -> datetime | None:
    """When GitHub said that it may be asked again; None where it did not say, or said what cannot be."""
    retry_after = response.headers.get("retry-after", "").strip()
    if retry_after.isdecimal() and len(retry_after) < 8:
        return timezone.now() + timedelta(seconds=int(retry_after))
    if retry_after:
        return _in_future(_http_date(retry_after))
    return reset_at(response) if response.headers.get("x-ratelimit-remaining") == "0" else None


def reset_at(response: httpx.Response) -> datetime | None:
    """When the primary limit resets; None where GitHub did not say, or named a time that is over.

    The latter is a clock that is wrong, here or there: to believe it would be to ask again at once, for ever.
    """
    reset = response.headers.get("x-ratelimit-reset", "").strip()
    return _in_future(datetime.fromtimestamp(int(reset), UTC)) if reset.isdecimal() and len(reset) < 12 else None


def message_of(response: httpx.Response) -> str:
    """GitHub's own words for an error, with its list of `errors`, on at most 1,000 characters.

    A GitHub that repeats our credentials in its words must not get them stored or logged by that.
    """
    answer = read_json(response, otherwise=None)
    words = response.reason_phrase
    if isinstance(answer, dict):
        errors = answer.get("errors")
        words = str(answer.get("message", words)) + (f" {errors}" if errors else "")
    return redact(storable(words))[:1000]


def read_json(response: httpx.Response, *, otherwise: Any) -> Any:
    """The body as JSON, or `otherwise` where it is none, or is nested too deep to be read."""
    try:
        return response.json()
    except (ValueError, RecursionError):
        return otherwise


def _in_future(moment: datetime | None) -> datetime | None:
    return moment if moment is not None and moment > timezone.now() else None


def _http_date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, TypeError, LookupError, OverflowError):
        return None
