"""Who asks: JSON web tokens of the App, and the installation tokens it gets for them."""

import secrets
import string
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jwt

from sandbox.app import App, Json, timestamp
from sandbox.http import ApiError, Request

TOKEN_LIFETIME = timedelta(hours=1)
"""Source: GitHub docs, "Generating an installation access token for a GitHub App"."""

MAX_JWT_SECONDS = 660
"""`exp` lies at most ten minutes ahead; `iat` may be a minute back against clock drift.

Source: GitHub docs, "Generating a JSON Web Token (JWT) for a GitHub App".
"""

_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Token:
    """An installation token. `repositories` are full names; None means all of the installation."""

    value: str
    installation_id: int
    expires_at: datetime
    permissions: Json
    repositories: frozenset[str] | None

    def opens(self, full_name: str, installation_id: int) -> bool:
        """Whether the token reaches a repository of an installation."""
        return self.installation_id == installation_id and (
            self.repositories is None or full_name.lower() in self.repositories
        )


class Tokens:
    """The installation tokens that were issued and are still good."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._lock = threading.Lock()

    def issue(self, installation_id: int, permissions: Json, repositories: frozenset[str] | None) -> Token:
        """A new token, good for an hour."""
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
        """The token that a request carries. Raises ApiError 401 for none and for one that is not good."""
        with self._lock:
            token = self._tokens.get(_credentials(request))
        if token is None or token.expires_at <= datetime.now(UTC):
            raise ApiError(401, "Bad credentials")
        return token

    def expire(self) -> None:
        """Make every token that was issued no good."""
        with self._lock:
            self._tokens.clear()


def authenticate_app(app: App, request: Request) -> None:
    """Accept a JSON web token of the App. Raises ApiError 401 (404 for another App's) with GitHub's words."""
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


def token_json(token: Token, repositories: list[Json]) -> Json:
    """The answer to "Create an installation access token for an app"."""
    body: Json = {
        "token": token.value,
        "expires_at": timestamp(token.expires_at),
        "permissions": token.permissions,
        "repository_selection": "all" if token.repositories is None else "selected",
    }
    return body if token.repositories is None else body | {"repositories": repositories}


def _credentials(request: Request) -> str:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() not in ("bearer", "token") or not value.strip():
        raise ApiError(401, "Requires authentication")
    return value.strip()
