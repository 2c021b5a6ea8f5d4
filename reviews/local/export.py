"""Export a report as JSON, SARIF or annotations of GitHub Actions."""

import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from reviews.engines.analyzers import secret_formats
from reviews.findings import Finding, Report, Severity, coverage_json
from reviews.local.version import version
from reviews.redaction import visible

_SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_SARIF_LEVELS = {
    Severity.CRITICAL: "error",
    Severity.MAJOR: "error",
    Severity.MINOR: "warning",
    Severity.INFO: "note",
}
_SCORES = {Severity.CRITICAL: "9.5", Severity.MAJOR: "8.0", Severity.MINOR: "5.0", Severity.INFO: "2.0"}
"""`security-severity` by GitHub's thresholds: over 9.0 critical, from 7.0 high, from 4.0 medium, else low."""
MAX_TITLE = 120
_QUOTED = re.compile(r"`[^`]*`|(?<!\w)'[^']*'(?!\w)|\"[^\"]*\"")
_MARKDOWN = re.compile(r"[\\`*_\[\]<>!#|~]")
_ACTIONS_LEVELS = {level: "notice" if name == "note" else name for level, name in _SARIF_LEVELS.items()}
_OF_PROPERTIES = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"})
"""Escapes in a property of a workflow command. Source: actions/toolkit, `escapeProperty`."""


def as_json(report: Report) -> str:
    """Return the whole report as JSON; `coverage` as docs/coverage.schema.json describes it."""
    stored = {name: value for name, value in report.to_json().items() if name not in ("files", "versions")}
    return json.dumps({**stored, "coverage": coverage_json(report)}, indent=2)


def as_sarif(report: Report) -> str:
    """Return SARIF with suggestions as fixes. Source: OASIS SARIF 2.1.0; GitHub docs, "SARIF support"."""
    by_rule: dict[str, list[Finding]] = {}
    for finding in report.findings:
        by_rule.setdefault(finding.rule, []).append(finding)
    rules = sorted(by_rule)
    driver = {
        "name": "Kodiai",
        "version": version(),
        "semanticVersion": version(),
        "rules": [_rule(rule, by_rule[rule]) for rule in rules],
    }
    run = {
        "tool": {"driver": driver},
        # GitHub keeps the results of different tools and categories apart.
        "automationDetails": {"id": "kodiai/"},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, rules.index(finding.rule)) for finding in report.findings],
        "invocations": [
            {
                "executionSuccessful": not report.engine_failures,
                "toolExecutionNotifications": [
                    {"level": "error", "message": {"text": f"{engine} failed: {reason}"}}
                    for engine, reason in report.engine_failures
                ]
                + [{"level": "warning", "message": {"text": f"{path}: {why}"}} for path, why in report.not_read],
            }
        ],
    }
    return json.dumps({"version": "2.1.0", "$schema": _SARIF_SCHEMA, "runs": [run]}, indent=2)


def _rule(rule: str, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return a rule's metadata, as code scanning shows it: title, help, severity."""
    worst = min(findings, key=lambda finding: finding.severity.rank)
    # The rule's sentence: without the names in the code that one finding quotes.
    title = visible(_QUOTED.sub("…", worst.message.split("\n")[0]))[:MAX_TITLE] or rule
    page = f"Explained at {worst.rule_url}." if worst.rule_url else ""
    link = f"[{_escaped(rule)}]({worst.rule_url})" if worst.rule_url else ""
    # Not for what must be mended.
    may_be_wanted = worst.suppression and worst.severity is not Severity.CRITICAL
    suppression = f"To suppress it: {worst.suppression}." if may_be_wanted else ""
    security = rule in secret_formats.FORMATS or rule.startswith("zizmor/")
    level = _SARIF_LEVELS[worst.severity]
    return {
        "id": rule,
        "shortDescription": {"text": title},
        "fullDescription": {"text": f"{title} ({rule})"},
        "help": {
            "text": " ".join(filter(None, (f"{title}.".replace("..", "."), page, suppression.replace("`", "")))),
            "markdown": "\n\n".join(filter(None, (_escaped(title), link, suppression))),
        },
        **({"helpUri": worst.rule_url} if worst.rule_url else {}),
        "defaultConfiguration": {"level": level},
        "properties": {
            "problem.severity": "recommendation" if level == "note" else level,
            **({"tags": ["security"], "security-severity": _SCORES[worst.severity]} if security else {}),
        },
    }


def _escaped(text: str) -> str:
    """Escape text for Markdown: messages quote code."""
    return _MARKDOWN.sub(lambda found: f"\\{found[0]}", text)


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    location = {"uri": quote(finding.path)}
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": rule,
        "level": _SARIF_LEVELS[finding.severity],
        "message": {"text": finding.description},
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
        commands.append(f"::{level} file={_path(finding.path)},{lines},title={title}::{_data(finding.description)}")
    commands += [
        f"::warning title=Kodiai::{_data(f'{engine} failed: {reason}. Its findings are missing.')}"
        for engine, reason in report.engine_failures
    ]
    commands += [f"::warning file={_path(path)},title=Kodiai::{_data(why)}" for path, why in report.not_read]
    return "\n".join(commands)


def _data(text: str) -> str:
    """Escape text so that it neither ends nor starts a workflow command."""
    return visible(" ".join(text.split())).replace("%", "%25")


def _path(path: str) -> str:
    """Escape the path of a file, in which blanks count."""
    return visible(path.translate(_OF_PROPERTIES))


def _property(text: str) -> str:
    return _path(" ".join(text.split()))
