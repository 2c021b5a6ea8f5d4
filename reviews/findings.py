"""What engines say and what a review reports: plain values that travel between the steps of a run."""

import hashlib
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter

from reviews.redaction import storable

LONGEST_MESSAGE = 1000
"""Characters of a message or of a fix in words. A name in the code may be megabytes long, and messages repeat it."""
LONGEST_SNIPPET = 200
LONGEST_SUGGESTION = 5000
"""Characters of a suggestion. GitHub takes 65,536 for a comment, and nobody reads that many before one click."""

_RULE_URL = re.compile(r"https://[\w.-]+(/[\w./#=-]*)?", re.ASCII)


class Severity(StrEnum):
    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for the most severe."""
        return list(Severity).index(self)


class LeftOutReason(StrEnum):
    """Why a changed file was not looked at."""

    NO_DIFF = "GitHub shows no diff (binary, too large, or only renamed)"
    NOT_TEXT = "not UTF-8 text"
    TOO_LARGE = "too large"
    UNSAFE_PATH = "its path cannot be written safely"
    LINK = "it seems to be a symbolic link"
    GONE = "GitHub did not hand over its content"


@dataclass(frozen=True)
class Suggestion:
    """A replacement for the lines `start_line` to `end_line` (1-based, inclusive) that one click commits.

    `text` has no line break at its end; None deletes the lines.
    """

    start_line: int
    end_line: int
    text: str | None


@dataclass(frozen=True)
class Finding:
    """A remark of an engine on lines of the head side, 1-based and inclusive."""

    path: str
    start_line: int
    end_line: int
    severity: Severity
    rule: str
    message: str
    rule_url: str = ""
    suggestion: Suggestion | None = None
    fix: str = ""
    """What the engine's fix would do, in words; also where it cannot be offered as a suggestion."""
    snippet: str = ""
    """The first line it is about, as it stands in the file."""

    @property
    def fingerprint(self) -> str:
        """What stays the same when the line moves: path, rule, message and the line's own text."""
        said = "\n".join((self.path, self.rule, self.message, self.snippet.strip()))
        return hashlib.sha256(said.encode()).hexdigest()[:32]


def bounded(finding: Finding) -> Finding:
    """A finding that can be stored and published, whatever the code that it is about holds.

    Texts are cut and cleaned. A suggestion is code and is never changed: one that cannot be kept is not offered.
    """
    fix = finding.suggestion
    if fix is not None and fix.text is not None and fix.text != storable(fix.text, LONGEST_SUGGESTION):
        fix = None
    return replace(
        finding,
        rule=storable(finding.rule, 100),
        rule_url=finding.rule_url if _RULE_URL.fullmatch(finding.rule_url) and len(finding.rule_url) <= 500 else "",
        message=storable(finding.message, LONGEST_MESSAGE),
        fix=storable(finding.fix, LONGEST_MESSAGE),
        snippet=storable(finding.snippet, LONGEST_SNIPPET),
        suggestion=fix,
    )


@dataclass(frozen=True)
class LeftOut:
    path: str
    reason: LeftOutReason


@dataclass(frozen=True)
class Report:
    """The outcome of the analysis of one head commit, as it is stored on the `Review` row."""

    changed_files: int = 0
    looked_at: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    outside_changes: int = 0
    """Findings on lines that the pull request does not change: counted, never said."""
    left_out: tuple[LeftOut, ...] = ()
    without_engine: int = 0
    """Changed files of a kind that no engine reads."""
    engines: tuple[str, ...] = ()
    engine_failures: tuple[tuple[str, str], ...] = ()
    """Engines that failed, with the reason."""
    config_problems: tuple[str, ...] = ()
    truncated: bool = False
    """GitHub listed only the first files of the pull request."""

    def to_json(self) -> Any:
        return _ADAPTER.dump_python(self, mode="json")

    @staticmethod
    def from_json(data: Any) -> "Report":
        return _ADAPTER.validate_python(data)


_ADAPTER = TypeAdapter(Report)
