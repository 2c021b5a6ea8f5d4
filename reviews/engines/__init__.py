"""Engines: analyzers and, optionally, a language model, which analyse the changed files.

An analyzer is a command. It sees a scratch directory with only the changed files, written from GitHub's API: no
checkout, no links, no configuration from the pull request, and none of Kodiai's environment.
"""

import logging
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from reviews.engines import confinement, llm
from reviews.engines.analyzer import AnalyzerFailed, run_analyzer
from reviews.engines.analyzers import ANALYZERS
from reviews.findings import Finding

__all__ = ["ANALYZERS", "NAMES", "AnalyzersRun", "has_unknown", "readable", "readers", "run_analyzers"]

logger = logging.getLogger(__name__)

NAMES = (*(analyzer.name for analyzer in ANALYZERS), llm.NAME)


def has_unknown(names: Collection[str]) -> bool:
    """Return whether any of `names` is not the name of an engine."""
    return not set(NAMES).issuperset(names)


def readable(path: str) -> bool:
    """Return whether an engine reads files of this name."""
    return any(analyzer.reads(path) for analyzer in ANALYZERS)


def readers(path: str) -> set[str]:
    """The names of the engines that read files of this name."""
    return {analyzer.name for analyzer in ANALYZERS if analyzer.reads(path)}


class AnalyzersRun(NamedTuple):
    """What the analyzers found, which of them ran, and which failed with which reason."""

    findings: list[Finding]
    ran: list[str]
    failures: list[tuple[str, str]]


def run_analyzers(files: Mapping[str, str], disabled: Collection[str] = ()) -> AnalyzersRun:
    """Run the analyzers over files (path → text), except those named in `disabled`.

    They run in parallel, all within `confinement.TIME_LIMIT`. If one fails, only its own findings are lost.
    """
    result = AnalyzersRun([], [], [])
    enabled = [analyzer for analyzer in ANALYZERS if analyzer.name not in disabled]
    tasks = [(analyzer, {path: files[path] for path in files if analyzer.reads(path)}) for analyzer in enabled]
    tasks = [(analyzer, readable_files) for analyzer, readable_files in tasks if readable_files]
    if not tasks:
        return result
    confinement.confinement()  # Fill its cache before several threads need it.
    deadline = time.monotonic() + confinement.TIME_LIMIT
    # One thread per analyzer, whatever the number of processors: one that hangs must not delay the others.
    with ThreadPoolExecutor(len(tasks), thread_name_prefix="analyzer") as threads:
        running = [(analyzer, threads.submit(run_analyzer, analyzer, own, deadline)) for analyzer, own in tasks]
    for analyzer, task in running:
        try:
            result.findings.extend(task.result())
            result.ran.append(analyzer.name)
        except AnalyzerFailed as failure:
            logger.warning("analyzer failed", extra={"analyzer": analyzer.name, "error": str(failure)})
            result.failures.append((analyzer.name, str(failure)))
    return result
