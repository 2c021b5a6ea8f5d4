"""Suppression comments that a pull request adds: they never hide a secret, and nothing where findings fail the check.

Otherwise whoever opens a pull request could switch the check off. What stands in the base is the repository's decision.
A comment is made ineffective by other letters of the same number, so that lines and columns stay.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

_BLANK = r"[^\S\n]*"
"""What analyzers skip between the words of a comment: also tabs, form feeds and no-break spaces."""
_OF_SECRETS = rf"gitleaks:allow|pragma{_BLANK}:\s*allowlist\s+secret"
_OF_ANALYZERS = (
    rf"noqa|(?:pylint|ruff|spellchecker|typos|zizmor){_BLANK}:|(?:ox|es)lint-(?:disable|enable)[\w-]*|eslint(?=\s|$)|"
    rf"(?<=#){_BLANK}shellcheck(?=\s(?:.{{0,1000}}\bdisable|.{{1000}}))|"
    rf"hadolint\s+(?:global\s+)?ignore|biome-ignore[\w-]*|type{_BLANK}:\s*ignore|nosec"
)
OF_SECRETS = re.compile(_OF_SECRETS, re.IGNORECASE)
OF_ALL = re.compile(f"{_OF_SECRETS}|{_OF_ANALYZERS}", re.IGNORECASE)
_OF_NEXT_LINE = re.compile(
    rf"(?:ox|es)lint-disable-next-line|biome-ignore\s|pylint{_BLANK}:\s*disable-next", re.IGNORECASE
)
_END = re.compile(
    rf"(?:ox|es)lint-enable|biome-ignore-end|(?:pylint|ruff){_BLANK}:\s*enable|(?:typos|spellchecker){_BLANK}:\s*on",
    re.I,
)
_OPTIONS = re.compile(r"/\*\s*(?:ox|es)lint\b(?:[^*]|\*(?!/))*+(?:\*/|\Z)")
_COMMENT = re.compile(r"\s*(?:#|//|\{?/\*|\*|<!--)")


def without_new(text: str, base: str | None, added: Collection[int], pattern: re.Pattern[str]) -> str:
    """Make the suppression comments on added lines (numbers from 1) ineffective, except those that were only moved.

    A comment was moved if the base has one more of it than the unchanged lines, above the same line of code. Where the
    end of a part without a rule is removed, the part is longer than the base says: no comment is effective.
    """
    if not pattern.search(text):
        return text
    if pattern is OF_ALL and len(_END.findall(base or "")) > len(_END.findall(text)):
        return ineffective(text, pattern)
    if pattern is OF_ALL:
        # On a line between its first and last a comment can be changed without a word of `pattern`.
        known = set(_OPTIONS.findall(base or ""))
        text = _OPTIONS.sub(lambda found: found[0] if found[0] in known else ineffective(found[0], pattern), text)
    lines = text.split("\n")
    positions = list(_positions(lines))
    of_base = Counter(_positions((base or "").split("\n")))
    left = of_base - Counter(position for number, position in enumerate(positions, 1) if number not in added)
    for index, (line, position) in enumerate(zip(lines, positions, strict=True)):
        if index + 1 not in added:
            # What it was for is gone: what stands below it now is new.
            is_new = index + 2 in added and position not in of_base and _OF_NEXT_LINE.search(line) is not None
        elif is_new := left[position] == 0:
            pass
        else:
            left[position] -= 1
        if is_new:
            lines[index] = ineffective(line, pattern)
    return "\n".join(lines)


def ineffective(text: str, pattern: re.Pattern[str]) -> str:
    """Make all suppression comments of a text ineffective."""
    return pattern.sub(lambda found: "x" * len(found[0]), text)


def _positions(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each line, with the next line of code if it is a comment."""
    below = ""
    found = []
    for line in reversed(lines):
        code = line.strip()
        is_comment = _COMMENT.match(line) is not None
        found.append((code, below if is_comment else ""))
        below = code if code and not is_comment else below
    yield from reversed(found)
