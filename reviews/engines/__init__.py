"""The engines: what looks at the changed files and says what it found.

An analyzer is a command. It sees a scratch directory with nothing but the changed files, written from GitHub's own
answer: no checkout, no links, no configuration of the pull request, and nothing of Kodiai's environment.
"""

import logging
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor

from reviews.engines import confinement, llm
from reviews.engines.analyzer import AnalyzerFailed, analyse_files
from reviews.engines.analyzers import ANALYZERS
from reviews.findings import Finding

__all__ = ["ANALYZERS", "NAMES", "analyse", "readable", "readers", "unknown"]

logger = logging.getLogger(__name__)

NAMES = (*(analyzer.name for analyzer in ANALYZERS), llm.NAME)


def unknown(names: Collection[str]) -> bool:
    """Tell whether one of `names` is no engine's."""
    return not set(NAMES).issuperset(names)


def readable(path: str) -> bool:
    """Tell whether an engine reads files of this name."""
    return any(analyzer.reads(path) for analyzer in ANALYZERS)


def readers(path: str) -> set[str]:
    """The names of the engines that read files of this name."""
    return {analyzer.name for analyzer in ANALYZERS if analyzer.reads(path)}


def analyse(
    files: Mapping[str, str], disabled: Collection[str] = ()
) -> tuple[list[Finding], list[str], list[tuple[str, str]]]:
    """Run the engines over files (path → text); return findings, engines that ran, and failures with their reasons.

    They run side by side, all within `confinement.TIME_LIMIT`; those named in `disabled` do not run. One that fails
    loses only its own findings.
    """
    findings: list[Finding] = []
    ran: list[str] = []
    failures: list[tuple[str, str]] = []
    wanted = [analyzer for analyzer in ANALYZERS if analyzer.name not in disabled]
    tasks = [(analyzer, {path: files[path] for path in files if analyzer.reads(path)}) for analyzer in wanted]
    tasks = [(analyzer, mine) for analyzer, mine in tasks if mine]
    if not tasks:
        return findings, ran, failures
    confinement.confinement()  # Found once, before several ask for it.
    deadline = time.monotonic() + confinement.TIME_LIMIT
    # A thread for each, whatever the number of processors: one that hangs is not to take the time of the others.
    with ThreadPoolExecutor(len(tasks), thread_name_prefix="analyzer") as threads:
        running = [(analyzer, threads.submit(analyse_files, analyzer, mine, deadline)) for analyzer, mine in tasks]
    for analyzer, task in running:
        try:
            findings += task.result()
            ran.append(analyzer.name)
        except AnalyzerFailed as failure:
            logger.warning("analyzer failed", extra={"analyzer": analyzer.name, "error": str(failure)})
            failures.append((analyzer.name, str(failure)))
    return findings, ran, failures
