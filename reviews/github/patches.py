"""Which lines of a file a pull request changes, read from the patch that GitHub shows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from unidiff import PatchedFile, PatchSet, UnidiffParseError

MAX_PATCH = 2 * 1024 * 1024
MAX_LINES = 50_000
"""GitHub shows no diff of a file over 1 MB or 20,000 lines. Source: GitHub docs, "About comparing branches", limits."""

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


@dataclass(frozen=True)
class Hunk:
    """The head side of one hunk: its lines (1-based, inclusive), and those of them that the pull request added; and the
    words of what it removed."""

    start: int
    end: int
    added: frozenset[int]
    removed_words: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Line:
    """One line of a hunk: its number on the head side (None for a removed one), what became of it, its text."""

    number: int | None
    sign: str
    """`+`, `-` or a space, as in the patch."""
    text: str


class BadPatch(ValueError):
    """The patch is not a unified diff."""


def parse_hunks(patch: str) -> tuple[Hunk, ...]:
    """Return the hunks of a patch as GitHub shows it: hunks only, without file headers.

    A hunk that only deletes has no lines on the head side and is left out. Raises `BadPatch`.
    """
    hunks = []
    for hunk in (hunk for file in _parsed(patch) for hunk in file):
        numbers = [line.target_line_no for line in hunk if line.target_line_no is not None]
        added = frozenset(line.target_line_no for line in hunk if line.is_added and line.target_line_no is not None)
        if numbers:
            removed = "".join(line.value for line in hunk if line.is_removed)
            hunks.append(Hunk(numbers[0], numbers[-1], added, frozenset(_WORD.findall(removed))))
    return tuple(hunks)


def parse_lines(patch: str) -> list[list[Line]]:
    """The hunks of a patch as GitHub shows it, line by line. Raises `BadPatch`."""
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


def _parsed(patch: str) -> Sequence[PatchedFile]:
    # GitHub leaves the file headers out; the parser wants them. The names in them do not matter here.
    if not patch.startswith("@@"):
        raise BadPatch("a patch starts with @@")
    if len(patch) > MAX_PATCH or patch.count("\n") > MAX_LINES:
        raise BadPatch("the patch is longer than GitHub's")
    try:
        return PatchSet.from_string(f"--- a/file\n+++ b/file\n{patch}\n")
    except (UnidiffParseError, UnicodeError, ValueError) as error:
        raise BadPatch(str(error)) from error


def has_added_lines(hunks: Sequence[Hunk], start: int, end: int) -> bool:
    """Tell whether any of the lines from `start` to `end` was added."""
    # By the lines of the range within the hunk: thousands of findings on a hunk of thousands of lines are one file.
    return any(line in hunk.added for hunk in hunks for line in range(max(start, hunk.start), min(end, hunk.end) + 1))


def in_one_hunk(hunks: Sequence[Hunk], start: int, end: int) -> bool:
    """Tell whether the lines lie in one hunk: the condition of GitHub for a comment on several lines."""
    return any(hunk.start <= start and end <= hunk.end for hunk in hunks)
