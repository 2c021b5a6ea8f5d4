"""Size limits of a review: if a pull request exceeds them, the riskiest files are analysed.

Privileged files come first (workflows, then images), then code, settings, prose; within a kind, larger changes first.
"""

from collections.abc import Mapping, Sequence

from reviews.analysis.path_rules import matches, named
from reviews.config.repository import LimitsSection
from reviews.engines.kinds import PROSE, SETTINGS, SOURCE
from reviews.findings import LeftOutReason
from reviews.github.patches import Hunk

WORKFLOWS = (".github/workflows/", ".github/actions/", ".circleci/", ".buildkite/")
CI = ("action.yml", "action.yaml", ".gitlab-ci.yml", "azure-pipelines.yml", "Jenkinsfile", ".travis.yml")
IMAGES = (
    "Dockerfile",
    "Dockerfile.*",
    "*.Dockerfile",
    "*.dockerfile",
    "Containerfile",
    "compose*.yml",
    "compose*.yaml",
)


def risk(path: str) -> int:
    """The risk rank of a file by its name; 0 is the riskiest."""
    if matches(path, WORKFLOWS) or named(path, CI):
        return 0
    return next((rank for rank, kind in enumerate((IMAGES, SOURCE, SETTINGS, PROSE), 1) if named(path, kind)), 3)


def over_limit(hunks: Mapping[str, Sequence[Hunk]], limits: LimitsSection) -> dict[str, LeftOutReason]:
    """Files over the limits, each with the limit that it exceeds. A smaller file after it may still fit."""
    lines = {path: sum(len(hunk.added) for hunk in changed) for path, changed in hunks.items()}
    left_out = {}
    files_left, lines_left = limits.files, limits.lines
    for path in sorted(hunks, key=lambda path: (risk(path), -lines[path], path)):
        if files_left == 0:
            left_out[path] = LeftOutReason.TOO_MANY_FILES
        elif lines[path] > lines_left:
            left_out[path] = LeftOutReason.TOO_MANY_LINES
        else:
            files_left -= 1
            lines_left -= lines[path]
    return left_out
