"""ruff: Python, with fixes that become suggestions.

Kodiai reads ruff's JSON, not its SARIF: only the JSON tells safe fixes from unsafe ones, and an unsafe fix must not be
offered for one click. Source: ruff documentation, "Fix safety".
"""

import os
from collections.abc import Collection, Mapping

from pydantic import BaseModel, ConfigDict, PositiveInt, TypeAdapter

from reviews.engines.analyzer import Analyzer
from reviews.engines.source import Edit, Position, Source
from reviews.findings import Finding, Severity

RULES = "E4,E7,E9,F,B,PLE"
"""pycodestyle's statements and errors, pyflakes, bugbear and pylint's errors: defects, not style."""
STYLE = "E701,E702,E731,E741,B007,B905"
DEFAULTS = ("fastapi.Depends", "fastapi.Security", "fastapi.Query", "fastapi.Header", "typer.Option", "typer.Argument")
"""Calls that are correct as a default value (B008)."""

UNUSED, NOT_AT_TOP = "F401", "E402"
_CRITICAL = ("E9", "F63", "F7", "F82", "PLE", "invalid-syntax")
_MINOR = ("E4", "E7", "F401", "F541", "F841", "B9")


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
    """A finding in ruff's JSON: the fields that are read."""

    filename: str
    location: _Location
    end_location: _Location
    code: str | None = None
    message: str
    url: str | None = None
    fix: _Fix | None = None


_OUTPUT = TypeAdapter(list[_Entry])


def read(output: bytes, files: Mapping[str, str], root: str) -> list[Finding]:
    """Read ruff's JSON, in which paths are absolute, into findings in `files`, which were written below `root`."""
    findings = []
    sources: dict[str, Source] = {}
    for entry in _OUTPUT.validate_json(output):
        path = os.path.relpath(entry.filename, root)
        source = sources.get(path) or sources.setdefault(path, Source(files[path], lone_returns=True))
        start, end = source.line(entry.location.row), source.line(entry.end_location.row)
        rule = entry.code or "invalid-syntax"
        fix = entry.fix
        edits = [_edit(edit) for edit in fix.edits] if fix and fix.applicability == "safe" else []
        findings.append(
            Finding(
                path=path,
                start_line=start,
                # An end in column 1 is the end of the previous line.
                end_line=max(start, end - 1 if entry.end_location.column == 1 else end),
                severity=_severity(rule),
                rule=rule,
                rule_url=entry.url or "",
                message=entry.message,
                fix=(fix.message or "") if fix else "",
                suggestion=source.suggestion(edits),
                snippet=source.text(start),
            )
        )
    unused = {(finding.path, finding.start_line) for finding in findings if finding.rule == UNUSED}
    return [finding for finding in findings if not _is_noise(finding, unused)]


def _is_noise(finding: Finding, unused: Collection[tuple[str, int]]) -> bool:
    """Return whether a finding is noise: a late import that is unused anyway, or a re-export of a package."""
    if finding.rule == NOT_AT_TOP:
        return (finding.path, finding.start_line) in unused
    return finding.rule == UNUSED and finding.path.rpartition("/")[2] == "__init__.py"


def _edit(edit: _Edit) -> Edit:
    return Edit(_position(edit.location), _position(edit.end_location), edit.content)


def _position(location: _Location) -> Position:
    return location.row, location.column


ANALYZER = Analyzer(
    name="ruff",
    files=("*.py", "*.pyi"),
    command=(
        "ruff",
        "check",
        # No configuration from the pull request or the machine. By default ruff excludes node_modules, .venv and the
        # like; changes there are analysed too.
        "--isolated",
        "--config=exclude=[]",
        "--no-respect-gitignore",
        "--no-cache",
        "--exit-zero",
        "--quiet",
        "--output-format=json",
        f"--select={RULES}",
        f"--ignore={STYLE}",
        f"--config=lint.flake8-bugbear.extend-immutable-calls={list(DEFAULTS)}",
    ),
    read=read,
    suppression="`# noqa: {rule}` at the end of the line",
    not_suppressible=("invalid-syntax", "E9"),
    url="https://docs.astral.sh/ruff/",
    licence="MIT",
)
