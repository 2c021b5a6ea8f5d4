"""Blank the secrets of the analysed files in all that is said about them: no message, fix, snippet or prompt has one.

What is stored, logged and published comes from findings and from the reasons of failures, so those are blanked once,
right after the engines ran.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from reviews.engines.analyzers.secret_formats import PATTERNS, formats_in, secrets_of
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


class SecretValues(frozenset[str]):
    """Secrets, and their parts, of at least `MIN_PIECE` characters."""

    @cached_property
    def lengths(self) -> Mapping[str, Sequence[int]]:
        """The lengths of values by their first `MIN_PIECE` characters, longest first."""
        lengths: dict[str, set[int]] = defaultdict(set)
        for value in self:
            lengths[value[:MIN_PIECE]].add(len(value))
        return {beginning: sorted(own, reverse=True) for beginning, own in lengths.items()}

    @cached_property
    def in_order(self) -> Sequence[str]:
        """The values, sorted."""
        return sorted(self)


NO_VALUES = SecretValues()


def secret_values(texts: Iterable[str]) -> SecretValues:
    """Find the secrets in texts, and their parts: the lines of a key, the pieces of a string that is put together."""
    found: set[str] = set()
    for text in texts:
        for secret in secrets_of(text):
            found |= {secret.written, *(part for part in secret.parts if len(part) >= MIN_PIECE)}
        for key in _KEY.finditer(text):
            shortest = MIN_PIECE if key[2] else _MIN_LINE
            lines = _BASE64.findall(re.sub(r"\\[nr]", "\n", key[1]))
            found |= {line for line in lines if len(line) >= shortest}
    return SecretValues(found)


def blank(text: str, values: SecretValues = NO_VALUES) -> str:
    """Replace the secrets `values`, and everything in the format of a secret, by `***`."""
    pieces, position = [], 0
    for start, end in _places(text, values):
        pieces += [text[position:start], BLANK] if start >= position else []
        position = max(position, end)
    text = "".join((*pieces, text[position:]))
    for name in formats_in(text):
        text = PATTERNS[name].sub(BLANK, text)
    return text


def _places(text: str, values: SecretValues) -> Iterator[tuple[int, int]]:
    """Where a text has one of the values, start and end; also the beginning of one at the end of a text that was cut.

    Looked up, not searched for one by one: a hostile file has thousands of values, and as many findings.
    """
    for start in range(len(text) - MIN_PIECE + 1) if values else ():
        possible = values.lengths.get(text[start : start + MIN_PIECE], ())
        if possible and text.endswith("…"):
            rest = text[start:-1]
            following = bisect_left(values.in_order, rest)
            if following < len(values) and values.in_order[following].startswith(rest):
                yield start, len(text) - 1
        for length in possible:
            if text[start : start + length] in values:
                yield start, start + length
                break


def without_secrets(finding: Finding, values: SecretValues) -> Finding:
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
