"""Seed one breaking change into each of many real files, and one that breaks nothing, and count what Kodiai says.

A breaking change counts if an engine, asked by itself, reports an error that the file did not have, and only on lines
that the change left alone; or if it makes a workflow invalid YAML. The files are those of a set's repositories that
engines read without errors, drawn by a fixed random seed. Nothing of them is kept.
"""

import argparse
import difflib
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import yaml

from reviews.analysis.path_rules import is_generated_path
from reviews.engines import run_analyzers
from reviews.findings import Finding, Report, Severity
from reviews.local.git_range import GitRepository, review
from tests.corpus.real import changes as sets
from tests.corpus.real.labels import TOLD
from tests.corpus.seeding import BREAKING, HARMLESS, KINDS, Change

SIZES = range(400, 60_000)
"""Bytes of a file."""
PER_REPOSITORY = 12
"""Files of a kind from one repository, at most."""
TRIES = 6
"""Changes that are tried on a file before another file is taken."""
_OF_MACHINE = re.compile(r"\d+")


@dataclass(frozen=True)
class Case:
    """A file, a change that breaks it, and one that does not."""

    kind: str
    path: str
    text: str
    broken_by: str
    broken: str
    errors: frozenset[str]
    """The rules of the errors that are new; empty for a workflow that is no YAML."""
    harmless_by: str
    harmless: str


def files_of(kind: str, name: str, mirrors: Path, random: Random) -> Iterator[tuple[str, str]]:
    """Return paths and texts of a kind from a set's repositories, in turn and in random order."""
    pattern = re.compile(KINDS[kind])
    queues = []
    for repository, head in sets.heads(name):
        directory = sets.mirror(mirrors, repository)
        listed = (
            line.split(None, 4) for line in sets.git(directory, "ls-tree", "-r", "-l", "-z", head).split("\0")[:-1]
        )
        paths = [
            path
            for mode, _, _, size, path in listed
            if mode.startswith("100")
            and size.isdigit()
            and int(size) in SIZES
            and pattern.fullmatch(path)
            and not is_generated_path(path)
        ]
        random.shuffle(paths)
        queues.append([(directory, head, path) for path in paths[:PER_REPOSITORY]])
    for turn in range(PER_REPOSITORY):
        for queue in queues:
            if turn < len(queue):
                directory, head, path = queue[turn]
                yield path, sets.git(directory, "cat-file", "blob", f"{head}:{path}")


def cases(kind: str, count: int, name: str, mirrors: Path, random: Random) -> Iterator[Case]:
    """Return at most `count` cases of a kind."""
    for path, text in files_of(kind, name, mirrors, random):
        found = _case(kind, path, text, random)
        if found is not None:
            yield found
            count -= 1
        if not count:
            return


def _case(kind: str, path: str, text: str, random: Random) -> Case | None:
    if "\r" in text or "\ufffd" in text or (before := _analysed(path, text)) is None:
        return None
    if any(finding.severity is Severity.CRITICAL for finding in before):
        return None
    harmless = _changed(text, HARMLESS[kind], random)
    if harmless is None or (kind == "workflow" and not _is_yaml(text)):
        return None
    for _ in range(TRIES):
        seeded = _changed(text, BREAKING[kind], random)
        if seeded is None:
            return None
        name, broken = seeded
        errors = _new_errors(path, before, text, broken)
        if errors or (kind == "workflow" and not _is_yaml(broken)):
            return Case(kind, path, text, name, broken, frozenset(errors), *harmless)
    return None


def _changed(text: str, changes: Sequence[Change], random: Random) -> tuple[str, str] | None:
    """Apply the first of the changes, in random order, that finds a place."""
    for change in random.sample(changes, len(changes)):
        try:
            lines = change(text.split("\n"), random)
        except SyntaxError:  # Python of another version.
            continue
        if lines is not None and (changed := "\n".join(lines)) != text:
            return change.__name__, changed
    return None


def _analysed(path: str, text: str) -> list[Finding] | None:
    """What the engines find, None if one of them cannot read the file."""
    run = run_analyzers({path: text})
    return None if run.failures or getattr(run, "unread", None) else run.findings


def _new_errors(path: str, before: Sequence[Finding], text: str, broken: str) -> set[str]:
    """The rules of errors that `before` does not have, if all of these are on lines that did not change."""
    matcher = difflib.SequenceMatcher(None, text.split("\n"), broken.split("\n"), autojunk=False)
    equal = {line for _, start, size in matcher.get_matching_blocks() for line in range(start + 1, start + size + 1)}
    old = Counter(map(_identity, before))
    new = []
    for finding in run_analyzers({path: broken}).findings:
        if old[_identity(finding)] > 0:
            old[_identity(finding)] -= 1
        elif finding.severity in (Severity.CRITICAL, Severity.MAJOR):
            new.append(finding)
    last = broken.count("\n") + 1
    unchanged = all({min(each.start_line, last), min(each.end_line, last)} <= equal for each in new)
    return {finding.rule for finding in new} if unchanged else set()


def _identity(finding: Finding) -> tuple[str, str, str]:
    return finding.rule, _OF_MACHINE.sub("0", finding.message), finding.snippet.strip()


def _is_yaml(text: str) -> bool:
    try:
        return bool(yaml.safe_load(text))
    except yaml.YAMLError:
        return False


def _reports(case: Case, directory: Path) -> tuple[Report, Report]:
    """Review both changes of a case."""
    base, broken, harmless = (_commit(directory, case.path, text) for text in (case.text, case.broken, case.harmless))
    repository = GitRepository(directory)
    ranges = [repository.range(f"{base}..{head}") for head in (broken, harmless)]
    first, second = (review(repository, each, repository.changed_files(each)) for each in ranges)
    return first, second


def _commit(directory: Path, path: str, text: str) -> str:
    """Commit one file, without a parent and without a working tree."""
    data = text.encode()
    stream = b"\n".join(
        [
            b"reset refs/heads/case",
            b"commit refs/heads/case",
            b"committer a <a@example.com> 0 +0000",
            b"data 0",
            f"M 100644 inline {path}".encode(),
            f"data {len(data)}".encode(),
            data,
            b"",
        ]
    )
    subprocess.run(["git", "-C", str(directory), "fast-import", "--quiet", "--force"], input=stream, check=True)
    return sets.git(directory, "rev-parse", "refs/heads/case").strip()


def measure(name: str, mirrors: Path, count: int, seed: int, verbose: bool) -> Mapping[str, Counter[str]]:
    """Review `count` cases of each kind and return what was counted by kind."""
    counted: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "init", "--quiet", folder], check=True)
        for kind, counts in counted.items():
            for case in cases(kind, count, name, mirrors, Random(f"{seed} {kind}")):
                broken, harmless = _reports(case, Path(folder))
                told = [finding for finding in broken.findings if finding.severity in TOLD]
                named = case.path in str((broken.partially_analysed, broken.engine_failures, broken.left_out))
                rules = {finding.rule for finding in told}
                outcome = (
                    "told" if rules & case.errors or (told and not case.errors) else "named" if named else "silent"
                )
                new = [finding for finding in harmless.findings if finding.severity in TOLD]
                counts.update(["files", outcome, *(["noisy"] if new else []), f"by {case.broken_by}"])
                if verbose and (outcome != "told" or new):
                    print(f"  {case.path}: {case.broken_by} {sorted(case.errors)}: {outcome};", end=" ")
                    print(f"{case.harmless_by}: {[(each.rule, each.message[:80]) for each in new]}")
            print(f"{kind}: {dict(counts)}", flush=True)
    return counted


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus.seeded", description=__doc__)
    parser.add_argument("--mirrors", type=Path, required=True, help="directory of bare repositories: DIR/owner+name")
    parser.add_argument("--set", choices=sets.SETS, default="first", help="whose repositories (%(default)s)")
    parser.add_argument("--files", type=int, default=40, help="files of each kind (%(default)s)")
    parser.add_argument("--seed", type=int, default=11, help="of the random choices (%(default)s)")
    parser.add_argument("--verbose", action="store_true", help="list what was not told and what was told of nothing")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    try:
        counted = measure(options.set, options.mirrors, options.files, options.seed, options.verbose)
    except sets.NoMirror as problem:
        sys.exit(str(problem))
    print("\n| kind | files | told | only named as not read | silent | harmless: said something |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    total = sum(counted.values(), Counter[str]())
    for kind, counts in [*counted.items(), ("**all**", total)]:
        print(
            f"| {kind} |", " | ".join(str(counts[each]) for each in ("files", "told", "named", "silent", "noisy")), "|"
        )


if __name__ == "__main__":
    main()
