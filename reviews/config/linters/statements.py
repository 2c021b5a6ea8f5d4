"""Statements: what a linter's configuration file turns off, for which files."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import translate
from functools import lru_cache
from itertools import product
from typing import Any

from reviews.findings import Severity

MAX_ITEMS = 200
"""Entries of one list or table of a file. More are not read."""
MAX_PATTERN = 200
MAX_VARIANTS = 8
MAX_DEPTH = 50
"""Directories of a path. Patterns are not compared with deeper ones."""
MAX_BLOCKS = 200
MAX_REPEATS = 3
_REPEATS = re.compile(r"[*+{]")
_NESTED = re.compile(r"\)[*+{]")
ALL = "*"
"""Every rule of the tool, syntax errors included: the tool does not look at the file."""


class Tool(StrEnum):
    """The tools of whose findings a configuration file can turn some off."""

    RUFF = "ruff"
    OXLINT = "oxlint"
    SHELLCHECK = "shellcheck"
    HADOLINT = "hadolint"
    ZIZMOR = "zizmor"
    TYPOS = "typos"


class BrokenFile(ValueError):
    """A configuration file cannot be read."""


@dataclass(frozen=True)
class Statement:
    """Rules that are off, or less severe, for some files below the directory of the configuration file."""

    tool: Tool
    rules: Collection[str]
    """Rule names, prefixes of them for ruff; `ALL` for everything."""
    files: tuple[str, ...] = ()
    """Patterns, relative to the directory; empty for all files."""
    crossing: bool = False
    """Whether `*` in a pattern matches slashes too, as in ruff's."""
    except_rules: tuple[str, ...] = ()
    """Rules or prefixes that stay on if they are more specific than those that are off."""
    names: frozenset[str] | None = None
    """Only findings about these names or words; None for all findings."""
    pattern: re.Pattern[str] | None = None
    """Only findings about names or words in which it is found; None for all findings."""
    line: int | None = None
    on: bool = False
    """Whether the rules are on again, against an earlier statement."""
    severity: Severity | None = None
    """The severity that the rules get at most; None if they are off."""


@dataclass
class Comments:
    """The comments of a file that turn rules off: on one line, from a line to another, or everywhere."""

    everywhere: set[str] = field(default_factory=set)
    _lines: dict[int, list[str]] = field(default_factory=dict)
    _open: list[tuple[int, int, str]] = field(default_factory=list)
    _closed: list[tuple[int, int, str]] = field(default_factory=list)

    def at_line(self, line: int, names: Iterable[str]) -> None:
        """Turn rules off on one line."""
        self._lines.setdefault(line, []).extend(names)

    def open(self, line: int, depth: int, names: Iterable[str]) -> None:
        """Turn rules off from a line on; at most `MAX_BLOCKS` times in a file, for each is compared with each line."""
        room = MAX_BLOCKS - len(self._open) - len(self._closed)
        self._open += [(line, depth, name) for name in names][: max(0, room)]

    def close(self, line: int, ends: Callable[[str, int], bool]) -> None:
        """End before a line what was opened with a name and a depth for which `ends` is true."""
        if self._open:
            self._closed += [(first, line, name) for first, depth, name in self._open if ends(name, depth)]
            self._open = [block for block in self._open if not ends(block[2], block[1])]

    def names_at(self, line: int) -> set[str]:
        """The names that are off on a line."""
        names = self.everywhere | set(self._lines.get(line, ()))
        names |= {name for first, end, name in self._closed if first <= line < end}
        return names | {name for first, _, name in self._open if first <= line}


def texts(value: Any) -> tuple[str, ...]:
    """Return the short texts in a list; a text alone counts as a list of one."""
    items = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return tuple(item for item in items[:MAX_ITEMS] if isinstance(item, str) and 0 < len(item) <= MAX_PATTERN)


def table(value: Any) -> dict[str, Any]:
    """Return a table's entries with short keys; empty if it is no table."""
    if not isinstance(value, dict):
        return {}
    entries = list(value.items())[:MAX_ITEMS]
    return {key: entry for key, entry in entries if isinstance(key, str) and len(key) <= MAX_PATTERN}


def expressions(value: Any) -> list[re.Pattern[str]]:
    """Return the regular expressions in a list, or one alone; not those that could take long to search for."""
    simple = [text for text in texts(value) if len(_REPEATS.findall(text)) <= MAX_REPEATS and not _NESTED.search(text)]
    found = []
    for text in simple:
        # Those of Rust are mostly those of Python.
        with suppress(re.error, RecursionError, OverflowError):
            found.append(re.compile(text))
    return found


def matches_any(path: str, patterns: Iterable[str], *, crossing: bool = False) -> bool:
    """Return whether a path, or a directory above it, matches a pattern; `!` negates, and the last match counts.

    A pattern without a slash matches a name in any directory. Braces are alternatives.
    """
    matched = False
    if path.count("/") > MAX_DEPTH:
        return False
    for pattern in patterns:
        negated = pattern.startswith("!")
        if matched == negated and _matches(path, pattern.removeprefix("!"), crossing=crossing):
            matched = not negated
    return matched


def _matches(path: str, pattern: str, *, crossing: bool) -> bool:
    parts = path.split("/")
    for variant in _without_braces(pattern.removeprefix("./")):
        names = variant.strip("/").split("/")
        if "/" not in variant.rstrip("/"):
            names = ["**", *names]
        if _in_order(parts, names):
            return True
        if crossing and (_regex(variant).match(path) or _regex(variant.replace("**/", "")).match(path)):
            return True
    return False


def _without_braces(pattern: str) -> list[str]:
    """Return the alternatives of a pattern with braces, not nested: `*.{js,ts}` is `*.js` and `*.ts`."""
    choices: list[list[str]] = []
    rest = pattern
    while "{" in rest and "}" in rest.partition("{")[2]:
        before, _, rest = rest.partition("{")
        inside, _, rest = rest.partition("}")
        choices += [[before], inside.split(",")]
    choices.append([rest])
    variants = 1
    for alternatives in choices:
        variants *= len(alternatives)
    return [pattern] if variants > MAX_VARIANTS else ["".join(parts) for parts in product(*choices)]


def _in_order(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return whether a path or a directory above it matches, component by component.

    `**` stands for any number of directories.
    """
    reached = {0}
    for name in pattern:
        if name == "**":
            reached = set(range(min(reached), len(path) + 1)) if reached else reached
        else:
            matches = _regex(name).match
            reached = {at + 1 for at in reached if at < len(path) and matches(path[at])}
    return any(reached)


@lru_cache(maxsize=4096)
def _regex(pattern: str) -> re.Pattern[str]:
    """Compile a pattern in which `*` matches slashes too. What fnmatch makes does not backtrack."""
    return re.compile(translate(pattern))
