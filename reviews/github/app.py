"""GitHub as the App itself sees it: tokens for its installations, and the webhooks that were sent to it."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

import githubkit
import httpx
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.conf import settings

from reviews.github.connection import Connection, parse_as
from reviews.github.errors import NotConfigured, Refused, Unavailable
from reviews.github.schemas import HookDelivery, Installation, Token

PER_PAGE = 100
"""Entries per page, the most that GitHub gives. Source: GitHub REST docs, "Using pagination"."""
TOKEN_PERMISSIONS = {"checks": "write", "contents": "read", "metadata": "read", "pull_requests": "write"}
"""All that a run needs, so that a token that got out could do no more. docs/app-manifest.json has them too."""
RESOLVING_THREADS = {"contents": "write"}
"""What GitHub asks for where an App resolves threads (`KODIAI_RESOLVE_THREADS`). Source: github/gh-aw issue 35726."""
WITHOUT_CHECKS = {name: level for name, level in TOKEN_PERMISSIONS.items() if name != "checks"}
"""What an installation from before Kodiai had check runs has granted, until its owner accepts more."""
OWNER = "app"
"""Whose limits count: the App has its own, beside those of its installations."""

T = TypeVar("T")


class AppClient:
    """GitHub as the App, authenticated with its private key. A context manager that keeps one connection open.

    Each method raises `RateLimited`, `Refused`, `Unavailable` or `NotConfigured`.
    """

    def __init__(self) -> None:
        self._connection = Connection(OWNER, _authenticate)

    def __enter__(self) -> "AppClient":
        return self

    def __exit__(self, *exception: object) -> None:
        self._connection.close()

    def installation_of(self, repo: str) -> int:
        """Return the number of the installation that `repo` (owner/name) belongs to."""
        return self._call("GET", f"/repos/{repo}/installation", parse_as(Installation)).id

    def installation_token(self, installation_id: int, repo: str, *, checks: bool = True) -> Token:
        """Return a new token that opens `repo` (owner/name) and no other repository, for what a run does there.

        With `checks` GitHub refuses it (422) to an installation whose owner has not granted them.
        """
        permissions = TOKEN_PERMISSIONS if checks else WITHOUT_CHECKS
        permissions = permissions | (RESOLVING_THREADS if settings.KODIAI_RESOLVE_THREADS else {})
        return self._token(installation_id, repo, permissions)

    def reading_token(self, installation_id: int, repo: str) -> Token:
        """Return a new token that may read the files of `repo` (owner/name), and nothing else.

        GitHub refuses it (422) where there is no such repository, or the App is not installed on it.
        """
        return self._token(installation_id, repo, {"contents": "read"})

    def _token(self, installation_id: int, repo: str, permissions: Mapping[str, str]) -> Token:
        path = f"/app/installations/{installation_id}/access_tokens"
        asked = {"repositories": [repo.partition("/")[2]], "permissions": dict(permissions)}
        return self._call("POST", path, parse_as(Token), json=asked)

    def hook_deliveries(self, since: datetime) -> Iterator[HookDelivery]:
        """Yield GitHub's attempts to deliver a webhook, newest first, down to the first that is older than `since`.

        GitHub keeps them for three days. Pages are fetched as they are needed, so that whoever stops early makes no
        call too many. Source: GitHub REST docs, "List deliveries for an app webhook"; GitHub docs, "Automatically
        redelivering failed deliveries for a GitHub App webhook".
        """
        cursor: str | None = None
        seen: set[str] = set()
        while True:
            params: dict[str, Any] = {"per_page": PER_PAGE} | ({"cursor": cursor} if cursor else {})
            page, cursor = self._call("GET", "/app/hook/deliveries", _page_of_deliveries, params=params)
            for delivery in page:
                if delivery.delivered_at < since:
                    return
                yield delivery
            if cursor is None:
                return
            if cursor in seen:
                raise Unavailable("GitHub's list of deliveries leads in a circle")
            seen.add(cursor)

    def redeliver(self, delivery_id: int) -> None:
        """Ask GitHub to send a delivery (its `HookDelivery.id`) again.

        Asked once: whether a call that broke was heard shows in the list of deliveries.
        """
        self._call("POST", f"/app/hook/deliveries/{delivery_id}/attempts", lambda answer: None, tries=1)

    def _call(self, method: str, path: str, read: Callable[[httpx.Response], T], **kwargs: Any) -> T:
        try:
            return self._connection.call(method, path, read, **kwargs)
        except Refused as refused:
            if refused.status != 401:
                raise
            self._connection.close()
            raise NotConfigured(
                f"{refused}. GitHub does not know the App by this key: check KODIAI_GITHUB_APP_ID, "
                "KODIAI_GITHUB_PRIVATE_KEY (or …_FILE) and this machine's clock"
            ) from refused


def _authenticate() -> githubkit.AppAuthStrategy:
    if not (settings.KODIAI_GITHUB_APP_ID and settings.KODIAI_GITHUB_PRIVATE_KEY):
        raise NotConfigured("KODIAI_GITHUB_APP_ID and KODIAI_GITHUB_PRIVATE_KEY (or …_FILE) are not both set")
    # githubkit hands the key to PyJWT, which takes one that is parsed as well.
    return githubkit.AppAuthStrategy(settings.KODIAI_GITHUB_APP_ID, _parsed(settings.KODIAI_GITHUB_PRIVATE_KEY))


@lru_cache(maxsize=1)
def _parsed(pem: str) -> Any:
    """The App's key, parsed once: to check it takes longer than to ask GitHub. Raises `NotConfigured`."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise NotConfigured("KODIAI_GITHUB_PRIVATE_KEY (or …_FILE) is not a private key in PEM") from error
    if not isinstance(key, RSAPrivateKey):
        raise NotConfigured("KODIAI_GITHUB_PRIVATE_KEY (or …_FILE) is not an RSA key, as those of GitHub Apps are")
    return key


def _page_of_deliveries(response: httpx.Response) -> tuple[list[HookDelivery], str | None]:
    """A page and the cursor of the next. Of GitHub's link no more is used, so that it leads nowhere else."""
    try:
        cursor = httpx.URL(response.links.get("next", {}).get("url", "")).params.get("cursor")
    except httpx.InvalidURL:
        cursor = None
    return parse_as(list[HookDelivery])(response), cursor
