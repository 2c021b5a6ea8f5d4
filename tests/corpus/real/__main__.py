"""Measure precision and recall on real changes of public repositories.

  select   write SET.tsv by the rule
  review   review the changes of a set as `manage.py review` does; nothing is checked out
  table    print what is labelled and what is not: by analyzer, by rule, recall
  label    add the labels of a file to labels.tsv

`review` writes a JSON line for each finding, with the code around it, to var/real/SET.jsonl, which is not committed.
"""

import argparse
import difflib
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from reviews.engines import readers, run_analyzers
from reviews.findings import Finding, by_severity
from reviews.local.git import NotAReview
from reviews.local.git_range import GitRepository, review
from reviews.publishing.grouping import group_findings
from tests.corpus.real import changes as sets
from tests.corpus.real import labels

OUTPUT = Path("var/real")
CONTEXT = 12
"""Lines around a finding."""
LABELLED_AS = {"u": labels.Label.USEFUL, "t": labels.Label.TRIVIAL, "n": labels.Label.NOISE}


def review_set(name: str, mirrors: Path) -> None:
    """Review every change of a set and write the findings."""
    changes = sets.of_set(name)
    OUTPUT.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    failures = 0
    with (OUTPUT / f"{name}.jsonl").open("w", encoding="utf-8") as file:
        for number, change in enumerate(changes, start=1):
            try:
                rows, problems = _reviewed(change, mirrors)
            except NotAReview as problem:  # A mirror can lack huge files.
                rows, problems = [], [f"not read: {problem}"]
            file.writelines(json.dumps(row, ensure_ascii=True) + "\n" for row in rows)
            file.flush()
            failures += len(problems)
            seconds = time.monotonic() - started
            print(
                f"{number}/{len(changes)} {change.key}: {len(rows)} findings ({seconds:.0f} s)", *problems, flush=True
            )
    print(f"{failures} engine failures and changes that could not be read")


def _reviewed(change: sets.Change, mirrors: Path) -> tuple[list[dict[str, Any]], list[str]]:
    repository = GitRepository(_clone(mirrors, change.repository))
    revisions = repository.range(f"{change.commit}^..{change.commit}")
    report = review(repository, revisions, repository.changed_files(revisions))
    paths = sorted({finding.path for finding in report.findings})
    texts = {path: blob.text or "" for path, blob in repository.contents(change.commit, paths).items()}
    rows = [
        _row(change, finding, texts.get(finding.path, ""), leads=index == 0)
        for remark in group_findings(by_severity(report.findings))
        for index, finding in enumerate(remark.findings)
    ]
    return rows, [f"{engine}: {why}" for engine, why in report.engine_failures]


def _clone(mirrors: Path, repository: str) -> Path:
    """A clone without files that shares the mirror's objects: a bare repository has no working tree to review."""
    clone = (OUTPUT / "clones" / repository.replace("/", "+")).absolute()
    if not clone.exists():
        source = sets.mirror(mirrors, repository).absolute()
        command = ["git", "clone", "--quiet", "--shared", "--no-checkout", str(source), str(clone)]
        subprocess.run(command, check=True)
    return clone


def _row(change: sets.Change, finding: Finding, text: str, *, leads: bool) -> dict[str, Any]:
    key = labels.key_of(change.key, finding.path, finding.rule, finding.snippet)
    lines = text.split("\n")
    first = max(1, finding.start_line - CONTEXT)
    around = enumerate(lines[first - 1 : finding.end_line + CONTEXT], start=first)
    return {
        **key._asdict(),
        "analyzer": _analyzer(finding),
        "severity": str(finding.severity),
        "line": finding.start_line,
        "leads": leads,
        "message": finding.message,
        "suggestion": _suggested(finding, text),
        "around": [
            f"{'>' if finding.start_line <= number <= finding.end_line else ' '}{number:5} {line[:200]}"
            for number, line in around
        ],
    }


def _analyzer(finding: Finding) -> str:
    """The analyzer of a finding: as it says, or by its rule and path."""
    if engine := getattr(finding, "engine", ""):
        return str(engine)
    if finding.rule == "typo":
        return "typos"
    if finding.rule.startswith("zizmor/"):
        return "zizmor"
    linters = set(readers(finding.path, "", ())) - {"typos", "zizmor", "secrets"}
    is_secret = not linters or (re.fullmatch(r"[a-z-]+", finding.rule) and "syntax" not in finding.rule)
    return "secrets" if is_secret else linters.pop()


def _suggested(finding: Finding, text: str) -> dict[str, Any] | None:
    """Apply a suggestion and run the analyzers again: the diff, and what they find that they did not find before."""
    fix = finding.suggestion
    if fix is None:
        return None
    lines = text.split("\n")
    replaced = lines[: fix.start_line - 1] + ([] if fix.text is None else fix.text.split("\n")) + lines[fix.end_line :]
    before, after = _found(finding.path, text), _found(finding.path, "\n".join(replaced))
    return {
        "diff": list(difflib.unified_diff(lines, replaced, lineterm="", n=0))[2:],
        "new": sorted((after - before).elements()),
        "gone": after.total() < before.total(),
    }


@lru_cache(maxsize=2)
def _found(path: str, text: str) -> Counter[tuple[str, str]]:
    """Rules and messages of a file, without the numbers in them, which can be lines."""
    return Counter((each.rule, re.sub(r"\d+", "0", each.message)) for each in run_analyzers({path: text}).findings)


def rows_of(name: str) -> list[dict[str, Any]]:
    """Return the findings of the last review of a set."""
    return [json.loads(line) for line in (OUTPUT / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def show(name: str, *, by_rule: bool, unlabelled: bool) -> None:
    """Print the tables of a set, or its findings without a label."""
    rows, known = rows_of(name), labels.read()
    if unlabelled:
        for number, row in enumerate(rows):
            if labels.find(known, row) is None:
                print("\n".join(_listed(number, row)))
        return
    print(labels.tables(rows, known, by_rule))
    print(f"\n{labels.intervals(rows, known)}")
    useful, missing = labels.recall(rows, known, (change.key for change in sets.of_set(name)))
    print(f"\nUseful findings of before that are still told: {len(useful) - len(missing)} of {len(useful)}; not told:")
    folded = {labels.Key(*(row[field] for field in labels.Key._fields)) for row in rows}
    for key in sorted(missing):
        print(f"  {key.change} {key.path} {key.rule}{' (folded, as info)' if key in folded else ''}")
    fixes = [row["suggestion"] for row in rows if row["suggestion"]]
    bad = sum(not fix["gone"] or bool(fix["new"]) for fix in fixes)
    print(f"Suggestions: {len(fixes)}; finding stays, or a new one appears: {bad}")


def _listed(number: int, row: Mapping[str, Any]) -> Iterator[str]:
    yield f"\n#{number} {row['severity']} {row['rule']} {row['change']} {row['path']}:{row['line']}"
    yield f"   {row['message']}"
    yield from row["around"]
    if row["suggestion"]:
        yield from (f"   fix {line}" for line in row["suggestion"]["diff"])


def add(name: str, answers: Path, since: labels.Since) -> None:
    """Add labels from lines "NUMBER u|t|n" to labels.tsv. Numbers are those that `table --unlabelled` prints."""
    rows, known = rows_of(name), labels.read()
    for line in answers.read_text(encoding="utf-8").splitlines():
        number, letter = line.split()[:2]
        row = rows[int(number)]
        known[labels.Key(*(row[field] for field in labels.Key._fields))] = labels.Entry(LABELLED_AS[letter], since)
    labels.write(known)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.corpus.real", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=("select", "review", "table", "label"))
    parser.add_argument("set", nargs="?", choices=sets.SETS, default="first", help="the set (first)")
    parser.add_argument("--mirrors", type=Path, help="directory of bare repositories: DIR/owner+name")
    parser.add_argument("--by-rule", action="store_true", help="table: a row for each rule")
    parser.add_argument("--unlabelled", action="store_true", help="table: list findings without a label instead")
    parser.add_argument("--answers", type=Path, help='label: lines "NUMBER u|t|n", useful, trivial or noise')
    parser.add_argument(
        "--since",
        type=labels.Since,
        choices=labels.Since,
        default="after",
        help="label: which code reports them (%(default)s)",
    )
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    try:
        if options.action == "table":
            show(options.set, by_rule=options.by_rule, unlabelled=options.unlabelled)
        elif options.action == "label":
            add(options.set, options.answers or parser.error("--answers is needed"), options.since)
        elif options.mirrors is None:
            parser.error("--mirrors is needed")
        elif options.action == "review":
            review_set(options.set, options.mirrors)
        else:
            changes = sets.select(options.mirrors, options.set)
            sets.write_set(options.set, changes)
            print(f"{options.set}: {len(changes)} changes")
    except (sets.NoMirror, FileNotFoundError) as problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    main()
