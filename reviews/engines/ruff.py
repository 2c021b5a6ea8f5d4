"""ruff: Python, with fixes that become committable suggestions.

Its own JSON is read, not its SARIF: only there does a fix say whether it is safe, and an unsafe one is not for one
click. Source: ruff documentation, "Fix safety".
"""

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from reviews.engines.analyzer import Analyzer
from reviews.findings import Finding, Severity, Suggestion

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


def read(output: bytes, files: Mapping[str, str], root: str) -> list[Finding]:
    """Turn ruff's JSON, in which paths are absolute, into findings on `files`, which were written below `root`."""
    findings = []
    for entry in json.loads(output):
        path = os.path.relpath(entry["filename"], root)
        lines = files[path].split("\n")
        start, end = entry["location"]["row"], entry["end_location"]["row"]
        rule = entry["code"] or "invalid-syntax"
        fix = entry["fix"] or {}
        findings.append(
            Finding(
                path=path,
                start_line=start,
                # An end in the first column is the end of the line before.
                end_line=max(start, end - 1 if entry["end_location"]["column"] == 1 else end),
                severity=_severity(rule),
                rule=rule,
                rule_url=entry.get("url") or "",
                message=entry["message"],
                fix=fix.get("message") or "",
                suggestion=_suggestion(fix.get("edits", ()), lines) if fix.get("applicability") == "safe" else None,
                snippet=lines[start - 1] if start <= len(lines) else "",
            )
        )
    return findings


def _suggestion(edits: list[dict[str, Any]], lines: list[str]) -> Suggestion | None:
    """Turn edits of characters into a replacement of whole lines; None where that cannot be offered."""
    spans = sorted((_position(edit["location"]), _position(edit["end_location"]), edit["content"]) for edit in edits)
    if not spans:
        return None
    first = spans[0][0][0]
    # An edit that ends in the first column leaves that line as it is, unless it begins there too.
    last = max(row if column > 1 or (row, column) == start else row - 1 for start, (row, column), _ in spans)
    if last > len(lines) or last - first >= LARGEST_SUGGESTION:
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


def _position(location: dict[str, int]) -> tuple[int, int]:
    return location["row"], location["column"]


ANALYZER = Analyzer(
    name="ruff",
    suffixes=(".py", ".pyi"),
    command=(
        os.path.join(os.path.dirname(sys.executable), "ruff"),
        "check",
        "--isolated",
        "--no-cache",
        "--exit-zero",
        "--quiet",
        "--output-format=json",
        f"--select={RULES}",
    ),
    read=read,
)
