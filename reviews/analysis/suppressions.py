"""Suppression comments that a pull request adds: they never hide a secret, and nothing where findings fail the check.

Otherwise whoever opens a pull request could switch the check off. What stands in the base is the repository's decision.
A comment is made ineffective by other letters of the same number, so that lines and columns stay.
"""

import re
from collections.abc import Collection

_OF_SECRETS = r"gitleaks:allow|pragma:\s*allowlist\s+secret"
_OF_ANALYZERS = (
    r"noqa|ruff:|(?:ox|es)lint-(?:disable|enable)[\w-]*|eslint(?=\s)|shellcheck(?=.*\bdisable)|hadolint\s+(?:global\s+)?ignore|zizmor:|"
    r"pylint:|biome-ignore[\w-]*|spellchecker:|typos:|nosec"
)
OF_SECRETS = re.compile(_OF_SECRETS, re.IGNORECASE)
OF_ALL = re.compile(f"{_OF_SECRETS}|{_OF_ANALYZERS}", re.IGNORECASE)


def without_new(text: str, base: str | None, added: Collection[int], pattern: re.Pattern[str]) -> str:
    """Make the suppression comments on added lines (numbers from 1) ineffective, except on lines that the base has."""
    if not pattern.search(text):
        return text
    lines = text.split("\n")
    known = {line.strip() for line in (base or "").split("\n")}
    for number in added:
        if number <= len(lines) and (line := lines[number - 1]).strip() not in known:
            lines[number - 1] = pattern.sub(lambda found: "x" * len(found[0]), line)
    return "\n".join(lines)
