"""ruff: Python, with fixes that become committable suggestions.

Its own JSON is read, not its SARIF: only there does a fix say whether it is safe, and an unsafe one is not for one
click. Source: ruff documentation, "Fix safety".
"""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from itertools import accumulate

from pydantic import BaseModel, ConfigDict, PositiveInt, TypeAdapter

from reviews.engines.analyzer import Analyzer
from reviews.findings import LONGEST_SUGGESTION, Finding, Severity, Suggestion

RULES = "E4,E7,E9,F,B,PLE"
"""pycodestyle's statements and errors, pyflakes, bugbear and pylint's errors: what is wrong, not what is taste."""

LARGEST_SUGGESTION = 20
"""Lines. A replacement of more than that is no one-click matter."""

_CRITICAL = ("E9", "F63", "F7", "F82", "PLE", "invalid-syntax")
_MINOR = ("E4", "E7", "F401", "F541", "F841", "B007", "B9")


def _severity(rule: str) -> Severity:
    if rule.startswith(_CRITICAL):
        return Severity.CRITICAL
    return Severity.MINOR if rule.startswith(_MINOR) else Severity.MAJOR


class _Location(BaseModel):
    """1-based. Columns count characters."""

    model_config = ConfigDict(strict=True, frozen=True)

    row: PositiveInt
    column: PositiveInt


class _Edit(BaseModel):
    content: str
    location: _Location
    end_location: _Location


class _Fix(BaseModel):
    applicability: str
    message: str | None = None
    edits: list[_Edit] = []


class _Entry(BaseModel):
    """One finding in ruff's JSON: the fields that are read."""

    filename: str
    location: _Location
    end_location: _Location
    code: str | None = None
    message: str
    url: str | None = None
    fix: _Fix | None = None


_OUTPUT = TypeAdapter(list[_Entry])


class _Source:
    """The lines of a file as git and GitHub count them, and as ruff does.

    To ruff a carriage return alone ends a line. To git it does not, and a comment counted by ruff would stand, and a
    suggestion replace, some lines further down.
    """

    def __init__(self, text: str) -> None:
        self.lines = text.split("\n")
        ends = re.findall(r"\r\n?|\n", text)
        self._lines_of_rows = None
        if "\r" in ends:
            self._lines_of_rows = list(accumulate((end != "\r" for end in ends), initial=1))

    @property
    def counts_alike(self) -> bool:
        return self._lines_of_rows is None

    def line(self, row: int) -> int:
        """The line that GitHub calls what ruff calls `row`."""
        if self._lines_of_rows is None:
            return row
        return self._lines_of_rows[min(row, len(self._lines_of_rows)) - 1]


def read(output: bytes, files: Mapping[str, str], root: str) -> list[Finding]:
    """Turn ruff's JSON, in which paths are absolute, into findings on `files`, which were written below `root`."""
    findings = []
    sources: dict[str, _Source] = {}
    for entry in _OUTPUT.validate_json(output):
        path = os.path.relpath(entry.filename, root)
        source = sources.get(path) or sources.setdefault(path, _Source(files[path]))
        start, end = source.line(entry.location.row), source.line(entry.end_location.row)
        rule = entry.code or "invalid-syntax"
        fix = entry.fix
        offered = fix is not None and fix.applicability == "safe" and source.counts_alike
        findings.append(
            Finding(
                path=path,
                start_line=start,
                # An end in the first column is the end of the line before.
                end_line=max(start, end - 1 if entry.end_location.column == 1 else end),
                severity=_severity(rule),
                rule=rule,
                rule_url=entry.url or "",
                message=entry.message,
                fix=(fix.message or "") if fix else "",
                suggestion=_suggestion(fix.edits, source.lines) if fix and offered else None,
                snippet=source.lines[start - 1] if start <= len(source.lines) else "",
            )
        )
    return findings


def _suggestion(edits: Sequence[_Edit], lines: list[str]) -> Suggestion | None:
    """Turn edits of characters into a replacement of whole lines; None where that cannot be offered."""
    spans = sorted((_position(edit.location), _position(edit.end_location), edit.content) for edit in edits)
    if not spans:
        return None
    if any(start > end for start, end, _ in spans):
        raise ValueError("an edit ends before it starts")
    first = spans[0][0][0]
    # An edit that ends in the first column leaves that line as it is, unless it begins there too.
    last = max(row if column > 1 or (row, column) == start else row - 1 for start, (row, column), _ in spans)
    if last > len(lines) or last - first >= LARGEST_SUGGESTION:
        return None
    if sum(map(len, lines[first - 1 : last])) > LONGEST_SUGGESTION:
        # Looked at before it is built: thousands of findings may be on one line of a megabyte.
        return None
    if any("\r" in line for line in lines[first - 1 : last]):
        # Whether a suggestion keeps CRLF is nowhere promised, and one line ending among others is worse than none.
        return None
    text = "\n".join(lines[first - 1 : last]) + "\n"
    starts = [0]
    for line in lines[first - 1 : last]:
        starts.append(starts[-1] + len(line) + 1)

    def offset(position: tuple[int, int]) -> int:
        return starts[position[0] - first] + position[1] - 1

    for start, end, content in reversed(spans):
        text = text[: offset(start)] + content + text[offset(end) :]
    if not text:
        return Suggestion(first, last, None)
    return Suggestion(first, last, text.removesuffix("\n"))


def _position(location: _Location) -> tuple[int, int]:
    return location.row, location.column


ANALYZER = Analyzer(
    name="ruff",
    suffixes=(".py", ".pyi"),
    command=(
        os.path.join(os.path.dirname(sys.executable), "ruff"),
        "check",
        # No configuration, of the pull request or of the machine. ruff passes over node_modules, .venv and the like by
        # itself: what a pull request changes there is to be seen too.
        "--isolated",
        "--config=exclude=[]",
        "--no-respect-gitignore",
        "--no-cache",
        "--exit-zero",
        "--quiet",
        "--output-format=json",
        f"--select={RULES}",
    ),
    read=read,
)
