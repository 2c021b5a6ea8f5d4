"""Kinds of addresses: host names, where to listen, web addresses, databases, caches, queues, mail servers.

An address may hold a password, so no error shows one.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import environ

from kodiai.configuration.kinds import Unreadable, refused

QUOTING = (
    "in its password write special characters as %XX: "
    "`python3 -c 'import urllib.parse as u; print(u.quote(input(), safe=\"\"))'` does it"
)
POSTGRES = frozenset({"postgres", "postgresql", "psql", "pgsql"})
REDIS = frozenset({"redis", "rediss", "rediscache", "valkey", "valkeys"})
CACHES = REDIS | {"locmemcache", "dummycache", "dbcache", "filecache", "memcache", "pymemcache", "pylibmc"}


@dataclass(frozen=True)
class HostName:
    """A name under which Kodiai is reached: no scheme, no port. Source: Django's setting ALLOWED_HOSTS."""

    description: str = "a host name without https:// and port (kodiai.example.org; .example.org has its subdomains)"

    def parse(self, text: str) -> str:
        """Return the name."""
        if text == "*" or _is_name(text.removeprefix(".")) or _is_ipv6(text):
            return f"[{text}]" if ":" in text and not text.startswith("[") else text
        raise refused(self, text)


@dataclass(frozen=True)
class Listening:
    """An address of this machine, without a port."""

    description: str = "an address of this machine, without a port (127.0.0.1, 0.0.0.0, ::1); the port goes into PORT"

    def parse(self, text: str) -> str:
        """Return the address."""
        if _is_name(text) or _is_ipv6(text):
            return text.strip("[]")
        raise refused(self, text)


@dataclass(frozen=True)
class WebAddress:
    """An http or https address without credentials. `wrong` maps hosts to the address that is meant."""

    example: str
    wrong: tuple[tuple[str, str], ...] = ()

    @property
    def description(self) -> str:
        """What a value is."""
        return f"an address that begins with https:// or http:// ({self.example}), without user, password, ? and #"

    def parse(self, text: str) -> str:
        """Return the address without a slash at its end."""
        parts = _split(text)
        for host, meant in self.wrong:
            if parts and parts.hostname == host:
                raise Unreadable(f"is the address of the web site {host}: the API has {meant}")
        right = parts and parts.scheme in ("https", "http") and parts.hostname and not re.search(r"[\s@?#\\]", text)
        if not right:
            raise Unreadable(f"must be {self.description}")
        return text.rstrip("/")


@dataclass(frozen=True)
class DatabaseAddress:
    """A database of SQLite or PostgreSQL, as Django's connection settings."""

    description: str = (
        "sqlite:///path/to/file (an absolute path has four slashes) or postgresql://user:password@host/name"
    )

    def parse(self, text: str) -> dict[str, Any]:
        """Return NAME, USER, PASSWORD, HOST, PORT, ENGINE and perhaps OPTIONS."""
        wrong = Unreadable(f"is not a valid URL: write {self.description}; {QUOTING}")
        if text == "sqlite://:memory:":
            return dict(environ.Env.db_url_config(text))
        parts = _split(text)
        if parts is None or parts.scheme not in POSTGRES | {"sqlite"} or "://" not in text:
            raise wrong
        if parts.scheme == "sqlite" and (parts.netloc or parts.query):
            raise wrong
        if parts.fragment:
            raise wrong
        try:
            database = dict(environ.Env.db_url_config(text))
        except (ValueError, KeyError, IndexError):
            raise wrong from None
        # Without a path django-environ takes a database in memory, which each process would have for itself.
        path_is_missing = parts.scheme == "sqlite" and parts.path in ("", "/")
        if not database["NAME"] or path_is_missing or ("/" in database["NAME"] and parts.scheme != "sqlite"):
            raise wrong
        # A folder with a socket has slashes, which are written as %2F.
        return {**database, "HOST": unquote(database.get("HOST", ""))}


@dataclass(frozen=True)
class CacheAddress:
    """A cache, as Django's settings of it."""

    description: str = "redis://:password@host:6379/0 or rediss://…"

    def parse(self, text: str) -> dict[str, Any]:
        """Return BACKEND, LOCATION and perhaps OPTIONS."""
        wrong = Unreadable(f"is not a valid URL: write {self.description}; {QUOTING}")
        parts = _split(text)
        if parts is None or parts.scheme not in CACHES or (parts.scheme in REDIS and not _is_redis(parts)):
            raise wrong
        try:
            return dict(environ.Env.cache_url_config(text))
        except (ValueError, KeyError, IndexError, environ.ImproperlyConfigured):
            raise wrong from None


@dataclass(frozen=True)
class RedisAddress:
    """A database of a Redis server."""

    description: str = "redis://host:port/database or rediss://…, or empty for the queue in the database"

    def parse(self, text: str) -> str:
        """Return the address."""
        parts = _split(text)
        if parts is None or parts.scheme not in ("redis", "rediss") or not _is_redis(parts):
            raise Unreadable(f"must be {self.description}")
        return text


@dataclass(frozen=True)
class MailServer:
    """An SMTP server, as Django's settings of it. Port 587 with STARTTLS for smtp, 465 with TLS for smtps."""

    description: str = "smtp://user:password@host:587 (STARTTLS), smtps://… (TLS) or smtp+plain://host:25 (neither)"

    def parse(self, text: str) -> dict[str, Any]:
        """Return EMAIL_HOST, EMAIL_PORT, EMAIL_HOST_USER, EMAIL_HOST_PASSWORD, EMAIL_USE_TLS and EMAIL_USE_SSL."""
        parts = _split(text)
        ports = {"smtp": 587, "smtps": 465, "smtp+plain": 25}
        rest = parts and (parts.path.strip("/") or parts.query or parts.fragment)
        if parts is None or parts.scheme not in ports or not parts.hostname or rest:
            raise Unreadable(f"is not a valid URL: write {self.description}; {QUOTING}")
        return {
            "EMAIL_HOST": parts.hostname,
            "EMAIL_PORT": parts.port or ports[parts.scheme],
            "EMAIL_HOST_USER": unquote(parts.username or ""),
            "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
            "EMAIL_USE_TLS": parts.scheme == "smtp",
            "EMAIL_USE_SSL": parts.scheme == "smtps",
        }


def _split(text: str) -> SplitResult | None:
    """Split an address; None if it is none, or its port is no port."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    return None if re.search(r"\s", text) else parts


def _is_redis(parts: SplitResult) -> bool:
    return bool(parts.hostname) and re.fullmatch("/?[0-9]{0,4}", parts.path) is not None and not parts.fragment


def _is_name(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?", text) is not None


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text[1:-1] if text[:1] == "[" and text[-1:] == "]" else text)
    except ValueError:
        return False
    return True
