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
from keyword import iskeyword

from reviews.config.linters import NO_SETTINGS, LinterSettings
from reviews.engines.analyzer import Analyzer, AnalyzerFailed, run_analyzer
from reviews.engines.analyzers import ANALYZERS
from reviews.engines.analyzers.python_names import module_name
from reviews.engines.analyzers.ruff import UNUSED_IMPORT
from reviews.findings import Finding, Suggestion

logger = logging.getLogger(__name__)

SECONDS = 20
"""For all engines, which run in parallel."""
MAX_ROUNDS = 12
"""Runs of one engine: enough to find two wrong suggestions among many of one file."""

_WORD = re.compile(r"\w+")
_COMMENT = re.compile(r"#[^\n]*")
_IMPORT = re.compile(r"\bimport\b")
_IMPORTS = re.compile(r"^[ \t]*(?:from|import)\b[^\n]*", re.MULTILINE)
_DEFINED = re.compile(r"^(?:(?:async[ \t]+)?def|class)[ \t]+(\w+)|^(\w+)[ \t]*[:=]", re.MULTILINE)

Group = tuple[int, ...]
"""Positions of findings whose suggestions are applied together: of one file, on different lines."""


def verify_suggestions(
    offered: Sequence[Finding],
    found: Sequence[Finding],
    texts: Mapping[str, str],
    bases: Mapping[str, str] | None = None,
    settings: LinterSettings = NO_SETTINGS,
    patches: Mapping[str, str] | None = None,
) -> list[Finding]:
    """Remove the suggestions of the findings `offered` that do not hold.

    `found` are all findings of the engines in `texts` (path → text), reported or not. `bases` are the texts in the
    base, where known: an import of what the file defined there may be needed by files that did not change. `settings`
    are those of the repository's linters. `patches` are the lines that the patches show of the other changed files.
    """
    kept = _without_needed(offered, texts, bases or {}, patches or {})
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
            # What is turned off does not count in `before` either.
            found, _ = settings.split(found, around | files)
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


def _without_needed(
    findings: Sequence[Finding], texts: Mapping[str, str], bases: Mapping[str, str], patches: Mapping[str, str]
) -> list[Finding]:
    """Remove the suggestions to delete an import of a name that something outside the file may need.

    The file itself defined the name in the base; or another changed file has the names of both, in whatever way it
    uses them: `getattr(settings, "LIMIT")`, `importlib.import_module("app.settings").LIMIT`, an entry point.
    """
    fixes: defaultdict[str, dict[int, Suggestion]] = defaultdict(dict)
    for position, finding in enumerate(findings):
        if finding.rule == UNUSED_IMPORT and finding.suggestion is not None:
            fixes[finding.path][position] = finding.suggestion
    removed: dict[str, dict[int, frozenset[str]]] = {}
    needed: set[int] = set()
    for path, fix_at in fixes.items():
        lines = texts[path].split("\n")
        removed[path] = {position: _removed_names(fix, lines) for position, fix in fix_at.items()}
        defined = {name for pair in _DEFINED.findall(bases.get(path, "")) for name in pair}
        needed |= {position for position, names in removed[path].items() if not names.isdisjoint(defined)}
    for other, text in (*texts.items(), *patches.items()) if removed else ():
        words = set(_WORD.findall(text))
        # Python says where its imports come from, and ruff's findings depend on that: such names are of another module.
        imported = " ".join(_IMPORTS.findall(text)) if other.endswith((".py", ".pyi")) else ""
        used = words.difference(_WORD.findall(imported))
        for path, names_at in removed.items():
            if path != other and module_name(path) in words:
                needed |= {position for position, names in names_at.items() if not names.isdisjoint(used)}
    return [
        replace(finding, suggestion=None) if position in needed else finding
        for position, finding in enumerate(findings)
    ]


def _removed_names(fix: Suggestion, lines: Sequence[str]) -> frozenset[str]:
    """The words after `import` in the lines that a suggestion replaces, and not in the replacement."""
    before, after = (
        {name for part in _IMPORT.split(_COMMENT.sub("", text))[1:] for name in _WORD.findall(part)}
        for text in ("\n".join(lines[fix.start_line - 1 : fix.end_line]), fix.text or "")
    )
    return frozenset(name for name in before - after if not iskeyword(name))
