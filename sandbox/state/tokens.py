"""Authentication: JSON web tokens of the App, and installation tokens."""

import secrets
import string
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jwt

from sandbox.app import App, Json
from sandbox.http import ApiError, Request

TOKEN_LIFETIME = timedelta(hours=1)
"""Source: GitHub docs, "Generating an installation access token for a GitHub App"."""

MAX_JWT_SECONDS = 660
"""Longest time from `iat` to `exp`: `exp` is at most ten minutes ahead, `iat` may be one minute in the past.

Source: GitHub docs, "Generating a JSON Web Token (JWT) for a GitHub App".
"""

_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Token:
    """An installation token. `repositories` are ids; None: all of the installation."""

    value: str
    installation_id: int
    expires_at: datetime
    permissions: Json
    repositories: frozenset[int] | None

    def reaches(self, repository_id: int, installation_id: int) -> bool:
        """Return whether the token gives access to a repository of an installation."""
        return self.installation_id == installation_id and (
            self.repositories is None or repository_id in self.repositories
        )

    def allows(self, permission: str) -> bool:
        """Return whether the token has a permission, as "contents:read"."""
        return allows(self.permissions, permission)


class Tokens:
    """The installation tokens that were issued and have not been revoked."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._lock = threading.Lock()

    def issue(self, installation_id: int, permissions: Json, repositories: frozenset[int] | None) -> Token:
        """Issue a token that is valid for an hour."""
        token = Token(
            value="ghs_" + "".join(secrets.choice(_ALPHABET) for _ in range(36)),
            installation_id=installation_id,
            expires_at=datetime.now(UTC) + TOKEN_LIFETIME,
            permissions=permissions,
            repositories=repositories,
        )
        with self._lock:
            self._tokens[token.value] = token
        return token

    def authenticate(self, request: Request) -> Token:
        """Return the token of a request. Raises ApiError 401 if it is missing, unknown or expired."""
        with self._lock:
            token = self._tokens.get(_credentials(request))
        if token is None or token.expires_at <= datetime.now(UTC):
            raise ApiError(401, "Bad credentials")
        return token

    def revoke_all(self) -> None:
        """Revoke every token issued so far."""
        with self._lock:
            self._tokens.clear()


def allows(granted: Json, permission: str) -> bool:
    """Return whether granted permissions include one, as "contents:read". Write access includes read access."""
    name, _, level = permission.partition(":")
    return granted.get(name) in ({"write"} if level == "write" else {"read", "write"})


def authenticate_app(app: App, request: Request) -> None:
    """Check that a request has a JSON web token of the App. Raises ApiError 401, or 404 for another App's token."""
    try:
        claims = jwt.decode(
            _credentials(request),
            app.public_key,
            algorithms=["RS256"],
            options={"verify_exp": False, "verify_iat": False, "verify_iss": False, "verify_aud": False},
        )
    except jwt.PyJWTError as error:
        raise ApiError(401, "A JSON web token could not be decoded") from error
    issued, expires, now = claims.get("iat"), claims.get("exp"), time.time()
    if not isinstance(issued, int | float) or issued > now + 60:
        raise ApiError(
            401, "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
        )
    if not isinstance(expires, int | float) or expires <= now:
        raise ApiError(
            401,
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the "
            "assertion expires",
        )
    if expires - issued > MAX_JWT_SECONDS or expires > now + MAX_JWT_SECONDS:
        raise ApiError(401, "'Expiration time' claim ('exp') is too far in the future")
    if str(claims.get("iss")) != str(app.id):
        raise ApiError(404, "Integration not found")


def _credentials(request: Request) -> str:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() not in ("bearer", "token") or not value.strip():
        raise ApiError(401, "Requires authentication")
    return value.strip()
