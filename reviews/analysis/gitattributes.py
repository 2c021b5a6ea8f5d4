"""`.gitattributes` of the base branch: which files the repository itself calls generated or vendored, and which not.

Read are the attributes by which GitHub too folds a file away in a diff, of the file in the root. Source:
gitattributes(5), gitignore(5) "Pattern format", and GitHub docs, "Customizing how changed files appear on GitHub".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

PATH = ".gitattributes"
MAX_CHARACTERS = 64 * 1024
"""Characters. More is not read."""
MAX_RULES = 200
"""Lines that name one of the attributes. Each is held to each changed file."""
MAX_PATTERN = 200
_NAMES = ("linguist-generated", "linguist-vendored")
_SAID = {"true": True, "false": False}


@dataclass(frozen=True)
class Rule:
    """What a line says of the files that match its pattern: True, False, or None to unsay what was said before."""

    parts: tuple[str, ...]
    attribute: str
    said: bool | None


def parse(text: str | None) -> tuple[Rule, ...]:
    """The rules of a file, in its order; what cannot be read, or is too much, is passed over."""
    rules = []
    for line in (text or "")[:MAX_CHARACTERS].splitlines():
        pattern, *attributes = line.split() or ("#",)
        # Quoted patterns, which have blanks in them, are for names that nobody generates.
        if pattern.startswith(("#", '"', "!", "[attr]")) or pattern.endswith("/") or len(pattern) > MAX_PATTERN:
            continue
        for attribute in attributes:
            name, _, value = attribute.lstrip("-!").partition("=")
            if name in _NAMES:
                said = None if attribute[0] == "!" else attribute[0] != "-" and _SAID.get(value.lower(), True)
                rules.append(Rule(_parts(pattern), name, said))
    return tuple(rules[:MAX_RULES])


def is_generated(path: str, rules: Sequence[Rule]) -> bool | None:
    """Tell whether a file is generated or vendored by the rules; None where they say nothing of it. The last counts."""
    said: dict[str, bool | None] = {}
    parts = path.split("/")
    for rule in rules:
        if _matches(parts, rule.parts):
            said[rule.attribute] = rule.said
    known = {value for value in said.values() if value is not None}
    return (True in known) if known else None


def _parts(pattern: str) -> tuple[str, ...]:
    """The names of a pattern. One without a slash is of a file in any directory."""
    anchored = "/" in pattern
    return tuple(pattern.removeprefix("/").split("/")) if anchored else ("**", pattern)


def _matches(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """Tell whether a path matches, name by name; `**` stands for any number of directories.

    Each name of the pattern is held to each of the path once, whatever both are.
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
