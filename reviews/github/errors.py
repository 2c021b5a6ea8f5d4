"""What can go wrong between Kodiai and GitHub, and how an answer tells which it is."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
from django.utils import timezone


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
    """GitHub said no: `status` is 401, 403, 404, 409, 410, 422, 451 or another 4xx that is not a limit."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"GitHub answered {status}: {message}")
        self.status = status


class NotConfigured(GitHubError):
    """The App's credentials are missing or unusable."""


class GraphQLUnusable(GitHubError):
    """GraphQL answered, but not with what was asked for."""


def is_limit(response: httpx.Response) -> bool:
    """Tell a limit from a plain refusal. Source: GitHub REST docs, "Exceeding the rate limit"."""
    if response.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in response.headers:
        return True
    words = message_of(response).lower()
    return response.status_code == 429 or "rate limit" in words or "abuse detection" in words


def retry_at(response: httpx.Response) -> datetime | None:
    """When GitHub said that it may be asked again; None where it did not say."""
    retry_after = response.headers.get("retry-after", "").strip()
    if retry_after.isdecimal() and len(retry_after) < 8:
        return timezone.now() + timedelta(seconds=int(retry_after))
    if retry_after:
        try:
            return parsedate_to_datetime(retry_after).astimezone(UTC)
        except (ValueError, OverflowError):
            return None
    if response.headers.get("x-ratelimit-remaining") == "0":
        return reset_at(response)
    return None


def reset_at(response: httpx.Response) -> datetime | None:
    reset = response.headers.get("x-ratelimit-reset", "").strip()
    return datetime.fromtimestamp(int(reset), UTC) if reset.isdecimal() and len(reset) < 12 else None


def message_of(response: httpx.Response) -> str:
    """GitHub's own words for an error, with its list of `errors`, on at most 1,000 characters."""
    try:
        answer = response.json()
    except ValueError:
        return response.reason_phrase
    if not isinstance(answer, dict):
        return response.reason_phrase
    errors = answer.get("errors")
    said = str(answer.get("message", response.reason_phrase)) + (f" {errors}" if errors else "")
    return said[:1000].replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
