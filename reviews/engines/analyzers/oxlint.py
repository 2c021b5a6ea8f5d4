"""oxlint: JavaScript and TypeScript. Its SARIF holds no fixes. The rules are in oxlint.json, "error" is major."""

import os
from collections.abc import Mapping
from dataclasses import replace

from reviews.engines import sarif
from reviews.engines.analyzer import Analyzer
from reviews.findings import Finding, Severity

SYNTAX = "OXL0001"
"""What is not of a rule: it could not parse the file."""


def read(output: bytes, files: Mapping[str, str], root: str) -> list[Finding]:
    return [
        replace(finding, rule="syntax-error", severity=Severity.CRITICAL) if finding.rule == SYNTAX else finding
        # Like JavaScript itself it ends a line at a carriage return.
        for finding in sarif.read(output, files, root, lone_returns=True)
    ]


ANALYZER = Analyzer(
    name="oxlint",
    files=("*.js", "*.mjs", "*.cjs", "*.jsx", "*.ts", "*.mts", "*.cts", "*.tsx"),
    command=(
        "oxlint",
        f"--config={os.path.join(os.path.dirname(__file__), 'oxlint.json')}",
        "--disable-nested-config",
        "--no-ignore",
        "--format=sarif",
    ),
    read=read,
    silence="`// oxlint-disable-next-line {rule}` on the line before",
    not_silenced=("syntax-error",),
    # By name: from "." it would honour .gitignore files, those above the scratch directory too.
    names_files=True,
    # 1: an error among its findings.
    success_codes=(0, 1),
    url="https://oxc.rs/docs/guide/usage/linter.html",
    licence="MIT",
)
