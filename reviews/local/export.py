"""Export a report as JSON, SARIF or annotations of GitHub Actions."""

import json
from typing import Any
from urllib.parse import quote

from reviews.findings import Finding, Report, Severity
from reviews.redaction import visible

_SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_SARIF_LEVELS = {
    Severity.CRITICAL: "error",
    Severity.MAJOR: "error",
    Severity.MINOR: "warning",
    Severity.INFO: "note",
}
_ACTIONS_LEVELS = {level: "notice" if name == "note" else name for level, name in _SARIF_LEVELS.items()}


def as_json(report: Report) -> str:
    """Return the whole report as JSON."""
    return json.dumps(report.to_json(), indent=2)


def as_sarif(report: Report) -> str:
    """Return SARIF with suggestions as fixes. Source: OASIS SARIF 2.1.0."""
    rules = {finding.rule: finding for finding in report.findings}
    driver: dict[str, Any] = {
        "name": "Kodiai",
        "rules": [
            {"id": rule} | ({"helpUri": finding.rule_url} if finding.rule_url else {})
            for rule, finding in sorted(rules.items())
        ],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding) for finding in report.findings],
        "invocations": [
            {
                "executionSuccessful": not report.engine_failures,
                "toolExecutionNotifications": [
                    {"level": "error", "message": {"text": f"{engine} failed: {reason}"}}
                    for engine, reason in report.engine_failures
                ],
            }
        ],
    }
    return json.dumps({"version": "2.1.0", "$schema": _SARIF_SCHEMA, "runs": [run]}, indent=2)


def _result(finding: Finding) -> dict[str, Any]:
    location = {"uri": quote(finding.path)}
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "level": _SARIF_LEVELS[finding.severity],
        "message": {"text": finding.message},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": location,
                    "region": {"startLine": finding.start_line, "endLine": finding.end_line},
                }
            }
        ],
        "partialFingerprints": {"kodiai/v1": finding.fingerprint},
        "properties": {"severity": finding.severity},
    }
    fix = finding.suggestion
    if fix is not None:
        # Whole lines: from the first column to the first column of the next line.
        replacement = {
            "deletedRegion": {
                "startLine": fix.start_line,
                "startColumn": 1,
                "endLine": fix.end_line + 1,
                "endColumn": 1,
            },
            "insertedContent": {"text": "" if fix.text is None else f"{fix.text}\n"},
        }
        result["fixes"] = [
            {
                "description": {"text": finding.fix or "Suggested replacement"},
                "artifactChanges": [{"artifactLocation": location, "replacements": [replacement]}],
            }
        ]
    return result


def as_annotations(report: Report) -> str:
    """Return workflow commands that annotate the lines. Source: GitHub docs, "Workflow commands"."""
    commands = []
    for finding in report.findings:
        lines = f"line={finding.start_line},endLine={finding.end_line}"
        title = _property(f"{finding.rule} ({finding.severity})")
        level = _ACTIONS_LEVELS[finding.severity]
        commands.append(f"::{level} file={_property(finding.path)},{lines},title={title}::{_data(finding.message)}")
    commands += [
        f"::warning title=Kodiai::{_data(f'{engine} failed: {reason}. Its findings are missing.')}"
        for engine, reason in report.engine_failures
    ]
    return "\n".join(commands)


def _data(text: str) -> str:
    """Escape text so that it neither ends nor starts a workflow command."""
    return visible(" ".join(text.split())).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
