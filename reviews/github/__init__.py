"""Kodiai's one client of GitHub."""

from reviews.github.answers import Blob, ChangedFile, PullRequest, SubmittedReview
from reviews.github.client import MAX_FILES, Client
from reviews.github.errors import GitHubError, NotConfigured, RateLimited, Refused, Unavailable

__all__ = [
    "MAX_FILES",
    "Blob",
    "ChangedFile",
    "Client",
    "GitHubError",
    "NotConfigured",
    "PullRequest",
    "RateLimited",
    "Refused",
    "SubmittedReview",
    "Unavailable",
]
