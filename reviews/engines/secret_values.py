"""Blank the secrets of the analysed files in all that is said about them: no message, fix, snippet or prompt has one.

What is stored, logged and published comes from findings and from the reasons of failures, so those are blanked once,
right after the engines ran.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import replace

from reviews.engines.analyzers.secret_formats import PATTERNS, formats_in, spans
from reviews.findings import Finding

BLANK = "***"
MIN_PIECE = 8
"""Characters of a part of a secret that is blanked by itself."""
_MIN_LINE = 40
"""Characters of base64 that are taken for a line of a key without an end."""
_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----((?:[A-Za-z0-9+/=\s\\\"'(),;|>:.#+*-](?!-{4}BEGIN)){0,20000}?)"
    r"(-----END [A-Z ]{0,30}PRIVATE KEY|(?![A-Za-z0-9+/=\s\\\"'(),;|>:.#+*-]))"
)
_BASE64 = re.compile(r"[A-Za-z0-9+/=]+")
_PARTS = re.compile(r"[\w./=:+-]+")


def secret_values(texts: Iterable[str]) -> frozenset[str]:
    """Find the secrets in texts, and their parts: the lines of a key, the pieces of a string that is put together."""
    found: set[str] = set()
    for text in texts:
        if not formats_in(text):
            continue
        for start, end, name in spans(text):
            parts = _PARTS.findall(text[start:end]) if name != "private-key" else ()
            found |= {text[start:end], *(part for part in parts if len(part) >= MIN_PIECE)}
        for key in _KEY.finditer(text):
            shortest = MIN_PIECE if key[2] else _MIN_LINE
            lines = _BASE64.findall(re.sub(r"\\[nr]", "\n", key[1]))
            found |= {line for line in lines if len(line) >= shortest}
    return frozenset(found)


def blank(text: str, values: Collection[str] = ()) -> str:
    """Replace the secrets `values`, and everything in the format of a secret, by `***`."""
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, BLANK)
        # A text that was cut may end within a secret.
        at = text.rfind(value[:MIN_PIECE])
        if at >= 0 and text.endswith("…") and value.startswith(text[at:-1]):
            text = f"{text[:at]}{BLANK}…"
    for name in formats_in(text):
        text = PATTERNS[name].sub(BLANK, text)
    return text


def without_secrets(finding: Finding, values: Collection[str]) -> Finding:
    """Blank the secrets in a finding. A suggestion with a secret is dropped: it would be code with a hole."""
    fix = finding.suggestion
    if fix is not None and fix.text is not None and blank(fix.text, values) != fix.text:
        fix = None
    return replace(
        finding,
        message=blank(finding.message, values),
        fix=blank(finding.fix, values),
        suppression=blank(finding.suppression, values),
        snippet=blank(finding.snippet, values),
        words=tuple(blank(word, values) for word in finding.words),
        suggestion=fix,
    )
