"""What engines say and what a review reports: plain values that travel between the steps of a run."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter

from reviews.redaction import storable

MAX_MESSAGE = 1000
"""Characters of a message or of a fix in words. A name in the code may be megabytes long, and messages repeat it."""
MAX_SNIPPET = 200
MAX_SUGGESTION_CHARACTERS = 5000
"""Characters of a suggestion. GitHub takes 65,536 for a comment, and nobody reads that many before one click."""

FINGERPRINT_LENGTH = 32
"""Hexadecimal digits of a fingerprint."""
CONTENT_HASH_LENGTH = 24
"""Of them those that tell what was found, and not in which file."""

_NUMBER = re.compile(r"\d+")
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

    NO_DIFF = "no diff is shown (binary, too large, or only renamed)"
    NOT_TEXT = "not UTF-8 text"
    TOO_LARGE = "too large"
    UNSAFE_PATH = "its path cannot be written safely"
    LINK = "it seems to be a symbolic link"
    GONE = "its content was not handed over"
    GENERATED = "generated, vendored or a lock file"
    ATTRIBUTES = "generated or vendored: `.gitattributes` says so"
    TOO_MANY_FILES = "more files than `limits.files` has one review look at"
    TOO_MANY_LINES = "more changed lines than `limits.lines` has one review look at"
    IGNORED = "`.kodiai.yml` says so"


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
    words: tuple[str, ...] = ()
    """The words that it is about, where it is about nothing else: what a pull request only moves is not new."""
    silence: str = ""
    """The comment in the code that silences its rule there, and where it goes, in words; empty where none does."""
    snippet: str = ""
    """The first line it is about, as it stands in the file."""
    fingerprint: str = ""
    """What stays the same when its line moves or its file is renamed; `fingerprinted` gives it. Equal findings on equal
    lines of one file share it."""

    @property
    def content_hash(self) -> str:
        """The part of the fingerprint that tells what was found; the rest tells in which file."""
        return content_hash_of(self.fingerprint)


def fingerprinted(finding: Finding, path_in_base: str) -> Finding:
    """Give a finding its fingerprint: rule, message, the line's own text, and the file by its name in the base.

    Numbers in the message do not count: messages quote other lines by number.
    """
    said = "\n".join((finding.rule, _NUMBER.sub("0", finding.message), finding.snippet.strip()))
    what, where = (hashlib.sha256(text.encode(errors="replace")).hexdigest() for text in (said, path_in_base))
    return replace(finding, fingerprint=what[:CONTENT_HASH_LENGTH] + where[: FINGERPRINT_LENGTH - CONTENT_HASH_LENGTH])


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """The most severe first, then as they stand in the files."""
    return sorted(findings, key=lambda finding: (finding.severity.rank, finding.path, finding.start_line))


def content_hash_of(fingerprint: str) -> str:
    """The part of a fingerprint that two files can share."""
    return fingerprint[:CONTENT_HASH_LENGTH]


def bounded(finding: Finding) -> Finding:
    """A finding that can be stored and published, whatever the code that it is about holds.

    Texts are cut and cleaned. A suggestion is code and is never changed: one that cannot be kept is not offered.
    """
    fix = finding.suggestion
    if fix is not None and fix.text is not None and fix.text != storable(fix.text, MAX_SUGGESTION_CHARACTERS):
        fix = None
    return replace(
        finding,
        rule=storable(finding.rule, 100),
        rule_url=finding.rule_url if _RULE_URL.fullmatch(finding.rule_url) and len(finding.rule_url) <= 500 else "",
        message=storable(finding.message, MAX_MESSAGE),
        fix=storable(finding.fix, MAX_MESSAGE),
        silence=storable(finding.silence, MAX_SNIPPET),
        words=tuple(storable(word, MAX_SNIPPET) for word in finding.words),
        snippet=storable(finding.snippet, MAX_SNIPPET),
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
    not_wanted: int = 0
    """Findings on changed lines that are not said because of what `.kodiai.yml` settles."""
    ignored: tuple[str, ...] = ()
    """The gist of each finding that is not said because somebody asked, in a comment, never to hear it again."""
    hidden_for_newcomer: int = 0
    """Findings that are left out of what the author is told; see `reviews.publishing.author_tier`."""
    partially_analysed: tuple[str, ...] = ()
    """Files among `looked_at` that an engine which failed should have read: what it does not say may still be true."""
    config_problems: tuple[str, ...] = ()
    config_change: tuple[str, ...] | None = None
    """The problems of the `.kodiai.yml` that this pull request would bring; None where it brings none."""
    discarded: int = 0
    """Remarks of the language model that were of no use."""
    skipped_for_budget: int = 0
    """Files that were too much for the language model's budget."""
    truncated: bool = False
    """GitHub listed only the first files of the pull request."""

    def may_change(self, path: str) -> bool:
        """Tell whether the pull request may change a file of this name: GitHub listed it, or did not list all."""
        return self.truncated or path in self._looked_at or any(left.path == path for left in self.left_out)

    def is_conclusive_for(self, path: str) -> bool:
        """Tell whether a finding on this file that is not in the report is gone: all that reads the file has read it,
        or it is not part of the pull request any more, under its name."""
        if path in self._looked_at:
            return path not in self.partially_analysed
        return not self.may_change(path) and not self.partially_analysed

    @cached_property
    def _looked_at(self) -> frozenset[str]:
        return frozenset(self.looked_at)

    def to_json(self) -> Any:
        return _ADAPTER.dump_python(self, mode="json")

    @staticmethod
    def from_json(data: Any) -> "Report":
        return _ADAPTER.validate_python(data)


_ADAPTER = TypeAdapter(Report)
