"""Installation tokens: one per installation and repository, kept until shortly before they expire."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from reviews.github.app import RESOLVE_PERMISSIONS, TOKEN_PERMISSIONS, AppClient
from reviews.github.errors import Refused
from reviews.github.schemas import Token

logger = logging.getLogger(__name__)

TOKEN_RESERVE = timedelta(minutes=2)
"""Time before its expiry in which a token is no longer used, so that none expires during a run's calls."""
OPTIONAL = frozenset({"checks"})
"""Permissions that a run can do without, if the installation's owner has not granted them: it reports less."""


@dataclass(frozen=True)
class InstallationToken:
    """A token and the permissions that it was requested with."""

    token: Token
    permissions: Mapping[str, str]

    @property
    def is_fresh(self) -> bool:
        """Return whether the token is valid for longer than `TOKEN_RESERVE`."""
        return self.token.expires_at - timezone.now() >= TOKEN_RESERVE

    @property
    def checks(self) -> bool:
        """Return whether the token may write check runs."""
        return "checks" in self.permissions


_tokens: dict[tuple[int, str, int | None], InstallationToken] = {}
"""By installation and repository, its name and id: another repository may have had the name.

In this process only: they are secrets.
"""


def token_for(installation_id: int, repo: str, repo_id: int | None = None) -> InstallationToken:
    """Return a fresh token for `repo` (owner/name), requested by its id if that is known. Raises `GitHubError`."""
    key = (installation_id, repo, repo_id)
    token = _tokens.get(key)
    if token is None or not token.is_fresh:
        token = _tokens[key] = _new_token(installation_id, repo, repo_id)
    return token


def forget(installation_id: int, repo: str, repo_id: int | None = None) -> None:
    """Drop a token that GitHub no longer accepts."""
    _tokens.pop((installation_id, repo, repo_id), None)


def _new_token(installation_id: int, repo: str, repo_id: int | None) -> InstallationToken:
    """Request a token, without the optional permissions that the installation's owner has not granted.

    GitHub refuses (422) permissions that the installation does not have, and then says which it has. While such a token
    is fresh, other tokens of its installation are requested with the same permissions at once; after that GitHub is
    asked again.
    """
    wanted = TOKEN_PERMISSIONS | (RESOLVE_PERMISSIONS if settings.KODIAI_RESOLVE_THREADS else {})
    permissions = _reduced_before(installation_id, wanted) or wanted
    with AppClient() as app:
        try:
            return InstallationToken(app.installation_token(installation_id, repo, permissions, repo_id), permissions)
        except Refused as refused:
            if refused.status != 422:
                raise
        permissions = _granted(wanted, app.installation_of(repo).permissions)
        token = app.installation_token(installation_id, repo, permissions, repo_id)
    withheld = sorted(f"{name}: {level}" for name, level in wanted.items() if permissions.get(name) != level)
    logger.info("permissions are not granted", extra={"installation_id": installation_id, "permissions": withheld})
    return InstallationToken(token, permissions)


def _granted(wanted: Mapping[str, str], granted: Mapping[str, str]) -> dict[str, str]:
    """Drop optional permissions that are not granted; ask for what a run needs in any case."""
    needed = {name: level for name, level in TOKEN_PERMISSIONS.items() if name not in OPTIONAL}
    return needed | {name: level for name, level in wanted.items() if granted.get(name) == level}


def _reduced_before(installation_id: int, wanted: Mapping[str, str]) -> Mapping[str, str] | None:
    # Copied first: the periodic tasks run in another thread.
    tokens = list(_tokens.items())
    fresh = (token for key, token in tokens if key[0] == installation_id and token.is_fresh)
    return next((token.permissions for token in fresh if token.permissions != wanted), None)
