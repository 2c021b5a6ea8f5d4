"""`.gitattributes` of the base branch: which files the repository marks as generated or vendored, and which not.

The root file's attributes are read by which GitHub, too, collapses files in a diff. Source: gitattributes(5),
gitignore(5) "Pattern format", and GitHub docs, "Customizing how changed files appear on GitHub".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

PATH = ".gitattributes"
MAX_CHARACTERS = 64 * 1024
"""Characters. More is not read."""
MAX_RULES = 200
"""Lines with one of the attributes; each is matched against each changed file."""
MAX_PATTERN = 200
_NAMES = ("linguist-generated", "linguist-vendored")
_VALUES = {"true": True, "false": False}


@dataclass(frozen=True)
class Rule:
    """One attribute of a line: True, False, or None to reset it for the files that match the pattern."""

    parts: tuple[str, ...]
    attribute: str
    value: bool | None


def parse(text: str | None) -> tuple[Rule, ...]:
    """Parse the rules of a file, in order; skip unsupported lines and those over the limits."""
    rules = []
    for line in (text or "")[:MAX_CHARACTERS].splitlines():
        pattern, *attributes = line.split() or ("#",)
        # Quoted patterns contain spaces, which names of generated files do not have.
        if pattern.startswith(("#", '"', "!", "[attr]")) or pattern.endswith("/") or len(pattern) > MAX_PATTERN:
            continue
        for attribute in attributes:
            name, _, text = attribute.lstrip("-!").partition("=")
            if name in _NAMES:
                value = None if attribute[0] == "!" else attribute[0] != "-" and _VALUES.get(text.lower(), True)
                rules.append(Rule(_parts(pattern), name, value))
    return tuple(rules[:MAX_RULES])


def is_generated(path: str, rules: Sequence[Rule]) -> bool | None:
    """Return whether a file is generated or vendored; None if no rule matches. The last matching rule applies."""
    values: dict[str, bool | None] = {}
    parts = path.split("/")
    for rule in rules:
        if _matches(parts, rule.parts):
            values[rule.attribute] = rule.value
    known = {value for value in values.values() if value is not None}
    return (True in known) if known else None


def _parts(pattern: str) -> tuple[str, ...]:
    """The path components of a pattern. A pattern without a slash matches in any directory."""
    anchored = "/" in pattern
    return tuple(pattern.removeprefix("/").split("/")) if anchored else ("**", pattern)


def _matches(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return whether a path matches, component by component; `**` matches any number of directories.

    Linear in both: each component of the pattern is compared with each of the path at most once.
    """
    reached = {0}
    for index, name in enumerate(pattern):
        if name != "**":
            reached = {at + 1 for at in reached if at < len(path) and fnmatchcase(path[at], name)}
        elif index == len(pattern) - 1:
            return any(at < len(path) for at in reached)
        else:
            reached = set(range(min(reached), len(path))) if reached else set()
    return len(path) in reached
