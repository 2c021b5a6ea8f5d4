"""The analyzers, one file each: files that it reads, command, reported rules. docs/analyzers.md has measurements.

Rules are selected for defects, not for style. No analyzer reads configuration from the pull request; suppression
comments in the code do count, because a reviewer sees them.
"""

from reviews.engines.analyzer import Analyzer
from reviews.engines.analyzers import hadolint, oxlint, ruff, secrets, shellcheck, typos, zizmor

ANALYZERS: tuple[Analyzer, ...] = (
    ruff.ANALYZER,
    oxlint.ANALYZER,
    shellcheck.ANALYZER,
    hadolint.ANALYZER,
    zizmor.ANALYZER,
    secrets.ANALYZER,
    typos.ANALYZER,
)
