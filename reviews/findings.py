"""Findings and reports: values that are passed between the steps of a run."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter

from reviews.redaction import storable

MAX_MESSAGE = 1000
"""Characters of a message or of a described fix. Messages quote names from the code, which may be megabytes long."""
MAX_SNIPPET = 200
MAX_SUGGESTION_CHARACTERS = 5000
"""Characters of a suggestion. GitHub's limit for a comment is 65,536, too many to read before one click."""

FINGERPRINT_LENGTH = 32
"""Hexadecimal digits of a fingerprint."""
CONTENT_HASH_LENGTH = 24
"""The leading digits of a fingerprint that do not depend on the file."""

_NUMBER = re.compile(r"\d+")
_RULE_URL = re.compile(r"https://[\w.-]+(/[\w./#=-]*)?", re.ASCII)


class Severity(StrEnum):
    """How severe a finding is, most severe first."""

    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for the most severe."""
        return list(Severity).index(self)


class LeftOutReason(StrEnum):
    """Why a changed file was not analysed."""

    NO_DIFF = "no diff is shown"
    NOT_TEXT = "not UTF-8 text"
    TOO_LARGE = "too large"
    UNSAFE_PATH = "unsafe path"
    LINK = "a symbolic link"
    SUBMODULE = "a submodule"
    LFS_POINTER = "a Git LFS pointer"
    UNAVAILABLE = "its content is not available"
    GENERATED = "generated, vendored or a lock file"
    ATTRIBUTES = "generated or vendored according to `.gitattributes`"
    TOO_MANY_FILES = "over the limit of files per review (`limits.files`)"
    TOO_MANY_LINES = "over the limit of changed lines per review (`limits.lines`)"
    IGNORED = "ignored by `.kodiai.yml`"

    @property
    def is_settled(self) -> bool:
        """Return whether there is nothing to read, or the repository has decided that it is not read."""
        return self in (self.LINK, self.SUBMODULE, self.GENERATED, self.ATTRIBUTES, self.IGNORED)


@dataclass(frozen=True)
class Suggestion:
    """A replacement of the lines `start_line` to `end_line` (1-based, inclusive) that one click commits.

    `text` has no trailing line break; None deletes the lines.
    """

    start_line: int
    end_line: int
    text: str | None


@dataclass(frozen=True)
class Finding:
    """A finding of an engine on lines of the head commit, 1-based and inclusive."""

    path: str
    start_line: int
    end_line: int
    severity: Severity
    rule: str
    message: str
    rule_url: str = ""
    suggestion: Suggestion | None = None
    fix: str = ""
    """The engine's fix in words; also if it cannot be offered as a suggestion."""
    words: tuple[str, ...] = ()
    """The words that the finding is about, if it depends on nothing else: text that is only moved is not new."""
    suppression: str = ""
    """The code comment that suppresses the rule, and where to put it, in words; empty if there is none."""
    snippet: str = ""
    """The text of the first line."""
    engine: str = ""
    """Name of the engine that found it."""
    internal: bool = False
    """Whether it only says that the engine could not read the file, which is not the author's fault: never reported."""
    elsewhere: int = 0
    """The unchanged line that it is about, if it stands on a changed line near it; 0 if it is about its own lines."""
    fingerprint: str = ""
    """Identifies the finding when its line moves or its file is renamed; set by `fingerprinted`.

    Equal findings on equal lines of one file share it.
    """

    @property
    def description(self) -> str:
        """The message; it begins with the line that the finding is about if that is not its own."""
        return f"Line {self.elsewhere}: {self.message}" if self.elsewhere else self.message

    @property
    def content_hash(self) -> str:
        """The part of the fingerprint that does not depend on the file."""
        return content_hash_of(self.fingerprint)


def fingerprinted(finding: Finding, path_in_base: str) -> Finding:
    """Set a finding's fingerprint: a hash of rule, message and text of the line, and of the file's path in the base.

    Numbers in the message do not count: messages refer to other lines by number.
    """
    content = "\n".join((finding.rule, _NUMBER.sub("0", finding.message), finding.snippet.strip()))
    content_hash, file_hash = (
        hashlib.sha256(text.encode(errors="replace")).hexdigest() for text in (content, path_in_base)
    )
    return replace(
        finding, fingerprint=content_hash[:CONTENT_HASH_LENGTH] + file_hash[: FINGERPRINT_LENGTH - CONTENT_HASH_LENGTH]
    )


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Sort findings, most severe first, then by path and line."""
    return sorted(findings, key=lambda finding: (finding.severity.rank, finding.path, finding.start_line))


def worth_a_line(findings: Iterable[Finding]) -> list[Finding]:
    """Findings that are shown on their lines, most severe first: all but those of severity info."""
    return [finding for finding in by_severity(findings) if finding.severity != Severity.INFO]


def content_hash_of(fingerprint: str) -> str:
    """The part of a fingerprint that does not depend on the file."""
    return fingerprint[:CONTENT_HASH_LENGTH]


def bounded(finding: Finding) -> Finding:
    """Make a finding fit to be stored and published, whatever the analysed code contains.

    Texts are truncated and cleaned. A suggestion is code and never changed: it is dropped if it does not fit.
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
        suppression=storable(finding.suppression, MAX_SNIPPET),
        words=tuple(storable(word, MAX_SNIPPET) for word in finding.words),
        snippet=storable(finding.snippet, MAX_SNIPPET),
        suggestion=fix,
    )


def enumerated(names: Sequence[str]) -> str:
    """Names, of which there is one at least, in a sentence: `a`, `b` and `c`."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


@dataclass(frozen=True)
class LeftOut:
    """A changed file that was not analysed."""

    path: str
    reason: LeftOutReason


@dataclass(frozen=True)
class Unread:
    """An engine that could not read a whole file, and the reason."""

    engine: str
    reason: str

    def __str__(self) -> str:
        return f"{self.engine}: {self.reason}"


@dataclass(frozen=True)
class FileCoverage:
    """Which engines have read a changed file, and which have not, or not all of it, and why."""

    path: str
    changed_lines: int
    read_by: tuple[str, ...]
    unread: tuple[Unread, ...] = ()
    left_out: LeftOutReason | None = None
    """Why the file was not analysed. Its patch may still have been searched for secrets: then `read_by` says so."""


@dataclass(frozen=True)
class EngineVersion:
    """An engine that ran, and its version; empty if unknown."""

    name: str
    version: str


@dataclass(frozen=True)
class Coverage:
    """What was read of a pull request, by which engine and version, and what was not. Its JSON Schema is published."""

    complete: bool
    """Whether everything was read that should have been."""
    engines: tuple[EngineVersion, ...]
    files: tuple[FileCoverage, ...]


@dataclass(frozen=True)
class Report:
    """The outcome of the analysis of one head commit, as it is stored on the `Review` row."""

    changed_files: int = 0
    analysed_files: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    outside_changes: int = 0
    """Number of introduced findings on unchanged lines, which are not reported."""
    pre_existing: int = 0
    """Number of findings that the base has too, which are not reported."""
    left_out: tuple[LeftOut, ...] = ()
    without_engine: int = 0
    """Number of changed files that no engine reads."""
    engines: tuple[str, ...] = ()
    engine_failures: tuple[tuple[str, str], ...] = ()
    """Names of failed engines, with the reasons."""
    suppressed: int = 0
    """Number of findings on changed lines that `.kodiai.yml` suppresses."""
    suppressed_by_linters: int = 0
    """Number of findings on changed lines that settings of linters on the base branch, or their comments, turn off."""
    linter_problems: tuple[str, ...] = ()
    """The linters' configuration files that could not be read, one sentence each."""
    ignored: tuple[str, ...] = ()
    """Content hashes of findings that somebody ignored by a comment."""
    unreported: tuple[str, ...] = ()
    """Fingerprints of findings that are there and not reported: the base has them too, or settings turn them off."""
    disabled: tuple[str, ...] = ()
    """Names of the engines that the repository turns off."""
    hidden_for_newcomer: int = 0
    """Number of findings that are hidden from a newcomer; see `reviews.publishing.author_tier`."""
    partially_analysed: tuple[str, ...] = ()
    """Files that an engine could not read as a whole: it may have findings that are not in the report."""
    files: tuple[FileCoverage, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of the analyzers that ran, by name."""
    config_problems: tuple[str, ...] = ()
    config_change: tuple[str, ...] | None = None
    """Problems of the `.kodiai.yml` that this pull request would introduce; None if it does not change the file."""
    discarded: int = 0
    """Number of discarded remarks of the language model."""
    skipped_for_budget: int = 0
    """Number of files that did not fit into the language model's budget."""
    truncated: bool = False
    """Whether files may be missing in GitHub's list: GitHub counts another number of changed files."""

    def may_change(self, path: str) -> bool:
        """Return whether the pull request may change a file of this name: GitHub listed it, or not all files."""
        return self.truncated or path in self._analysed or any(left.path == path for left in self.left_out)

    def is_conclusive_for(self, path: str) -> bool:
        """Return whether a finding in this file that the report does not have is resolved.

        Either every engine for the file has analysed it, or the file is no longer part of the pull request.
        """
        if path in self._analysed:
            return path not in self.partially_analysed
        return not self.may_change(path) and not self.partially_analysed

    def is_gone(self, path: str, fingerprint: str, engine: str) -> bool:
        """Return whether a finding that the report does not have is gone: not missed, and not only unreported.

        Somebody may have ignored it. An empty `engine` is an unknown one.
        """
        is_there = fingerprint in self._unreported
        return self.is_conclusive_for(path) and not is_there and engine not in self.disabled

    def is_resolved(self, path: str, fingerprint: str, engine: str) -> bool:
        """Return whether a finding that the report does not have is gone, and not ignored."""
        return self.is_gone(path, fingerprint, engine) and content_hash_of(fingerprint) not in self.ignored

    @property
    def is_incomplete(self) -> bool:
        """Return whether something was not read that should have been."""
        return bool(
            self.truncated
            or self.engine_failures
            or self.partially_analysed
            or any(not left.reason.is_settled for left in self.left_out)
        )

    @property
    def not_read(self) -> list[tuple[str, str]]:
        """The files that are not, or not wholly, read and should have been, each with a sentence that says why."""
        partial = [
            (file.path, f"Only partially analysed ({'; '.join(map(str, file.unread))}).")
            for file in self.files
            if file.unread
        ]
        left_out = [
            (left.path, f"Not analysed: {left.reason}.") for left in self.left_out if not left.reason.is_settled
        ]
        return partial + left_out

    @property
    def coverage(self) -> Coverage:
        """What was read, by which engine and version, and what was not."""
        engines = tuple(EngineVersion(name, self.versions.get(name, "")) for name in self.engines)
        return Coverage(not self.is_incomplete, engines, self.files)

    @cached_property
    def _unreported(self) -> frozenset[str]:
        return frozenset(self.unreported)

    @cached_property
    def _analysed(self) -> frozenset[str]:
        return frozenset(self.analysed_files)

    def to_json(self) -> Any:
        """The report as it is stored on the `Review` row."""
        return _ADAPTER.dump_python(self, mode="json")

    @staticmethod
    def from_json(data: Any) -> "Report":
        """Read a stored report."""
        return _ADAPTER.validate_python(data)


def coverage_schema() -> dict[str, Any]:
    """The JSON Schema of the coverage of a review. Published as `docs/coverage.schema.json`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_COVERAGE.json_schema(mode="serialization"),
        "title": "Kodiai: coverage of a review",
    }


def coverage_json(report: Report) -> Any:
    """The coverage of a review, as `coverage_schema` describes it."""
    return _COVERAGE.dump_python(report.coverage, mode="json")


_COVERAGE = TypeAdapter(Coverage)
_ADAPTER = TypeAdapter(Report)
