"""Compare the findings of the head commit with those of the base: only what a change introduces is reported.

A finding is pre-existing if the base has one of the same rule and message on a line with the same text, wherever in the
file; or, for a line that was rewritten, on a line that the same hunk removes. For some rules the line does not matter.
"""

import hashlib
import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from typing import Any, Protocol

from reviews import engines
from reviews.analysis import suppressions
from reviews.config.linters import LinterSettings
from reviews.engines.analyzer import Analyzer
from reviews.engines.analyzers import oxlint
from reviews.engines.analyzers.ruff import REDEFINED, UNUSED_IMPORT, UNUSED_VARIABLE
from reviews.findings import MAX_SNIPPET, Finding, enumerated
from reviews.github.patches import Hunk, has_added_lines
from reviews.redaction import storable

CACHE_SECONDS = 7 * 24 * 3600.0
"""Seconds in the cache. A base file's findings change only with the analyzer."""
UNDEFINED = ("F821",)
"""Rules about names that nothing in the file defines."""
UNUSED = (UNUSED_IMPORT, UNUSED_VARIABLE, oxlint.UNUSED)
"""Rules of which one remark may be about several names."""
MAX_CACHED = 1000
"""Findings of one file and analyzer that are cached."""

_NUMBER = re.compile(r"(`[^`]*`)|\d+")
_NAMES = re.compile(r"([\w ]*)([`'][^`']+[`'](?:(?:, | and )[`'][^`']+[`'])*)( .*)")
"""The message of a remark about one or several names."""
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class BaseFile:
    """A changed file as it is on the base: its path there, and its text, empty if the change adds the file.

    `text` is None if it is not available: then nothing is known about it.
    """

    path: str
    text: str | None


@dataclass(frozen=True)
class Comparison:
    """Findings of the head commit that the change introduces."""

    introduced: tuple[Finding, ...]
    pre_existing: tuple[Finding, ...]
    """Findings that the base has too."""
    unknown: frozenset[tuple[str, str]]
    """Path and engine of files that the engine could not read on the base: what is introduced there is not known."""
    given: frozenset[tuple[str, str]] = frozenset()
    """Path, or path of the directory, and message of undefined names that a file or its neighbours used in the base.

    Such files work: what loads them gives them names. Of the file itself the message is empty and any name counts.
    """

    def may_be_given(self, finding: Finding) -> bool:
        """Return whether an introduced finding is about a name that what loads the file may define."""
        if finding.rule not in UNDEFINED:
            return False
        return bool({(finding.path, ""), (_directory(finding.path), _message(finding))} & self.given)

    def is_known(self, finding: Finding) -> bool:
        """Return whether the base is known to be without an introduced finding."""
        return (finding.path, finding.engine) not in self.unknown


@dataclass(frozen=True)
class _Known:
    """A finding of the base, reduced to what is compared."""

    rule: str
    message: str
    text: str


class Memory(Protocol):
    """What keeps the findings of base files from one push to the next, such as `reviews.cache`."""

    def get(self, key: str) -> Any:
        """Return the value of `key`, or None."""

    def put(self, key: str, value: Any, seconds: float) -> None:
        """Keep `value` under `key` for `seconds`."""


def compare(
    findings: Sequence[Finding],
    bases: Mapping[str, BaseFile],
    hunks: Mapping[str, Sequence[Hunk]],
    settings: LinterSettings,
    memory: Memory | None = None,
) -> Comparison:
    """Compare findings with the base; `bases` and `hunks` are by path in the head commit.

    Analyzers read only those files of the base in which the head commit has findings, and that are not in `memory`.
    `settings` are those of the repository's linters.
    """
    by_file: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        by_file[finding.path, finding.engine].append(finding)
    known = _findings_of_base(by_file, bases, settings, memory)
    introduced = []
    for key, present in by_file.items():
        introduced += present if key not in known else _introduced(present, known[key], hunks[key[0]])
    introduced = _without_revealed(introduced, bases, hunks, settings, memory)
    unknown = frozenset(by_file.keys() - known.keys())
    left = Counter((one.path, one.start_line, one.rule) for one in introduced)
    pre_existing = []
    for one in findings:
        if left[(one.path, one.start_line, one.rule)] > 0:
            left[(one.path, one.start_line, one.rule)] -= 1
        else:
            pre_existing.append(one)
    return Comparison(tuple(introduced), tuple(pre_existing), unknown, _given(known))


def _without_revealed(
    introduced: Sequence[Finding],
    bases: Mapping[str, BaseFile],
    hunks: Mapping[str, Sequence[Hunk]],
    settings: LinterSettings,
    memory: Memory | None,
) -> list[Finding]:
    """Drop findings on unchanged lines that suppression comments of the base hide: without one, nothing is broken."""
    kept: list[Finding] = []
    outside: list[Finding] = []
    for finding in introduced:
        is_changed = has_added_lines(hunks[finding.path], finding.start_line, finding.end_line)
        (kept if is_changed else outside).append(finding)
    plain = {
        path: replace(base, text=suppressions.ineffective(base.text, suppressions.OF_ALL))
        for path in {finding.path for finding in outside}
        if (base := bases.get(path)) and base.text and suppressions.OF_ALL.search(base.text)
    }
    hidden: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in outside:
        if finding.path in plain:
            hidden[finding.path, finding.engine].append(finding)
        else:
            kept.append(finding)
    known = _findings_of_base(hidden, {**bases, **plain}, settings, memory)
    for key, present in hidden.items():
        kept += _introduced(present, known.get(key, ()), hunks[key[0]])
    return kept


def _given(known: Mapping[tuple[str, str], Sequence[_Known]]) -> frozenset[tuple[str, str]]:
    undefined = [(path, one.message) for (path, _), found in known.items() for one in found if one.rule in UNDEFINED]
    return frozenset(key for path, message in undefined for key in ((path, ""), (_directory(path), message)))


def _directory(path: str) -> str:
    return f"{path.rpartition('/')[0]}/"


def _introduced(present: Iterable[Finding], known: Sequence[_Known], hunks: Sequence[Hunk]) -> list[Finding]:
    """Drop the findings that the base has, those on unchanged lines first: a copied line is new, not the original."""
    left = Counter(known)
    undefined_before = {(one.rule, one.message) for one in known}
    present = [finding for finding in present if not _is_undefined_before(finding, undefined_before)]
    changed = {line for hunk in hunks for line in hunk.added}
    unchanged_first = sorted(present, key=lambda finding: finding.start_line in changed)
    known_twin = [_without_known(finding, lambda part: _take(left, [part])) for finding in unchanged_first]
    without_twin = [finding for finding in known_twin if finding is not None]
    return _without_rewritten(without_twin, left, hunks)


def _is_undefined_before(finding: Finding, known: Collection[tuple[str, str]]) -> bool:
    """Return whether a finding is about a name that was undefined in the base too, on whatever line.

    Some analyzers report only the first use of a name, and a change may remove that.
    """
    return engines.analyzer_of(finding).is_only_breakage(finding) and (finding.rule, _message(finding)) in known


def _take(left: Counter[_Known], candidates: list[_Known]) -> bool:
    """Take one of `candidates` that is left, and forget those that are not."""
    while candidates:
        if left[candidates[-1]] > 0:
            left[candidates[-1]] -= 1
            return True
        candidates.pop()
    return False


def _without_known(finding: Finding, take: Callable[[_Known], bool]) -> Finding | None:
    """Return a finding without the names that the base has too (`take`); None if it has them all."""
    parts = _reduced(finding)
    new = [not take(part) for part in parts]
    if all(new) or not any(new):
        return finding if all(new) else None
    before, names, after = _names(finding)
    names = [name for name, is_new in zip(names, new, strict=True) if is_new]
    if len(names) == 1:
        before, after = before.replace("variables ", "variable "), after.replace(" are ", " is ", 1)
    return replace(finding, message=before + enumerated(names) + after)


def _without_rewritten(findings: Iterable[Finding], left: Counter[_Known], hunks: Sequence[Hunk]) -> list[Finding]:
    """Drop the findings that the base has, with the same rule and message, on a line that their hunk removes."""
    starts = [hunk.start for hunk in hunks]
    by_kind: defaultdict[tuple[str, str], list[_Known]] = defaultdict(list)
    for known in left:
        by_kind[known.rule, known.message].append(known)

    @cache
    def removed(number: int) -> frozenset[str]:
        return frozenset(_text(storable(line, MAX_SNIPPET)) for line in hunks[number].removed)

    @cache
    def candidates(number: int, rule: str, message: str) -> list[_Known]:
        return [known for known in by_kind[rule, message] if known.text in removed(number)]

    def is_known(number: int, part: _Known) -> bool:
        return _take(left, candidates(number, part.rule, part.message))

    new = []
    for finding in findings:
        number = bisect_right(starts, finding.start_line) - 1
        is_in_hunk = number >= 0 and finding.start_line <= hunks[number].end
        exact = engines.analyzer_of(finding).is_exact(finding)
        if exact or not is_in_hunk:
            new.append(finding)
        elif rest := _without_known(finding, partial(is_known, number)):
            new.append(rest)
    return new


def _reduced(finding: Finding) -> list[_Known]:
    """What is compared of a finding: one entry, or one for each unused name.

    Lines of imports are sorted, split and joined; of two functions with one name the latter is reported, whichever it
    is. So the text of the line does not count for them.
    """
    _, names, after = _names(finding)
    text = "" if finding.rule == REDEFINED or "imported but" in after else _text(finding.snippet)
    return [_Known(finding.rule, message, text) for message in names or [_message(finding)]]


def _names(finding: Finding) -> tuple[str, list[str], str]:
    """The quoted names of a remark about unused ones, with the words before and after; no names if it is another."""
    found = _NAMES.fullmatch(finding.message) if finding.rule in UNUSED else None
    return (found[1], re.findall(r"[`'][^`']+[`']", found[2]), found[3]) if found else ("", [], "")


def _message(finding: Finding) -> str:
    """The message without numbers outside of quoted code, which refer to other lines, and as `_text` has code."""
    return _text(_NUMBER.sub(lambda match: match[1] or "0", finding.message))


def _text(line: str) -> str:
    """The text of a line without what formatters change: spaces and the kind of quotes."""
    return _SPACE.sub("", line).replace("'", '"')


# The base's findings


def _findings_of_base(
    keys: Iterable[tuple[str, str]], bases: Mapping[str, BaseFile], settings: LinterSettings, memory: Memory | None
) -> dict[tuple[str, str], list[_Known]]:
    """The findings of the base by path in the head commit and engine (`keys`), from memory or from the analyzers.

    Files that are not available, or that the engine could not read, are missing. A renamed file is read under its name
    in the head commit: engines go by it, and what is ignored under its old name would be taken for clean.
    """
    known: dict[tuple[str, str], list[_Known]] = {}
    missing: dict[str, dict[str, str]] = defaultdict(dict)
    memory_keys: dict[tuple[str, str], str] = {}
    analyzers = {analyzer.name: analyzer for analyzer in engines.ANALYZERS}
    around = {name: _around(analyzer, bases) for name, analyzer in analyzers.items() if analyzer.compares}
    for path, engine in keys:
        base, analyzer = bases[path], analyzers.get(engine)
        if base.text == "":
            known[path, engine] = []
        elif base.text is not None and analyzer is not None:
            configured = analyzer.with_settings(settings, [path])
            memory_keys[path, engine] = key = _memory_key(configured, path, base.text, around.get(engine, {}))
            kept = memory.get(key) if memory is not None else None
            if isinstance(kept, list):
                known[path, engine] = [_Known(**entry) for entry in kept]
            else:
                missing[engine][path] = base.text
    texts_of = {engine: {**around.get(engine, {}), **texts} for engine, texts in missing.items()}
    ran = engines.run_each(
        [(analyzers[engine].with_settings(settings, texts), texts) for engine, texts in texts_of.items()]
    )
    found: dict[tuple[str, str], list[_Known]] = defaultdict(list)
    for finding in ran.findings:
        found[finding.path, finding.engine] += _reduced(finding)
    for (path, engine), key in memory_keys.items():
        if path in missing[engine] and engine not in ran.unread.get(path, {}):
            known[path, engine] = found[path, engine]
            if memory is not None and len(found[path, engine]) <= MAX_CACHED:
                memory.put(key, [asdict(entry) for entry in found[path, engine]], CACHE_SECONDS)
    return known


def _around(analyzer: Analyzer, bases: Mapping[str, BaseFile]) -> dict[str, str]:
    """All files of the base that an analyzer reads, for one whose findings in a file depend on the others."""
    return {path: base.text for path, base in bases.items() if base.text and analyzer.reads(path, base.text)}


def _memory_key(analyzer: Analyzer, path: str, text: str, around: Mapping[str, str]) -> str:
    content = repr((path, text, analyzer.command, sorted(around.items()))).encode(errors="replace")
    return f"base-findings-4:{analyzer.name}:{analyzer.version}:{hashlib.sha256(content).hexdigest()}"
