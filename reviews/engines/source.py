"""A file as git and GitHub count its lines, and a tool's edits of characters as a replacement of whole lines."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from reviews.findings import MAX_SUGGESTION_CHARACTERS, Suggestion

MAX_SUGGESTION_LINES = 20
"""Lines. A replacement of more than that is no one-click matter."""
MAX_EDITS = 100
"""Edits of one fix. Each is applied to the whole text."""

Position = tuple[int, int]
"""Line and column, both from 1. Columns count characters, and the one after a line's last is its end."""


@dataclass(frozen=True, order=True)
class Edit:
    """The text from `start` up to `end` becomes `text`."""

    start: Position
    end: Position
    text: str


class Source:
    """The lines of a file as git and GitHub count them.

    To some tools a carriage return alone ends a line (`lone_returns`). To git it does not, and a comment counted by
    such a tool would stand, and a suggestion replace, some lines further down.
    """

    def __init__(self, text: str, *, lone_returns: bool = False) -> None:
        self.lines = text.split("\n")
        self._lines_of_rows = None
        if lone_returns and "\r" in (ends := re.findall(r"\r\n?|\n", text)):
            self._lines_of_rows = list(accumulate((end != "\r" for end in ends), initial=1))

    def line(self, row: int) -> int:
        """The line that GitHub calls what the tool calls `row`."""
        if self._lines_of_rows is None:
            return row
        return self._lines_of_rows[min(row, len(self._lines_of_rows)) - 1]

    def text(self, line: int) -> str:
        """A line as it stands in the file; empty where there is none of that number."""
        return self.lines[line - 1] if line <= len(self.lines) else ""

    def suggestion(self, edits: Sequence[Edit]) -> Suggestion | None:
        """Turn the edits of one fix into a replacement of whole lines; None where that cannot be offered."""
        if not edits or len(edits) > MAX_EDITS or self._lines_of_rows is not None:
            return None
        edits = sorted(edits)
        if any(edit.start > edit.end for edit in edits):
            raise ValueError("an edit ends before it starts")
        if any(one.end > other.start for one, other in pairwise(edits)):
            # Alternatives, as typos prints them, or nonsense.
            return None
        first = edits[0].start[0]
        # An edit that ends in the first column leaves that line as it is, unless it begins there too.
        last = max(edit.end[0] if edit.end[1] > 1 or edit.end == edit.start else edit.end[0] - 1 for edit in edits)
        if last > len(self.lines) or last - first >= MAX_SUGGESTION_LINES:
            return None
        lines = self.lines[first - 1 : last]
        if sum(map(len, lines)) + sum(len(edit.text) for edit in edits) > MAX_SUGGESTION_CHARACTERS:
            # Looked at before it is built: thousands of findings may be on one line of a megabyte.
            return None
        if any("\r" in line for line in lines):
            # Whether a suggestion keeps CRLF is nowhere promised, and one line ending among others is worse than none.
            return None
        if any(column > len(self.text(line)) + 1 for edit in edits for line, column in (edit.start, edit.end)):
            # A column that is not there: the tool read another file, or counts in another way.
            return None
        starts = list(accumulate((len(line) + 1 for line in lines), initial=0))

        def offset(position: Position) -> int:
            return starts[position[0] - first] + position[1] - 1

        text = "\n".join(lines) + "\n"
        for edit in reversed(edits):
            text = text[: offset(edit.start)] + edit.text + text[offset(edit.end) :]
        if not text:
            return Suggestion(first, last, None)
        return Suggestion(first, last, text.removesuffix("\n"))
