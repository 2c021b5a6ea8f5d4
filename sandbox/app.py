"""The GitHub App of a sandbox: id, keys, permissions, installations; and accounts, ids and times of GitHub."""

import itertools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

WEB_URL = "https://github.com"

Json = dict[str, Any]
"""A JSON object."""


PERMISSIONS = {
    "checks": "write",
    "contents": "read",
    "issues": "write",
    "merge_queues": "read",
    "metadata": "read",
    "pull_requests": "write",
}
"""The permissions that the App requests."""

EVENTS = ["check_run", "check_suite", "issue_comment", "merge_group", "pull_request", "pull_request_review_comment"]
"""The events that the App subscribes to."""


@dataclass(frozen=True)
class App:
    """The one GitHub App of a sandbox. Keys are PEM; `api_url` has no slash at its end."""

    id: int
    slug: str
    api_url: str
    private_key: str
    public_key: str
    webhook_secret: str
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1001), repr=False, compare=False)

    @property
    def bot_login(self) -> str:
        """The login under which the App writes reviews and comments."""
        return f"{self.slug}[bot]"

    def next_id(self) -> int:
        """Return an id that is unique in this sandbox. GitHub's ids are unique per kind."""
        return next(self.numbers)


@cache
def key_pair() -> tuple[str, str]:
    """Return a private and a public key in PEM: one pair per process, since making one takes a tenth of a second."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode("ascii"), public.decode("ascii")


def account_id(login: str) -> int:
    """Return the id of a login, whatever its letter case: GitHub's logins are case-insensitive."""
    return zlib.crc32(_FIRST_LOGINS.get(login.lower(), login.lower()).encode()) & 0x7FFFFFFF


_FIRST_LOGINS: dict[str, str] = {}
"""Login of a renamed account to its first login, in lower case: the id stays."""


def keep_account_id(former: str, login: str) -> None:
    """Let a login have the id of the account's former login."""
    _FIRST_LOGINS[login.lower()] = _FIRST_LOGINS.get(former.lower(), former.lower())


def installation_id(owner: str) -> int:
    """Return the id of the App's installation on an account. An App is installed once per account."""
    return account_id(f"installation of {owner}")


def account(login: str, api_url: str) -> Json:
    """Return GitHub's "simple user". A login that ends in [bot] is a Bot, any other a User."""
    bot = login.endswith("[bot]")
    url = f"{api_url}/users/{login}"
    return {
        "login": login,
        "id": account_id(login),
        "node_id": node_id("BOT" if bot else "U", account_id(login)),
        "avatar_url": f"https://avatars.githubusercontent.com/u/{account_id(login)}?v=4",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{WEB_URL}/apps/{login.removesuffix('[bot]')}" if bot else f"{WEB_URL}/{login}",
        "followers_url": f"{url}/followers",
        "following_url": f"{url}/following{{/other_user}}",
        "gists_url": f"{url}/gists{{/gist_id}}",
        "starred_url": f"{url}/starred{{/owner}}{{/repo}}",
        "subscriptions_url": f"{url}/subscriptions",
        "organizations_url": f"{url}/orgs",
        "repos_url": f"{url}/repos",
        "events_url": f"{url}/events{{/privacy}}",
        "received_events_url": f"{url}/received_events",
        "type": "Bot" if bot else "User",
        "site_admin": False,
    }


def installation_json(app: App, owner: str, permissions: Json | None = None) -> Json:
    """Return the App's installation on an account; `permissions` are those that the App requests by default."""
    number = installation_id(owner)
    holder = account(owner, app.api_url)
    return {
        "id": number,
        "account": holder,
        "repository_selection": "all",
        "access_tokens_url": f"{app.api_url}/app/installations/{number}/access_tokens",
        "repositories_url": f"{app.api_url}/installation/repositories",
        "html_url": f"{WEB_URL}/settings/installations/{number}",
        "app_id": app.id,
        "app_slug": app.slug,
        "target_id": holder["id"],
        "target_type": "User",
        "permissions": PERMISSIONS if permissions is None else permissions,
        "events": EVENTS,
        "created_at": timestamp(),
        "updated_at": timestamp(),
        "single_file_name": None,
        "has_multiple_single_files": False,
        "single_file_paths": [],
        "suspended_by": None,
        "suspended_at": None,
    }


def app_json(app: App, installations: int) -> Json:
    """Return the App itself, as GET /app does."""
    return {
        "id": app.id,
        "slug": app.slug,
        "node_id": node_id("A", app.id),
        "client_id": f"Iv1.{app.id:016x}",
        "owner": account("octocat", app.api_url),
        "name": app.slug.capitalize(),
        "description": None,
        "external_url": f"{WEB_URL}/apps/{app.slug}",
        "html_url": f"{WEB_URL}/apps/{app.slug}",
        "created_at": timestamp(),
        "updated_at": timestamp(),
        "permissions": PERMISSIONS,
        "events": EVENTS,
        "installations_count": installations,
    }


def node_id(prefix: str, number: int) -> str:
    """Return an opaque global id that looks like GitHub's."""
    return f"{prefix}_kw{number:012x}"


def timestamp(moment: datetime | None = None) -> str:
    """Format a time (default: now) as GitHub does: UTC, whole seconds, Z."""
    return (moment or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
