"""What was judged of each finding of the corpus: would a good engineer want it said in this review?

`labels.txt` has a line for each finding that is published, on a line or in the summary's table. `make corpus` adds
those that are new as `unjudged` and drops those that are gone; a person judges. `python -m tests.corpus.labels` prints
the table of each analyzer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.corpus.reviewing import Published

FILE = Path(__file__).parent / "labels.txt"
WANTED, NOISE, UNJUDGED = "wanted", "noise", "unjudged"
MAX_NOISE = 0.1
"""Of all findings of the corpus."""

_ANALYZERS = (
    ("ruff", r"[A-Z]{1,4}\d{3,4}|invalid-syntax", r".*\.pyi?"),
    ("hadolint", r"(DL|SC)\d{4}", r"(.*/)?(Docker|Container)file(\..*)?|.*\.[Dd]ockerfile"),
    ("shellcheck", r"SC\d{4}", r".*"),
    ("zizmor", r"zizmor/.*", r".*\.ya?ml"),
    ("typos", r"typo", r".*"),
    ("oxlint", r"(eslint|typescript|unicorn|oxc|react)\b.*|syntax-error", r".*\.[cm]?[jt]sx?"),
    ("secrets", r"[a-z-]+", r".*"),
)
"""Analyzer, its rules, the files it reads; the first that fits."""


@dataclass(frozen=True, order=True)
class Label:
    """The judgement on one finding. Equal ones are findings of the same rule on the same line."""

    pull_request: str
    path: str
    line: int
    rule: str
    judgement: str

    @property
    def finding(self) -> tuple[str, str, int, str]:
        return self.pull_request, self.path, self.line, self.rule

    @property
    def analyzer(self) -> str:
        """The analyzer that the finding is of. Raises LookupError where it is not known."""
        for analyzer, rules, paths in _ANALYZERS:
            if re.fullmatch(rules, self.rule) and re.fullmatch(paths, self.path, re.DOTALL):
                return analyzer
        raise LookupError(f"no analyzer is known for {self.rule} in {self.path}")


def judged() -> list[Label]:
    """All labels, as they are in the file."""
    labels = []
    for line in FILE.read_text(encoding="utf-8").splitlines() if FILE.exists() else ():
        judgement, pull_request, rule, place = line.split(maxsplit=3)
        path, _, number = place.rpartition(":")
        path = path.encode("latin-1", "backslashreplace").decode("unicode_escape")
        labels.append(Label(pull_request, path, int(number), rule, judgement))
    return labels


def labelled(published: Published, known: Iterable[Label]) -> list[Label]:
    """The findings of a review with what is known to be judged of them, in the order of the file."""
    judgements = {label.finding: label.judgement for label in known}
    name = published.declared.name
    found = [(name, finding.path, finding.start_line, finding.rule) for finding in published.report.findings]
    return sorted(Label(*key, judgements.get(key, UNJUDGED)) for key in found)


def file(labels: Iterable[Label]) -> None:
    """Write the file anew."""
    rows = [
        f"{label.judgement:<8}  {label.pull_request:<36}  {label.rule:<14}  {_one_line(label.path)}:{label.line}"
        for label in sorted(labels)
    ]
    FILE.write_text("\n".join(rows) + "\n", encoding="utf-8")


def _one_line(path: str) -> str:
    """A path without what would break a line of the file."""
    return path.encode("unicode_escape").decode("ascii")


def share_of_noise(labels: Iterable[Label]) -> float:
    """The part of the findings that a good engineer would not want said."""
    labels = list(labels)
    return sum(label.judgement == NOISE for label in labels) / max(1, len(labels))


def table(labels: Iterable[Label]) -> str:
    """A row of Markdown for each analyzer and one for all: findings, how many are wanted, how many are noise."""
    labels = list(labels)
    groups = {name: [label for label in labels if label.analyzer == name] for name, _, _ in _ANALYZERS}
    rows = ["| Analyzer | Findings | Wanted | Noise |", "| --- | ---: | ---: | ---: |"]
    for name, group in [*groups.items(), ("all", labels)]:
        if group:
            counts = [sum(label.judgement == judgement for label in group) for judgement in (WANTED, NOISE)]
            rows.append(f"| {name} | {len(group)} | {counts[0]} | {counts[1]} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table(judged()))  # noqa: T201
    for label in judged():
        if label.judgement == UNJUDGED:
            print("unjudged:", *label.finding)  # noqa: T201
