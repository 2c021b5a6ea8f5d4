"""Secrets are taken out of what is logged, stored or shown: the second line of defence, behind not putting them there.

What is looked for are the secrets of this installation, whatever way they are written, and whatever has the form of a
secret of GitHub: a hostile answer may hold a token that Kodiai has forgotten already.
"""

import html
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from urllib.parse import quote, unquote, urlsplit

from django.conf import settings

REDACTED = "[redacted]"
MIN_CHARACTERS = 8
"""Characters. A shorter secret is a word: to blank it everywhere would make logs unreadable and hide nothing."""

_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode's categories of what is not seen, or turns round what is: controls, bidirectional and zero-width characters,
tags, surrogates, what has no character."""
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0") | {
    chr(selector) for selector in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
}
"""Letters and marks, by their category, that are not seen either."""
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_FORMS = (
    # Line ends may be written out, as in JSON, and the end may have been cut off.
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----[A-Za-z0-9+/=\s\\]*(?:-----END [A-Z ]*PRIVATE KEY-----)?"), ""),
    # GitHub's tokens. Source: GitHub docs, "About authentication to GitHub", GitHub's token formats.
    (re.compile(r"(?:gh[oprsu]|github_pat)_[A-Za-z0-9_.-]{16,}"), ""),
    (re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"), ""),  # a JSON web token
    (re.compile(r"((?i:bearer|basic|token) +)[A-Za-z0-9._~+/=-]{20,}"), r"\1"),
    (re.compile(r"sk-[A-Za-z0-9_-]{20,}"), ""),  # a key of a language model's provider
    (re.compile(r"(://[^\s/:@\"'\\]*:)[^\s/@\"'\\]+(?=@)"), r"\1"),  # the password in an address
)


def redact(text: str) -> str:
    """Return `text` with every secret in it replaced by `[redacted]`. JSON and HTML stay what they are."""
    known = _pattern(
        tuple(sorted({secret for secret in _known() if len(secret) >= MIN_CHARACTERS}, key=len, reverse=True))
    )
    if known is not None:
        text = known.sub(REDACTED, text)
    for form, kept in _FORMS:
        text = form.sub(kept + REDACTED, text)
    return text


def storable(text: str, longest: int | None = None) -> str:
    """`text` as every database takes it, at most `longest` characters: PostgreSQL stores no NUL, none half a pair."""
    if longest is not None and len(text) > longest:
        text = text[: longest - 1] + "…"
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def visible(text: str) -> str:
    """`text` on one line, with a sign in place of each character that is not seen."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if unicodedata.category(character) in _UNSEEN or character in _FILLERS
        else character
        for character in text
    )


def _known() -> Iterator[str]:
    """The secrets of this installation."""
    yield settings.SECRET_KEY
    yield from settings.SECRET_KEY_FALLBACKS
    yield from settings.KODIAI_GITHUB_WEBHOOK_SECRET
    yield settings.KODIAI_LLM_API_KEY
    # Line by line: an error may quote one line of a key.
    yield from (line for line in settings.KODIAI_GITHUB_PRIVATE_KEY.split("\n") if not line.startswith("-----"))
    yield from (str(database.get("PASSWORD") or "") for database in settings.DATABASES.values())
    yield from _passwords(str(settings.CACHES["default"].get("LOCATION") or ""))
    yield from _passwords(settings.KODIAI_TASKS_URL)
    yield from _of_environment()


@cache
def _of_environment() -> tuple[str, ...]:
    """Passwords in addresses (`…_URL`), and keys of language models. `.env` has been read into the environment."""
    found: list[str] = []
    for name, value in os.environ.items():
        if name.endswith("_URL"):
            found += _passwords(value)
        elif name.endswith(("_API_KEY", "_PASSWORD", "_TOKEN")):
            found.append(value)
    return tuple(found)


def _passwords(url: str) -> Iterable[str]:
    """The password in an address, as it stands there and as it is."""
    try:
        password = urlsplit(url).password or ""
    except ValueError:
        return ()
    return (password, unquote(password))


@lru_cache(maxsize=8)
def _pattern(secrets: tuple[str, ...]) -> re.Pattern[str] | None:
    """One expression for all secrets, in each way in which a text may write them."""
    written = {
        way
        for secret in secrets
        for way in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], html.escape(secret), quote(secret, safe=""))
    }
    longest_first = sorted(written, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
