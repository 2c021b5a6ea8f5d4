"""Source text: lines as git and GitHub count them, and a tool's character edits as a replacement of whole lines."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from reviews.findings import MAX_SUGGESTION_CHARACTERS, Suggestion
from reviews.redaction import visible

MAX_SUGGESTION_LINES = 20
"""Lines. A longer replacement is too much to accept with one click."""
MAX_CODE = 1_000
"""Characters of a line that are searched. Most patterns take time by the square of a line's length, or worse."""
MAX_EDITS = 100
"""Edits of one fix. Each is applied to the whole text."""

Position = tuple[int, int]
"""Line and column, both from 1. Columns count characters, and the one after a line's last is its end."""


@dataclass(frozen=True, order=True)
class Edit:
    """Replace the text from `start` up to `end` with `text`."""

    start: Position
    end: Position
    text: str


class Source:
    """The lines of a file as git and GitHub count them.

    For some tools a lone carriage return ends a line (`lone_returns`). For git it does not: a comment on the tool's
    line number would be some lines too low, and a suggestion would replace the wrong lines.
    """

    def __init__(self, text: str, *, lone_returns: bool = False) -> None:
        self.lines = text.split("\n")
        self._lines_of_rows: list[int] | None = None
        if lone_returns and "\r" in (ends := re.findall(r"\r\n?|\n", text)):
            self._lines_of_rows = list(accumulate((end != "\r" for end in ends), initial=1))

    def line(self, row: int) -> int:
        """GitHub's line number for the tool's `row`."""
        if self._lines_of_rows is None:
            return row
        return self._lines_of_rows[min(row, len(self._lines_of_rows)) - 1]

    def text(self, line: int) -> str:
        """The text of a line; empty if the file has no such line."""
        return self.lines[line - 1] if 0 < line <= len(self.lines) else ""

    def code(self, line: int) -> str:
        """The beginning of a line, as far as it is searched."""
        return self.text(line)[:MAX_CODE]

    def suggestion(self, edits: Sequence[Edit]) -> Suggestion | None:
        """Turn the edits of one fix into a replacement of whole lines; None if it cannot be offered as one.

        Raises `ValueError` for an edit that ends before it starts.
        """
        if not edits or len(edits) > MAX_EDITS or self._lines_of_rows is not None:
            return None
        edits = sorted(edits)
        if _overlap(edits):
            return None
        first, last = _line_range(edits)
        if last > len(self.lines) or last - first >= MAX_SUGGESTION_LINES or not self._applies(edits, first, last):
            return None
        text = self._edited(edits, first, last)
        if text == "\n" and last == len(self.lines):
            text = ""  # The last line has no line break that an edit could delete.
        return Suggestion(first, last, text.removesuffix("\n") if text else None)

    def _applies(self, edits: Sequence[Edit], first: int, last: int) -> bool:
        """Return whether edits of the lines from `first` to `last` are short enough and fit the text."""
        lines = self.lines[first - 1 : last]
        # Checked first: a line of a megabyte may have thousands of findings.
        if sum(map(len, lines)) + sum(len(edit.text) for edit in edits) > MAX_SUGGESTION_CHARACTERS:
            return False
        # GitHub does not document whether a suggestion keeps CRLF, form feeds or a byte order mark; and nobody can
        # judge what is invisible before the click that commits it.
        if any(_is_invisible(text) for text in (*lines, *(edit.text for edit in edits))):
            return False
        # A column past the end of its line: the tool read another file, or counts columns in another way.
        return all(column <= len(self.text(line)) + 1 for edit in edits for line, column in (edit.start, edit.end))

    def _edited(self, edits: Sequence[Edit], first: int, last: int) -> str:
        """The lines from `first` to `last` after the edits, each with its line break."""
        lines = self.lines[first - 1 : last]
        starts = list(accumulate((len(line) + 1 for line in lines), initial=0))

        def offset(position: Position) -> int:
            return starts[position[0] - first] + position[1] - 1

        text = "\n".join(lines) + "\n"
        for edit in reversed(edits):
            text = text[: offset(edit.start)] + edit.text + text[offset(edit.end) :]
        return text


def _is_invisible(text: str) -> bool:
    """Return whether a text has invisible characters besides tabs and line feeds."""
    plain = text.replace("\t", " ").replace("\n", " ")
    return visible(plain) != plain


def _overlap(edits: Sequence[Edit]) -> bool:
    """Return whether sorted edits overlap: alternatives, as typos prints them, or a broken fix."""
    if any(edit.start > edit.end for edit in edits):
        raise ValueError("an edit ends before it starts")
    return any(one.end > other.start for one, other in pairwise(edits))


def _line_range(edits: Sequence[Edit]) -> tuple[int, int]:
    """The first and last line that sorted edits change."""
    # An edit that ends in the first column does not change that line, unless it starts there too.
    last = max(edit.end[0] if edit.end[1] > 1 or edit.end == edit.start else edit.end[0] - 1 for edit in edits)
    return edits[0].start[0], last
