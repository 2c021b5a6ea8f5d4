"""Redact secrets in text that is logged, stored or shown: the second line of defence behind not putting them there.

Redacted are the secrets of this installation, in every encoding, and everything in the format of a GitHub token: a
hostile answer may contain a token that Kodiai no longer knows.
"""

import html
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from urllib.parse import quote, unquote, urlsplit

REDACTED = "[redacted]"
MIN_CHARACTERS = 8
"""Characters. A shorter secret is a common word: replacing it would make logs unreadable."""

_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories of invisible and reordering characters: controls, bidirectional and zero-width characters, tags,
surrogates, unassigned code points."""
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0") | {
    chr(selector) for selector in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
}
"""Letters and marks by category that are invisible too."""
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_FORMATS = (
    # Line breaks may be escaped, as in JSON, and the end may be truncated.
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----[A-Za-z0-9+/=\s\\]*(?:-----END [A-Z ]*PRIVATE KEY-----)?"), ""),
    # GitHub tokens. Source: GitHub docs, "About authentication to GitHub", GitHub's token formats.
    (re.compile(r"(?:gh[oprsu]|github_pat)_[A-Za-z0-9_.-]{16,}"), ""),
    # A JSON web token. It is searched for once in each word, and only where two more words follow: linear time.
    (
        re.compile(
            r"(?<![\w-])(?=[\w-]++\.[\w-]++\.[\w-])([\w-]*?)eyJ[\w-]{8,}+\.[\w-]++\.[\w-]++",
            re.ASCII,
        ),
        r"\1",
    ),
    (re.compile(r"((?i:bearer|basic|token) +)[A-Za-z0-9._~+/=-]{20,}"), r"\1"),
    (re.compile(r"sk-[A-Za-z0-9_-]{20,}"), ""),  # an API key of a language model's provider
    (re.compile(r"(://[^\s/:@\"'\\]*:)[^\s/@\"'\\]+(?=@)"), r"\1"),  # the password in a URL
)


def redact(text: str) -> str:
    """Replace every secret in `text` by `[redacted]`. JSON and HTML stay valid."""
    known = _pattern(
        tuple(sorted({secret for secret in _secrets() if len(secret) >= MIN_CHARACTERS}, key=len, reverse=True))
    )
    if known is not None:
        text = known.sub(REDACTED, text)
    for pattern, kept in _FORMATS:
        text = pattern.sub(kept + REDACTED, text)
    return text


def storable(text: str, max_length: int | None = None) -> str:
    """Make `text` storable in every database, at most `max_length` characters: no NUL, no lone surrogates."""
    if max_length is not None and len(text) > max_length:
        text = text[: max_length - 1] + "…"
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def visible(text: str) -> str:
    """Replace invisible characters, line breaks included, by a visible sign."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if unicodedata.category(character) in _INVISIBLE or character in _FILLERS
        else character
        for character in text
    )


def _secrets() -> Iterator[str]:
    """The secrets of this installation."""
    yield from _secrets_in_environment()
    if "DJANGO_SETTINGS_MODULE" not in os.environ:
        # A local review: it has no settings, and Django may not be installed.
        return
    from django.conf import settings

    yield settings.SECRET_KEY
    yield from settings.SECRET_KEY_FALLBACKS
    yield from settings.KODIAI_GITHUB_WEBHOOK_SECRET
    yield settings.KODIAI_LLM_API_KEY
    # Line by line: an error message may quote one line of a key.
    yield from (line for line in settings.KODIAI_GITHUB_PRIVATE_KEY.split("\n") if not line.startswith("-----"))
    yield from (str(database.get("PASSWORD") or "") for database in settings.DATABASES.values())
    yield from _passwords(str(settings.CACHES["default"].get("LOCATION") or ""))
    yield from _passwords(settings.KODIAI_TASKS_URL)


@cache
def _secrets_in_environment() -> tuple[str, ...]:
    """Passwords in URLs (`…_URL`), API keys, passwords and tokens. `.env` has been read into the environment."""
    found: list[str] = []
    for name, value in os.environ.items():
        if name.endswith("_URL"):
            found += _passwords(value)
        elif name.endswith(("_API_KEY", "_PASSWORD", "_TOKEN")):
            found.append(value)
    return tuple(found)


def _passwords(url: str) -> Iterable[str]:
    """The password in a URL, percent-encoded and decoded."""
    try:
        password = urlsplit(url).password or ""
    except ValueError:
        return ()
    return (password, unquote(password))


@lru_cache(maxsize=8)
def _pattern(secrets: tuple[str, ...]) -> re.Pattern[str] | None:
    """One expression for all secrets in every encoding."""
    encoded = {
        form
        for secret in secrets
        for form in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], html.escape(secret), quote(secret, safe=""))
    }
    longest_first = sorted(encoded, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
