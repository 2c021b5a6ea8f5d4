"""Analyzers on a labelled corpus find what a careful engineer would report. docs/analyzers.md has the figures."""

import ast
from functools import cache

import pytest

from reviews.engines.analyzer import Analyzer, run_analyzer
from reviews.engines.analyzers import ANALYZERS
from reviews.findings import Finding, Severity, Suggestion
from tests.corpus import precision
from tests.corpus.precision import Measured, files_of, wanted_of

every = pytest.mark.parametrize("analyzer", ANALYZERS, ids=lambda analyzer: analyzer.name)


@cache
def _measured(name: str) -> Measured:
    return precision.measure(next(analyzer for analyzer in ANALYZERS if analyzer.name == name))


def measured(analyzer: Analyzer) -> Measured:
    return _measured(analyzer.name)


@every
def test_a_label_is_about_a_line_that_is_there(analyzer: Analyzer) -> None:
    files = files_of(analyzer.name)
    for wanted in wanted_of(analyzer.name):
        assert all(files[wanted.path].split("\n")[line - 1].strip() for line in wanted.lines), wanted
    assert set(files) - {wanted.path for wanted in wanted_of(analyzer.name)}, (
        "files without anything wrong are there too"
    )


@every
def test_at_most_a_tenth_of_an_analyzers_findings_is_noise(analyzer: Analyzer) -> None:
    found = measured(analyzer)
    assert found.share_of_noise <= precision.MAX_NOISE, found.noise
    assert len(found.missed) < len(found.wanted) / 3, found.missed


def test_the_page_says_what_is_measured() -> None:
    page = precision.PAGE.read_text(encoding="utf-8")
    table = precision.precision_table(measured)
    assert table in page, "run make precision"


def test_noise_and_misses_are_counted_apart() -> None:
    def finding(line: int, end: int) -> Finding:
        return Finding("a", line, end, Severity.INFO, "R", "m")

    wanted = [precision.Wanted("a", frozenset({3, 5}), ""), precision.Wanted("a", frozenset({9}), "")]
    found = Measured(wanted, [finding(4, 6), finding(7, 8)])
    assert (found.noise, found.missed, found.share_of_noise) == ([finding(7, 8)], wanted[1:], 0.5)


def applied(text: str, suggestion: Suggestion) -> str:
    lines = text.split("\n")
    new = [] if suggestion.text is None else suggestion.text.split("\n")
    return "\n".join(lines[: suggestion.start_line - 1] + new + lines[suggestion.end_line :])


@every
def test_every_corpus_suggestion_removes_its_finding(analyzer: Analyzer) -> None:
    files, found = files_of(analyzer.name), measured(analyzer).findings
    unread = {finding.path for finding in found if finding.severity == Severity.CRITICAL}
    offered = [finding for finding in found if finding.suggestion and finding.path not in unread]
    for finding in offered:
        assert finding.suggestion is not None
        text = applied(files[finding.path], finding.suggestion)
        if finding.path.endswith(".py"):
            ast.parse(text)
        after = run_analyzer(analyzer, {finding.path: text})
        assert not [left for left in after if left.severity == Severity.CRITICAL], finding
        alike = [said for said in found if said.path == finding.path and said.rule == finding.rule]
        assert len([left for left in after if left.rule == finding.rule]) < len(alike), finding
    assert offered or analyzer.name not in ("ruff", "shellcheck", "typos")
