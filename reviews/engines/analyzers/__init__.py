"""The analyzers, a file each: what it reads, how it is run, which rules are told. docs/analyzers.md measures them.

Rules are chosen for what is wrong, not for what is taste. None sees a configuration of the pull request; a comment in
the code that silences a rule counts, because a reviewer sees it.
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
