"""Installation tokens: one per installation and repository, kept until shortly before they expire."""

import logging
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from reviews.github.app import AppClient
from reviews.github.errors import Refused
from reviews.github.schemas import Token

logger = logging.getLogger(__name__)

TOKEN_RESERVE = timedelta(minutes=2)
"""Time before its expiry in which a token is no longer used, so that none expires during a run's calls."""


@dataclass(frozen=True)
class InstallationToken:
    """A token, and whether it may write check runs."""

    token: Token
    checks: bool

    @property
    def is_fresh(self) -> bool:
        """Return whether the token is valid for longer than `TOKEN_RESERVE`."""
        return self.token.expires_at - timezone.now() >= TOKEN_RESERVE


_tokens: dict[tuple[int, str], InstallationToken] = {}
"""By installation and repository. In this process only: they are secrets."""


def token_for(installation_id: int, repo: str) -> InstallationToken:
    """Return a fresh token for `repo` (owner/name). Raises `GitHubError`."""
    key = (installation_id, repo)
    token = _tokens.get(key)
    if token is None or not token.is_fresh:
        token = _tokens[key] = _new_token(installation_id, repo)
    return token


def forget(installation_id: int, repo: str) -> None:
    """Drop a token that GitHub no longer accepts."""
    _tokens.pop((installation_id, repo), None)


def _new_token(installation_id: int, repo: str) -> InstallationToken:
    """Request a token, without check runs if the installation's owner has not granted them.

    GitHub refuses (422) permissions that the installation does not have. While such a token is fresh, other tokens of
    its installation are requested without check runs at once; after that GitHub is asked again.
    """
    with AppClient() as app:
        if not _lacks_checks(installation_id):
            try:
                return InstallationToken(app.installation_token(installation_id, repo), checks=True)
            except Refused as refused:
                if refused.status != 422:
                    raise
            logger.info("check runs are not granted, none are made", extra={"installation_id": installation_id})
        return InstallationToken(app.installation_token(installation_id, repo, checks=False), checks=False)


def _lacks_checks(installation_id: int) -> bool:
    # Copied first: the periodic tasks run in another thread.
    tokens = list(_tokens.items())
    return any(key[0] == installation_id and token.is_fresh and not token.checks for key, token in tokens)
