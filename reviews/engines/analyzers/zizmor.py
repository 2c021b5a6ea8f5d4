"""zizmor: GitHub Actions, offline. Told is what an attacker can use, not what a policy may ask for."""

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
BY_DEFAULT = "default permissions used"
"""What a repository's settings may have limited already, which a workflow does not show."""


def read(output: bytes, files: Mapping[str, str], root: str) -> list[Finding]:
    return [
        # Of a whole job it is told on its first line, not wherever a line of the job was changed.
        replace(finding, end_line=finding.start_line) if finding.rule == WHOLE_JOB else finding
        for finding in sarif.read(output, files, root)
        if BY_DEFAULT not in finding.message
    ]


ANALYZER = Analyzer(
    name="zizmor",
    files=(".github/workflows/*.yml", ".github/workflows/*.yaml", "action.yml", "action.yaml"),
    command=("zizmor", "--offline", "--no-config", "--no-exit-codes", "--quiet", "--format=sarif", "--collect=all"),
    read=read,
    rules=RULES,
    silence="`# zizmor: ignore[{name}]` at the end of the line",
    url="https://docs.zizmor.sh/",
    licence="MIT",
)
