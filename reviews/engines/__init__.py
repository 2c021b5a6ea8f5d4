"""The engines: what looks at the changed files and says what it found.

An analyzer is a command. It sees a scratch directory with nothing but the changed files, written from GitHub's own
answer: no checkout, no links, no configuration of the pull request, and nothing of Kodiai's environment.
"""

import logging
from collections.abc import Mapping

from reviews.engines import ruff
from reviews.engines.analyzer import Analyzer, AnalyzerFailed, analyse_files
from reviews.findings import Finding

__all__ = ["ANALYZERS", "analyse", "readable"]

logger = logging.getLogger(__name__)

ANALYZERS: tuple[Analyzer, ...] = (ruff.ANALYZER,)


def readable(path: str) -> bool:
    """Tell whether an engine reads files of this name."""
    return any(analyzer.reads(path) for analyzer in ANALYZERS)


def analyse(files: Mapping[str, str]) -> tuple[list[Finding], list[str], list[tuple[str, str]]]:
    """Run the engines over files (path → text); return findings, engines that ran, and failures with their reasons.

    An engine that fails loses only its own findings.
    """
    findings: list[Finding] = []
    ran: list[str] = []
    failures: list[tuple[str, str]] = []
    for analyzer in ANALYZERS:
        mine = {path: text for path, text in files.items() if analyzer.reads(path)}
        if not mine:
            continue
        try:
            findings += analyse_files(analyzer, mine)
            ran.append(analyzer.name)
        except AnalyzerFailed as failure:
            logger.warning("analyzer failed", extra={"analyzer": analyzer.name, "error": str(failure)})
            failures.append((analyzer.name, str(failure)))
    return findings, ran, failures
