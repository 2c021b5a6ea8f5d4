"""Kodiai's one client of GitHub: `Client` as an installation sees a repository, `AppClient` as the App itself."""

from reviews.github.app import AppClient
from reviews.github.client import FILES_PER_QUERY, MAX_FILES, Client, Place
from reviews.github.errors import GitHubError, NotConfigured, RateLimited, Refused, Unavailable
from reviews.github.schemas import Blob, ChangedFile, CheckRun, Comment, HookDelivery, PullRequest, SubmittedReview
from reviews.github.threads import Thread

__all__ = [
    "FILES_PER_QUERY",
    "MAX_FILES",
    "AppClient",
    "Blob",
    "ChangedFile",
    "CheckRun",
    "Client",
    "Comment",
    "GitHubError",
    "HookDelivery",
    "NotConfigured",
    "Place",
    "PullRequest",
    "RateLimited",
    "Refused",
    "SubmittedReview",
    "Thread",
    "Unavailable",
]
