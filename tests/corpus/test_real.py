"""Labels of findings on real changes: what identifies them, and what is counted of them."""

from typing import Any

import pytest

from tests.corpus.real import changes, labels
from tests.corpus.real.labels import Entry, Label, Since

CHANGE = "octo/demo@0123456789ab"


def row(text: str, severity: str = "minor", leads: bool = True) -> dict[str, Any]:
    key = labels.key_of(CHANGE, "a.py", "F401", text)
    return {**key._asdict(), "analyzer": "ruff", "severity": severity, "leads": leads}


def labelled(**found: Label) -> dict[labels.Key, Entry]:
    return {labels.key_of(CHANGE, "a.py", "F401", text): Entry(label, Since.BEFORE) for text, label in found.items()}


def test_a_label_survives_another_indentation() -> None:
    assert row("import os")["text"] == row("    import os ")["text"] != row("import re")["text"]


def test_what_is_reported_is_counted_by_remark() -> None:
    rows = [row("a"), row("b", "major"), row("c", leads=False), row("d", "info"), row("e", "critical"), row("f")]
    known = labelled(a=Label.TRIVIAL, b=Label.USEFUL, c=Label.NOISE, d=Label.NOISE, e=Label.NOISE)
    last = labels.tables(rows, known).splitlines()[-1]
    assert last == "| **all** | 4 | 1 (25%) | 1 (25%) | 1 (25%) | 1 | 2 | 1 (50%) |"


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [(0, 10, 0.0, 0.3085), (10, 10, 0.6915, 1.0), (2, 23, 0.0107, 0.2804), (38, 55, 0.5519, 0.8086), (0, 0, 0.0, 1.0)],
)
def test_a_share_of_few_remarks_has_a_wide_interval(hits: int, total: int, low: float, high: float) -> None:
    assert labels.interval(hits, total) == pytest.approx((low, high), abs=1e-4)


def test_the_interval_is_of_what_is_reported() -> None:
    rows = [row("a"), row("b", "major"), row("c", "critical"), row("d", "info")]
    found = labels.intervals(rows, labelled(a=Label.USEFUL, b=Label.NOISE, c=Label.TRIVIAL, d=Label.NOISE))
    assert "| useful | 1 of 3 | 1% to 91% |" in found
    assert "| useful of major and critical | 0 of 2 | 0% to 84% |" in found


def test_recall_names_what_is_no_longer_reported() -> None:
    known = labelled(a=Label.USEFUL, b=Label.USEFUL, c=Label.USEFUL, d=Label.TRIVIAL)
    useful, missing = labels.recall([row("a"), row("b", "info")], known, [CHANGE])
    assert (len(useful), {key.text for key in missing}) == (3, {row("b")["text"], row("c")["text"]})
    of_base = {key: entry._replace(since=Since.BASE) for key, entry in known.items()}
    assert labels.recall([], of_base, [CHANGE]) == (set(), set())
    assert labels.recall([], known, ["octo/other@0123456789ab"]) == (set(), set())


@pytest.mark.parametrize("entry", [Entry(Label.USEFUL, Since.BEFORE), Entry(Label.NOISE, Since.AFTER)])
def test_a_written_label_is_read_again(entry: Entry, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "FILE", tmp_path / "labels.tsv")
    known = {labels.key_of(CHANGE, 'a "b"\t.py', "typo", "x"): entry}
    labels.write(known)
    assert labels.read() == known


def test_the_sets_share_no_change_and_labels_belong_to_them() -> None:
    taken = [changes.of_set(name) for name in changes.SETS]
    assert all(len(of_set) >= 150 for of_set in taken)
    keys = [change.key for of_set in taken for change in of_set]
    assert len(keys) == len(set(keys))
    assert {key.change for key in labels.read()} <= set(keys)
    of = {name: {change.repository for change in changes.of_set(name)} for name in changes.SETS}
    assert of["third"].isdisjoint(of["first"] | of["second"])
    assert of["fourth"].isdisjoint(of["first"] | of["second"] | of["third"])
    assert of["sixth"].isdisjoint(of["first"] | of["second"] | of["third"] | of["fourth"])
    for number in (6, 7, 8, 9, 10, 11):
        assert of[changes.SETS[number]].isdisjoint(set().union(*(of[name] for name in changes.SETS[:number])))
