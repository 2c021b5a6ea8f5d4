"""The API of the App itself: installation tokens and webhook deliveries."""

import itertools
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
from reviews.github.schemas import HookConfig, HookDelivery, Installation, OwnApp, Token

PER_PAGE = 100
"""Entries per page, GitHub's maximum. Source: GitHub REST docs, "Using pagination"."""
TOKEN_PERMISSIONS = {"checks": "write", "contents": "read", "metadata": "read", "pull_requests": "write"}
"""The permissions that a run needs and no more, in case a token leaks. docs/app-manifest.json has them too."""
RESOLVE_PERMISSIONS = {"contents": "write"}
"""Required to resolve threads as an App (`KODIAI_RESOLVE_THREADS`). Source: github/gh-aw issue 35726."""
OWNER = "app"
"""Owner of the App's rate limits, which are separate from those of its installations."""

T = TypeVar("T")


class AppClient:
    """A client authenticated as the App, with its private key. A context manager that keeps one connection open.

    Each method raises `RateLimited`, `Refused`, `Unavailable` or `NotConfigured`.
    """

    def __init__(self) -> None:
        self._connection = Connection(OWNER, _authenticate)

    def __enter__(self) -> "AppClient":
        return self

    def __exit__(self, *exception: object) -> None:
        self._connection.close()

    def app(self) -> OwnApp:
        """Return the App that the key belongs to."""
        return self._call("GET", "/app", parse_as(OwnApp))

    def installations(self) -> Iterator[Installation]:
        """Yield the App's installations. Pages are fetched on demand."""
        for page in itertools.count(1):
            params = {"per_page": PER_PAGE, "page": page}
            found = self._call("GET", "/app/installations", parse_as(list[Installation]), params=params)
            yield from found
            if len(found) < PER_PAGE:
                return

    def hook_config(self) -> HookConfig:
        """Return where GitHub sends the App's webhooks."""
        return self._call("GET", "/app/hook/config", parse_as(HookConfig))

    def installation_of(self, repo: str) -> Installation:
        """Return the installation that `repo` (owner/name) belongs to. GitHub refuses (404) if there is none."""
        return self._call("GET", f"/repos/{repo}/installation", parse_as(Installation))

    def installation_token(
        self, installation_id: int, repo: str, permissions: Mapping[str, str], repo_id: int | None = None
    ) -> Token:
        """Return a new token for `repo` (owner/name) only. GitHub refuses (422) permissions that are not granted.

        GitHub knows no repository by its former name here, so it is asked by id if that is known.
        """
        return self._token(installation_id, repo, permissions, repo_id)

    def reading_token(self, installation_id: int, repo: str) -> Token:
        """Return a new token that may only read the files of `repo` (owner/name).

        GitHub refuses (422) if the repository does not exist or the App is not installed on it.
        """
        return self._token(installation_id, repo, {"contents": "read"})

    def _token(
        self, installation_id: int, repo: str, permissions: Mapping[str, str], repo_id: int | None = None
    ) -> Token:
        path = f"/app/installations/{installation_id}/access_tokens"
        only = {"repositories": [repo.partition("/")[2]]} if repo_id is None else {"repository_ids": [repo_id]}
        body = {**only, "permissions": dict(permissions)}
        return self._call("POST", path, parse_as(Token), json=body)

    def hook_deliveries(self, since: datetime) -> Iterator[HookDelivery]:
        """Yield GitHub's attempts to deliver a webhook since `since`, newest first.

        GitHub keeps them for three days. Pages are fetched on demand. Source: GitHub REST docs, "List deliveries for an
        app webhook"; GitHub docs, "Automatically redelivering failed deliveries for a GitHub App webhook".
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
                raise Unavailable("GitHub's list of deliveries is circular")
            seen.add(cursor)

    def redeliver(self, delivery_id: int) -> None:
        """Ask GitHub to send a delivery (its `HookDelivery.id`) again.

        Not retried: the list of deliveries shows whether a broken call succeeded.
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
                f"{refused}. GitHub did not accept this key for the App: check KODIAI_GITHUB_APP_ID, "
                "KODIAI_GITHUB_PRIVATE_KEY (or …_FILE) and this machine's clock"
            ) from refused


def _authenticate() -> githubkit.AppAuthStrategy:
    if not (settings.KODIAI_GITHUB_APP_ID and settings.KODIAI_GITHUB_PRIVATE_KEY):
        raise NotConfigured("KODIAI_GITHUB_APP_ID and KODIAI_GITHUB_PRIVATE_KEY (or …_FILE) must both be set")
    # githubkit passes the key to PyJWT, which accepts a parsed key too.
    return githubkit.AppAuthStrategy(settings.KODIAI_GITHUB_APP_ID, _parsed(settings.KODIAI_GITHUB_PRIVATE_KEY))


@lru_cache(maxsize=1)
def _parsed(pem: str) -> Any:
    """The App's key, parsed once: parsing takes longer than a call. Raises `NotConfigured`."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise NotConfigured("KODIAI_GITHUB_PRIVATE_KEY (or …_FILE) is not a private key in PEM") from error
    if not isinstance(key, RSAPrivateKey):
        raise NotConfigured("KODIAI_GITHUB_PRIVATE_KEY (or …_FILE) is not an RSA key, which GitHub Apps need")
    return key


def _page_of_deliveries(response: httpx.Response) -> tuple[list[HookDelivery], str | None]:
    """A page and the cursor of the next one. Only the cursor of GitHub's link is used, not its URL."""
    try:
        cursor = httpx.URL(response.links.get("next", {}).get("url", "")).params.get("cursor")
    except httpx.InvalidURL:
        cursor = None
    return parse_as(list[HookDelivery])(response), cursor
