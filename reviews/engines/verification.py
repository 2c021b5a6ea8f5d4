"""Offer a suggestion only after it was applied to the file and the engine ran again: the finding gone, nothing new.

All suggestions of a file are applied at once; if that is not right, by halves, until the wrong one is alone. So a
review needs one more run of each engine, and more only for what is wrong. What cannot be verified in time is not
offered; the fix in words stays.
"""

import logging
import re
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace

from reviews.config.linters import NO_SETTINGS, LinterSettings
from reviews.engines.analyzer import Analyzer, AnalyzerFailed, run_analyzer
from reviews.engines.analyzers import ANALYZERS
from reviews.findings import Finding, Suggestion

logger = logging.getLogger(__name__)

SECONDS = 20
"""For all engines, which run in parallel."""
MAX_ROUNDS = 12
"""Runs of one engine: enough to find two wrong suggestions among many of one file."""
UNUSED_IMPORT = "F401"

Group = tuple[int, ...]
"""Positions of findings whose suggestions are applied together: of one file, on different lines."""


def verify_suggestions(
    offered: Sequence[Finding],
    found: Sequence[Finding],
    texts: Mapping[str, str],
    bases: Mapping[str, str] | None = None,
    settings: LinterSettings = NO_SETTINGS,
) -> list[Finding]:
    """Remove the suggestions of the findings `offered` that do not hold.

    `found` are all findings of the engines in `texts` (path → text), reported or not. `bases` are the texts in the
    base, where known: an import of what the file defined there may be needed by files that did not change. `settings`
    are those of the repository's linters.
    """
    kept = [_without_moved(finding, (bases or {}).get(finding.path, "")) for finding in offered]
    judges = {
        position: _judges(finding, texts[finding.path]) for position, finding in enumerate(kept) if finding.suggestion
    }
    candidates: defaultdict[str, list[int]] = defaultdict(list)
    for position, names in judges.items():
        for name in names:
            candidates[name].append(position)
    if not candidates:
        return kept
    before = Counter((finding.path, finding.engine, finding.rule) for finding in found)
    deadline = time.monotonic() + SECONDS
    with ThreadPoolExecutor(len(candidates), thread_name_prefix="verification") as threads:
        running = {
            analyzer.name: threads.submit(
                copy_context().run,
                _verified,
                analyzer,
                candidates[analyzer.name],
                kept,
                before,
                texts,
                settings,
                deadline,
            )
            for analyzer in ANALYZERS
            if analyzer.name in candidates
        }
    verified = {name: task.result() for name, task in running.items()}
    return [
        replace(finding, suggestion=None)
        if position in judges and not all(position in verified[name] for name in judges[position])
        else finding
        for position, finding in enumerate(kept)
    ]


def applied(text: str, suggestions: Sequence[Suggestion]) -> str:
    """The text after suggestions for different lines were committed."""
    lines = text.split("\n")
    for suggestion in sorted(suggestions, key=lambda one: one.start_line, reverse=True):
        new = [] if suggestion.text is None else suggestion.text.split("\n")
        lines[suggestion.start_line - 1 : suggestion.end_line] = new
    return "\n".join(lines)


def _judges(finding: Finding, text: str) -> list[str]:
    """The analyzers that must agree: the finding's own, or for the language model all that read the file."""
    return [
        analyzer.name
        for analyzer in ANALYZERS
        if (analyzer.name == finding.engine if finding.engine else analyzer.reads(finding.path, text))
    ]


def _verified(
    analyzer: Analyzer,
    positions: Sequence[int],
    findings: Sequence[Finding],
    before: Mapping[tuple[str, str, str], int],
    texts: Mapping[str, str],
    settings: LinterSettings,
    deadline: float,
) -> set[int]:
    """The positions of the findings whose suggestions hold for an analyzer. Whatever fails, they do not."""
    verified: set[int] = set()
    waiting = _groups(positions, findings)
    for _ in range(MAX_ROUNDS):
        # One group of each file per round.
        groups = {findings[group[0]].path: group for group in reversed(waiting)}
        if not groups:
            break
        waiting = [group for group in waiting if group not in groups.values()]
        files = {
            path: applied(texts[path], [fix for position in group if (fix := findings[position].suggestion)])
            for path, group in groups.items()
        }
        around = {path: text for path, text in texts.items() if analyzer.reads(path, text)} if analyzer.compares else {}
        try:
            found = run_analyzer(
                analyzer.with_settings(settings, around | files), around | files, deadline - time.monotonic()
            )
        except AnalyzerFailed as failure:
            logger.info("suggestions not verified", extra={"analyzer": analyzer.name, "error": type(failure).__name__})
            break
        after = Counter((finding.path, finding.rule) for finding in found)
        for path, group in groups.items():
            allowed = Counter(
                {rule: count for (of, name, rule), count in before.items() if (of, name) == (path, analyzer.name)}
            )
            allowed -= Counter(findings[position].rule for position in group if findings[position].engine)
            if all(count <= allowed[rule] for (of, rule), count in after.items() if of == path):
                verified.update(group)
            elif len(group) > 1:
                middle = len(group) // 2
                waiting += [group[:middle], group[middle:]]
    return verified


def _groups(positions: Sequence[int], findings: Sequence[Finding]) -> list[Group]:
    """Group suggestions of one file for different lines."""
    groups: list[tuple[list[int], set[int]]] = []
    for position in positions:
        finding = findings[position]
        fix = finding.suggestion
        assert fix is not None  # noqa: S101  # only these are candidates
        lines = set(range(fix.start_line, fix.end_line + 1))
        for group, taken in groups:
            if findings[group[0]].path == finding.path and taken.isdisjoint(lines):
                group.append(position)
                taken |= lines
                break
        else:
            groups.append(([position], lines))
    return [tuple(group) for group, _ in groups]


def _without_moved(finding: Finding, base: str) -> Finding:
    """Remove the suggestion to delete an import of a name that the file itself defined in the base."""
    if finding.rule != UNUSED_IMPORT or finding.suggestion is None or not base:
        return finding
    names = [name.rpartition(".")[2] for name in re.findall("`([^`]+)`", finding.message)]
    defined = "|".join(map(re.escape, names))
    if re.search(rf"^(?:(?:async\s+)?def|class)\s+(?:{defined})\b|^(?:{defined})\s*[:=]", base, re.MULTILINE):
        return replace(finding, suggestion=None)
    return finding
