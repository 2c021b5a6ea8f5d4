"""zizmor: GitHub Actions, offline. Reports what an attacker can use, not what a policy may require."""

from collections.abc import Mapping
from dataclasses import replace

from reviews.engines import sarif
from reviews.engines.analyzer import Analyzer
from reviews.findings import Finding, Severity

MAJOR = "template-injection dangerous-triggers github-env insecure-commands hardcoded-container-credentials"
MINOR = "unsound-contains excessive-permissions bot-conditions cache-poisoning unsound-condition obfuscation"
RULES = {
    f"zizmor/{rule}": severity
    for severity, rules in ((Severity.MAJOR, MAJOR), (Severity.MINOR, MINOR))
    for rule in rules.split()
}
WHOLE_JOB = "zizmor/excessive-permissions"
DEFAULT_PERMISSIONS = "default permissions used"
"""The repository's settings may limit them already; the workflow does not show it."""


def read(output: bytes, files: Mapping[str, str], root: str) -> list[Finding]:
    """Read zizmor's SARIF; findings on a whole job are moved to its first line."""
    return [
        # Report it if the first line of the job is changed, not any line of the job.
        replace(finding, end_line=finding.start_line) if finding.rule == WHOLE_JOB else finding
        for finding in sarif.read(output, files, root)
        if DEFAULT_PERMISSIONS not in finding.message
    ]


ANALYZER = Analyzer(
    name="zizmor",
    files=(".github/workflows/*.yml", ".github/workflows/*.yaml", "action.yml", "action.yaml"),
    command=("zizmor", "--offline", "--no-config", "--no-exit-codes", "--quiet", "--format=sarif", "--collect=all"),
    read=read,
    rules=RULES,
    suppression="`# zizmor: ignore[{name}]` at the end of the line",
    url="https://docs.zizmor.sh/",
    licence="MIT",
)
