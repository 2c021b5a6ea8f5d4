"""hadolint: Dockerfiles, with ShellCheck for the shell in them. Reports what fails or surprises, not what is untidy."""

import os

from reviews.engines import sarif
from reviews.engines.analyzer import Analyzer
from reviews.findings import Severity

# Not reported, for example: unpinned package versions, apt lists left in a layer, labels, HEALTHCHECK.
RULES = {
    "DL1000": Severity.CRITICAL,  # cannot be parsed
    "DL3061": Severity.CRITICAL,  # starts with an instruction other than FROM or ARG
    **dict.fromkeys(("DL3000", "DL3011", "DL3012", "DL3021", "DL3023", "DL3024", "DL3043", "DL3044"), Severity.MAJOR),
    **dict.fromkeys(("DL3014", "DL3030", "DL3034", "DL3038"), Severity.MAJOR),  # waits for input: no -y
    **dict.fromkeys(("DL4003", "DL4004"), Severity.MAJOR),  # several CMD or ENTRYPOINT: only the last one counts
    **dict.fromkeys(("DL3006", "DL3007"), Severity.MINOR),  # an image without a tag
    **dict.fromkeys(("DL3004", "DL3020", "DL3025", "DL3045", "DL4006"), Severity.MINOR),
    **dict.fromkeys(("SC2115", "SC2164"), Severity.MAJOR),
}

ANALYZER = Analyzer(
    name="hadolint",
    files=("Dockerfile", "Dockerfile.*", "*.Dockerfile", "*.dockerfile", "Containerfile", "Containerfile.*"),
    # An empty configuration, so that it searches for no other.
    command=("hadolint", "--no-fail", "--format=sarif", f"--config={os.path.dirname(__file__)}/hadolint.yaml"),
    read=sarif.read,
    rules=RULES,
    page="https://github.com/hadolint/hadolint/wiki/{rule}",
    suppression="`# hadolint ignore={rule}` on the line before",
    not_suppressible=("DL1",),
    names_files=True,
    url="https://github.com/hadolint/hadolint",
    licence="GPL-3.0-only",
)
