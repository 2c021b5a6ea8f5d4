"""Engines: analyzers and, optionally, a language model, which analyse the changed files.

An analyzer is a command. It sees a scratch directory with only the changed files, written from GitHub's API: no
checkout, no links, no configuration from the pull request, and none of Kodiai's environment.
"""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import NamedTuple

from reviews.config.linters import NO_SETTINGS, LinterSettings
from reviews.engines import confinement, llm
from reviews.engines.analyzer import Analyzer, AnalyzerFailed, run_analyzer
from reviews.engines.analyzers import ANALYZERS
from reviews.engines.secret_values import blank, secret_values, without_secrets
from reviews.findings import Finding, Severity
from reviews.redaction import storable

__all__ = [
    "ANALYZERS",
    "NAMES",
    "AnalyzersRun",
    "analyzer_of",
    "becomes_source",
    "has_unknown",
    "readable",
    "readers",
    "run_analyzers",
    "run_each",
]

logger = logging.getLogger(__name__)

NAMES = (*(analyzer.name for analyzer in ANALYZERS), llm.NAME)
MAX_RUNS = 40
"""Runs of one analyzer for one review: enough to find two files among a hundred on which it dies."""


def has_unknown(names: Collection[str]) -> bool:
    """Return whether any of `names` is not the name of an engine."""
    return not set(NAMES).issuperset(names)


def readable(path: str, text: str | None = None) -> bool:
    """Return whether an engine reads files of this name, and of this text, as a whole and not only their patches."""
    return any(analyzer.reads(path, text) for analyzer in ANALYZERS if not analyzer.reads_patches)


def becomes_source(old_path: str, path: str) -> bool:
    """Return whether a renamed file has a parser for the first time: `ci.yml.off` that becomes a workflow."""
    parsers = [analyzer for analyzer in ANALYZERS if analyzer.parse_error_rules]
    return any(analyzer.reads(path) and not analyzer.reads(old_path) for analyzer in parsers)


def readers(path: str, text: str | None, disabled: Collection[str]) -> list[str]:
    """The names of the analyzers that read a file, or its patch if `text` is None; those `disabled` do not."""
    return [
        analyzer.name
        for analyzer in ANALYZERS
        if analyzer.name not in disabled and analyzer.reads(path, text) and (analyzer.reads_patches or text is not None)
    ]


class AnalyzersRun(NamedTuple):
    """What the analyzers found, which of them ran, which failed with which reason, and what they could not read."""

    findings: list[Finding]
    """An internal one is an error that may be due to a dialect, which the base shows. Others are not internal."""
    ran: list[str]
    failures: list[tuple[str, str]]
    unread: dict[str, dict[str, str]]
    """Path → analyzer → why it has not read the whole file."""


class _Outcome(NamedTuple):
    findings: list[Finding]
    unread: dict[str, str]


def analyzer_of(finding: Finding) -> Analyzer:
    """The analyzer that found a finding, which is not one of the language model."""
    return next(analyzer for analyzer in ANALYZERS if analyzer.name == finding.engine)


def run_analyzers(
    files: Mapping[str, str],
    disabled: Collection[str] = (),
    patches: Mapping[str, str] | None = None,
    settings: LinterSettings = NO_SETTINGS,
) -> AnalyzersRun:
    """Run the analyzers over files (path → text), except those named in `disabled`.

    `patches` are further files, of which only the lines of a patch are known. `settings` are those of the repository's
    own linters: the language version is passed on.
    """
    tasks = []
    for analyzer in ANALYZERS:
        own = {**files, **(patches or {})} if analyzer.reads_patches else files
        if analyzer.name not in disabled:
            read = {path: text for path, text in own.items() if analyzer.reads(path, text)}
            tasks.append((analyzer.with_settings(settings, read), read))
    return run_each(tasks)


def run_each(tasks: Sequence[tuple[Analyzer, Mapping[str, str]]]) -> AnalyzersRun:
    """Run each analyzer over its files (path → text).

    They run in parallel, all within `confinement.TIME_LIMIT`. If one fails, only its own findings are lost; if it fails
    on one file, only its findings there.
    """
    result = AnalyzersRun([], [], [], {})
    tasks = [(analyzer, files) for analyzer, files in tasks if files]
    if not tasks:
        return result
    confinement.in_force()  # Fill its cache before several threads need it.
    deadline = time.monotonic() + confinement.TIME_LIMIT
    # One thread per analyzer, whatever the number of processors: one that hangs must not delay the others. Each in the
    # context of this one, which names the run in log lines.
    with ThreadPoolExecutor(len(tasks), thread_name_prefix="analyzer") as threads:
        running = [
            threads.submit(copy_context().run, _run_on_all, analyzer, files, deadline) for analyzer, files in tasks
        ]
    secrets = secret_values({path: text for _, files in tasks for path, text in files.items()}.values())
    for (analyzer, files), task in zip(tasks, running, strict=True):
        try:
            outcome = task.result()
        except AnalyzerFailed as failure:
            reason = blank(str(failure), secrets)
            logger.warning("analyzer failed", extra={"analyzer": analyzer.name, "error": reason})
            result.failures.append((analyzer.name, reason))
            outcome = _Outcome([], dict.fromkeys(files, reason))
        else:
            result.ran.append(analyzer.name)
            result.failures.extend((analyzer.name, blank(reason, secrets)) for reason in _reasons(outcome.unread))
        result.findings.extend(
            without_secrets(finding, secrets)
            for finding in outcome.findings
            if not finding.internal or finding.severity == Severity.CRITICAL
        )
        for path, reason in _not_parsed(analyzer, outcome).items():
            result.unread.setdefault(path, {})[analyzer.name] = blank(reason, secrets)
    return result


def _run_on_all(analyzer: Analyzer, files: Mapping[str, str], deadline: float) -> _Outcome:
    """Run an analyzer; where it dies, halve the files until only those on which it dies are left unread.

    Raises `AnalyzerFailed` if it can read none of them.
    """
    outcome = _Outcome([], {})
    waiting, runs = [dict(files)], 0
    while waiting:
        batch = waiting.pop()
        runs += 1
        is_last = len(batch) == 1 or runs >= MAX_RUNS
        left = deadline - time.monotonic()
        try:
            # Half of the time, so that some is left for the other files if one of these takes all of it.
            seconds = left if is_last and not waiting else left / 2
            outcome.findings.extend(run_analyzer(analyzer, batch, seconds))
        except AnalyzerFailed as failure:
            if failure.whatever_it_reads or (is_last and len(outcome.unread) + len(batch) == len(files)):
                raise
            if is_last:
                outcome.unread.update(dict.fromkeys(batch, str(failure)))
            else:
                paths = list(batch)
                halves = paths[: len(paths) // 2], paths[len(paths) // 2 :]
                waiting.extend({path: batch[path] for path in half} for half in halves)
    return outcome


def _not_parsed(analyzer: Analyzer, outcome: _Outcome) -> dict[str, str]:
    """The files that an analyzer has not read as a whole, with the reasons."""
    reasons = {
        finding.path: finding.message if finding.internal else f"cannot be parsed (line {finding.start_line})"
        for finding in outcome.findings
        if finding.internal or analyzer.is_parse_error(finding)
    }
    return reasons | outcome.unread


def _reasons(unread: Mapping[str, str]) -> list[str]:
    """One sentence per reason, with the files on which an analyzer died."""
    paths_of: dict[str, list[str]] = {}
    for path, reason in unread.items():
        paths_of.setdefault(reason, []).append(path)
    return [
        f"{reason}, on {storable(paths[0], 300)}" + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
        for reason, paths in paths_of.items()
    ]
