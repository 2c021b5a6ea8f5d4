"""Patches: the changed lines of a file, parsed from the patch that GitHub shows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchedFile, PatchSet

MAX_PATCH = 2 * 1024 * 1024
MAX_LINES = 50_000
"""GitHub shows no diff of a file over 1 MB or 20,000 lines. Source: GitHub docs, "About comparing branches", limits."""

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


@dataclass(frozen=True)
class Hunk:
    """A hunk: its lines in the head commit (1-based, inclusive), and what it changes."""

    start: int
    end: int
    added: frozenset[int]
    beside_removed: frozenset[int] = frozenset()
    """Lines right before and after removed ones."""
    removed: tuple[str, ...] = ()
    """The removed lines."""

    @cached_property
    def removed_words(self) -> frozenset[str]:
        """The words of the removed lines."""
        return frozenset(_WORD.findall("\n".join(self.removed)))


@dataclass(frozen=True)
class Line:
    """A line of a hunk: its number in the head commit (None if removed), sign and text."""

    number: int | None
    sign: str
    """`+`, `-` or a space, as in the patch."""
    text: str


class BadPatch(ValueError):
    """The patch is not a unified diff."""


def parse_hunks(patch: str) -> tuple[Hunk, ...]:
    """Parse a patch from GitHub, which has no file headers, into hunks.

    Hunks without lines in the head commit are skipped. Raises `BadPatch`.
    """
    hunks = []
    for lines in parse_lines(patch):
        numbers = [line.number for line in lines if line.number is not None]
        if numbers:
            added = frozenset(line.number for line in lines if line.sign == "+" and line.number is not None)
            removed = tuple(line.text for line in lines if line.sign == "-")
            hunks.append(Hunk(numbers[0], numbers[-1], added, _beside_removed(lines), removed))
    return tuple(hunks)


def _beside_removed(lines: Sequence[Line]) -> frozenset[int]:
    pairs = [*pairwise(lines), *((after, before) for before, after in pairwise(lines))]
    return frozenset(line.number for line, other in pairs if other.sign == "-" and line.number is not None)


def parse_lines(patch: str) -> list[list[Line]]:
    """Parse a patch from GitHub into the lines of each hunk. Raises `BadPatch`."""
    return [
        [
            Line(
                line.target_line_no, "+" if line.is_added else "-" if line.is_removed else " ", line.value.rstrip("\n")
            )
            for line in hunk
            if line.is_added or line.is_removed or line.is_context
        ]
        for file in _parsed(patch)
        for hunk in file
    ]


@dataclass(frozen=True)
class Sides:
    """What a patch shows of a file before and after: the texts of these lines, and their numbers afterwards."""

    before: str
    after: str
    numbers: tuple[int, ...]


def sides_of(patch: str) -> Sides:
    """Return what a patch shows of a file before and after. Raises `BadPatch`."""
    lines = [line for hunk in parse_lines(patch) for line in hunk]
    before = "".join(f"{line.text}\n" for line in lines if line.sign != "+")
    after = [(line.number, line.text) for line in lines if line.number is not None]
    return Sides(before, "".join(f"{text}\n" for _, text in after), tuple(number for number, _ in after))


def _parsed(patch: str) -> Sequence[PatchedFile]:
    # The parser needs file headers, which GitHub omits. The names do not matter.
    if not patch.startswith("@@"):
        raise BadPatch("the patch does not start with @@")
    if len(patch) > MAX_PATCH or patch.count("\n") > MAX_LINES:
        raise BadPatch("the patch exceeds GitHub's limits")
    try:
        return PatchSet.from_string(f"--- a/file\n+++ b/file\n{patch}\n")
    except (UnidiffParseError, UnicodeError, ValueError) as error:
        raise BadPatch(str(error)) from error


def has_added_lines(hunks: Sequence[Hunk], start: int, end: int) -> bool:
    """Return whether any line from `start` to `end` is added."""
    # Only lines of the range within the hunk: one file may have thousands of findings and a hunk of thousands of lines.
    return any(line in hunk.added for hunk in hunks for line in range(max(start, hunk.start), min(end, hunk.end) + 1))


def in_one_hunk(hunks: Sequence[Hunk], start: int, end: int) -> bool:
    """Return whether all lines are in one hunk, which GitHub requires for a multi-line comment."""
    return any(hunk.start <= start and end <= hunk.end for hunk in hunks)
