"""ShellCheck: shell scripts, with fixes. It has no SARIF; `json1` has the fixes, with columns in characters."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from reviews.engines.analyzer import Analyzer
from reviews.engines.source import Edit, Source
from reviews.findings import Finding, Severity

# Not reported: what one file cannot tell, the dialect, duplicates of other codes, and style.
EXCLUDED = (
    *("SC1090", "SC1091", "SC2034", "SC2154", "SC1071", "SC2148", "SC1073", "SC2030"),
    *("SC2009", "SC2012", "SC2015", "SC2016", "SC2029", "SC2035", "SC2155", "SC2196", "SC2197", "SC2317", "SC2329"),
    "SC3043",  # `local`: every current sh has it
)
CARRIAGE_RETURN = 1017
"""Reported for every line of a file with CRLF; once is enough."""
_SEVERITIES = {"error": Severity.MAJOR, "warning": Severity.MINOR, "info": Severity.MINOR, "style": Severity.INFO}


class _Span(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    line: PositiveInt
    column: PositiveInt
    end_line: PositiveInt = Field(alias="endLine")
    end_column: PositiveInt = Field(alias="endColumn")


class _Replacement(_Span):
    replacement: str
    precedence: int


class _Fix(BaseModel):
    replacements: list[_Replacement]


class _Comment(_Span):
    file: str
    level: str
    code: PositiveInt
    message: str
    fix: _Fix | None = None


class _Output(BaseModel):
    comments: list[_Comment]


def read(output: bytes, files: Mapping[str, str], root: str) -> list[Finding]:
    """Read ShellCheck's JSON into findings."""
    sources = {path: Source(text) for path, text in files.items()}
    findings = []
    with_returns = set()
    for comment in _Output.model_validate_json(output).comments:
        path = comment.file.removeprefix("./")
        if comment.code == CARRIAGE_RETURN:
            if path in with_returns:
                continue
            with_returns.add(path)
        # SC1xxx: the file cannot be parsed.
        severity = Severity.CRITICAL if comment.level == "error" and comment.code < 2000 else _SEVERITIES[comment.level]
        edits = [
            Edit((edit.line, edit.column), (edit.end_line, edit.end_column), edit.replacement)
            for edit in (sorted(comment.fix.replacements, key=lambda edit: edit.precedence) if comment.fix else ())
        ]
        findings.append(
            Finding(
                path=path,
                start_line=comment.line,
                end_line=max(comment.line, comment.end_line),
                severity=severity,
                rule=f"SC{comment.code}",
                message=comment.message,
                suggestion=sources[path].suggestion(edits),
                snippet=sources[path].text(comment.line),
            )
        )
    return findings


ANALYZER = Analyzer(
    name="shellcheck",
    files=("*.sh", "*.bash", "*.ksh", "*.dash", ".bashrc", ".bash_profile", ".profile"),
    command=(
        "shellcheck",
        "--norc",
        "--severity=info",
        f"--exclude={','.join(EXCLUDED)}",
        "--format=json1",
    ),
    read=read,
    page="https://www.shellcheck.net/wiki/{rule}",
    suppression="`# shellcheck disable={rule}` on the line before",
    not_suppressible=("SC1",),
    names_files=True,
    # 1: there are findings.
    success_codes=(0, 1),
    url="https://www.shellcheck.net/",
    licence="GPL-3.0-or-later",
)
