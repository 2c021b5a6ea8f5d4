"""oxlint: JavaScript and TypeScript. Its SARIF has no fixes. The rules are in oxlint.json; "error" means major."""

import os
from collections.abc import Mapping
from dataclasses import replace

from reviews.engines import sarif
from reviews.engines.analyzer import Analyzer
from reviews.findings import Finding, Severity

SYNTAX = "OXL0001"
"""Rule id of a syntax error."""


def read(output: bytes, files: Mapping[str, str], root: str) -> list[Finding]:
    """Read oxlint's SARIF; syntax errors become critical findings."""
    return [
        replace(finding, rule="syntax-error", severity=Severity.CRITICAL) if finding.rule == SYNTAX else finding
        # As in JavaScript itself, a lone carriage return ends a line.
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
    suppression="`// oxlint-disable-next-line {rule}` on the line before",
    not_suppressible=("syntax-error",),
    # With "." it would honour .gitignore files, those above the scratch directory too.
    names_files=True,
    # 1: a finding is an error.
    success_codes=(0, 1),
    url="https://oxc.rs/docs/guide/usage/linter.html",
    licence="MIT",
)
