"""Labels of findings on real changes, and what they say of a run.

labels.tsv has a line for each finding: change, path, rule, hash of the text of its line, label, and since when it is
reported. The key has neither line number nor message, so that a label survives changes of the code.
"""

import csv
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from math import comb
from pathlib import Path
from typing import Any, NamedTuple

FILE = Path(__file__).parent / "labels.tsv"
SEVERE = ("critical", "major")
TOLD = (*SEVERE, "minor")
"""Severities that stand on lines and in the unfolded summary; `info` is folded."""


class Label(StrEnum):
    """What a finding is worth; the criteria are in docs/verification/precision.md."""

    USEFUL = "useful"
    TRIVIAL = "trivial"
    NOISE = "noise"


class Key(NamedTuple):
    """Identifies a finding in labels.tsv. Equal findings on equal lines of a file share it."""

    change: str
    path: str
    rule: str
    text: str
    """Hash of the line's text."""


class Since(StrEnum):
    """Which code reports a finding."""

    BEFORE = "before"
    """That of before the rules were chosen: what recall is measured on."""
    BASE = "base"
    """That of before, which told what the base had already; the verdict is on what a change introduces."""
    AFTER = "after"


class Entry(NamedTuple):
    """A label, and since when the finding is reported."""

    label: Label
    since: Since


class Row(NamedTuple):
    """Counts of one group of remarks."""

    useful: int
    trivial: int
    noise: int
    unlabelled: int

    @property
    def total(self) -> int:
        """All remarks."""
        return sum(self)

    def share(self, name: str) -> str:
        """The share of one label in percent."""
        return f"{getattr(self, name) / self.total:.0%}" if self.total else "-"


def key_of(change: str, path: str, rule: str, snippet: str) -> Key:
    """Return the key of a finding; `snippet` is the text of its line."""
    return Key(change, path, rule, hashlib.sha256(snippet.strip().encode(errors="replace")).hexdigest()[:12])


def read() -> dict[Key, Entry]:
    """Return the labels of all sets. Raises ValueError for an unknown label."""
    if not FILE.exists():
        return {}
    with FILE.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t")
        next(rows)
        return {Key(*row[:4]): Entry(Label(row[4]), Since(row[5])) for row in rows}


def write(labels: Mapping[Key, Entry]) -> None:
    """Write the labels, sorted."""
    with FILE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow([*Key._fields, "label", "since"])
        writer.writerows([*key, *entry] for key, entry in sorted(labels.items()))


def find(labels: Mapping[Key, Entry], row: Mapping[str, Any]) -> Label | None:
    """Return the label of a finding of a run, None if it has none."""
    entry = labels.get(Key(*(row[field] for field in Key._fields)))
    return entry.label if entry else None


def tables(rows: Sequence[Mapping[str, Any]], labels: Mapping[Key, Entry], by_rule: bool = False) -> str:
    """Render Markdown: remarks by analyzer (or rule) and severity. A remark is what stands in one comment.

    Equal findings of a file are one remark, whose label is that of the first.
    """
    remarks = [row for row in rows if row["leads"] and row["severity"] in TOLD]
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in remarks:
        groups[f"{row['analyzer']} {row['rule']}" if by_rule else row["analyzer"]].append(row)
    lines = [
        "| | remarks | useful | trivial | noise | not labelled | major and critical | of them useful |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, group in [*sorted(groups.items(), key=lambda pair: -len(pair[1])), ("**all**", remarks)]:
        all_of, severe = _count(group, labels), _count([row for row in group if row["severity"] in SEVERE], labels)
        shares = " | ".join(f"{getattr(all_of, label)} ({all_of.share(label)})" for label in Label)
        lines.append(
            f"| {name} | {all_of.total} | {shares} | {all_of.unlabelled} | {severe.total} "
            f"| {severe.useful} ({severe.share('useful')}) |"
        )
    return "\n".join(lines)


def intervals(rows: Sequence[Mapping[str, Any]], labels: Mapping[Key, Entry]) -> str:
    """Render what is asked of a set, each with the 95 % interval that its number of remarks allows."""
    remarks = [row for row in rows if row["leads"] and row["severity"] in TOLD]
    all_of = _count(remarks, labels)
    severe = _count([row for row in remarks if row["severity"] in SEVERE], labels)
    lines = ["| | share | 95 % interval |", "| --- | ---: | ---: |"]
    for name, hits, total in (
        ("useful", all_of.useful, all_of.total),
        ("noise", all_of.noise, all_of.total),
        ("useful of major and critical", severe.useful, severe.total),
    ):
        low, high = interval(hits, total)
        lines.append(f"| {name} | {hits} of {total} | {low:.0%} to {high:.0%} |")
    return "\n".join(lines)


def interval(hits: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share: that of Clopper and Pearson, which is never too narrow."""

    def at_most(count: int, share: float) -> float:
        return sum(comb(total, k) * share**k * (1 - share) ** (total - k) for k in range(count + 1))

    def where(tail: Callable[[float], float], low: float = 0.0, high: float = 1.0) -> float:
        """Where a tail that falls with the share is 2.5 %."""
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if tail(middle) > 0.025 else (low, middle)
        return low

    lower = 1 - where(lambda share: at_most(total - hits, share)) if hits else 0.0
    upper = where(lambda share: at_most(hits, share)) if hits < total else 1.0
    return lower, upper


def recall(
    rows: Iterable[Mapping[str, Any]], labels: Mapping[Key, Entry], changes: Iterable[str]
) -> tuple[set[Key], set[Key]]:
    """Return the useful findings of before in `changes`, and those of them that are no longer told."""
    here = set(changes)
    useful = {key for key, entry in labels.items() if entry == Entry(Label.USEFUL, Since.BEFORE) and key.change in here}
    told = {Key(*(row[field] for field in Key._fields)) for row in rows if row["severity"] in TOLD}
    return useful, useful - told


def _count(group: Sequence[Mapping[str, Any]], labels: Mapping[Key, Entry]) -> Row:
    found = [find(labels, row) for row in group]
    return Row(*(found.count(label) for label in (*Label, None)))
