"""Every pull request of the corpus gets the review that is filed for it, and nothing that GitHub refuses."""

import ast
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from sandbox.rest.reviews import MAX_BODY_CHARACTERS
from tests.corpus import labels, snapshots
from tests.corpus import pulls as pulls
from tests.corpus.declarations import DECLARED, Declared
from tests.corpus.reviewing import Published, lines_of, published

WRITE = bool(os.environ.get("KODIAI_TEST_WRITE_CORPUS"))
HINT = "run `make corpus` and read what changed"
JUDGED = labels.judged()
MAX_CALLS = 8
"""For a pull request of up to a hundred files: token, pull request, files, configuration, Search, contents, review, and
one to spare."""

_published: dict[str, Published] = {}
"""What was published, by name: values that no test can change. A run for each property would show nothing more."""


FIRST = {declared.opened.__module__: declared.name for declared in reversed(DECLARED.values())}.values()
"""The first pull request of each subject. The others are slow, as there are many of them."""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(declared, id=name, marks=() if name in FIRST else pytest.mark.slow)
        for name, declared in DECLARED.items()
    ],
)
def declared(request: pytest.FixtureRequest) -> Declared:
    """Of the whole module, so that the tests of one pull request follow each other."""
    return request.param


@pytest.fixture
def outcome(declared: Declared, request: pytest.FixtureRequest, db: None) -> Published:
    """The run over a pull request, in a GitHub and a database that no other run has seen."""
    if declared.name not in _published:
        _published[declared.name] = published(declared, request.getfixturevalue("github"))
    return _published[declared.name]


@pytest.fixture(scope="module", autouse=True)
def _files_what_was_published() -> Iterator[None]:
    yield
    if WRITE and _published.keys() == DECLARED.keys():
        for name in {path.stem for path in snapshots.FOLDER.glob("*.md")} - DECLARED.keys():
            (snapshots.FOLDER / f"{name}.md").unlink()
        labels.file(label for each in _published.values() for label in labels.labelled(each, JUDGED))


def test_the_review_is_the_one_that_is_filed(outcome: Published) -> None:
    if WRITE:
        snapshots.file(outcome)
    difference = snapshots.difference(outcome)
    assert not difference, f"{HINT}\n{difference}"


def test_every_finding_is_on_a_changed_line(outcome: Published) -> None:
    near = {(finding.path, finding.end_line) for finding in outcome.report.findings if finding.elsewhere}
    for comment in outcome.comments:
        assert comment["side"] == "RIGHT"
        place = comment["path"], comment["line"]
        assert place in near or not outcome.changed_lines[comment["path"]].isdisjoint(lines_of(comment)), comment
    for finding in outcome.report.findings:
        if finding.elsewhere:
            # Where lines were only removed, it stands beside them.
            continue
        said = range(finding.start_line, finding.end_line + 1)
        assert not outcome.changed_lines[finding.path].isdisjoint(said), finding


def test_github_takes_the_review_at_once(outcome: Published) -> None:
    assert [status for route, status in outcome.calls if route == "create_review"] == (
        [] if outcome.conclusion == "skipped" else [200]
    )
    for text in (outcome.body, *(comment["body"] for comment in outcome.comments)):
        assert len(text) <= MAX_BODY_CHARACTERS


def test_a_file_with_a_suggestion_applied_parses(outcome: Published) -> None:
    unparsed = []
    for applied in outcome.applied:
        assert applied.before != applied.after, f"the suggestion for {applied.path}:{applied.which} changes nothing"
        # What does not parse in the pull request may need more than one suggestion.
        if _complaint(applied.path, applied.before) is None and (said := _complaint(applied.path, applied.after)):
            unparsed.append(f"{applied.path} with {applied.which}: {said}")
    assert unparsed == []


def test_the_calls_do_not_grow_with_the_files(outcome: Published) -> None:
    if outcome.changed_files <= 100:
        # GitHub is asked again for missing patches, which binary files and changes of the mode never have.
        repeated = max(0, sum(route == "files" for route, _ in outcome.calls) - 1)
        assert len(outcome.calls) - repeated <= MAX_CALLS, outcome.calls


def test_every_finding_is_judged(outcome: Published) -> None:
    mine = [label for label in JUDGED if label.pull_request == outcome.declared.name]
    if not WRITE:
        assert labels.labelled(outcome, JUDGED) == sorted(mine), f"{HINT}, and judge what is new in labels.txt"
        assert {label.judgement for label in mine} <= {labels.WANTED, labels.NOISE}, "judge it in labels.txt"


def test_clean_code_gets_no_finding(outcome: Published) -> None:
    if outcome.declared.name.startswith("clean-"):
        assert outcome.report.findings == ()


def test_at_most_a_tenth_of_the_findings_is_noise() -> None:
    assert JUDGED
    assert labels.share_of_noise(JUDGED) <= labels.MAX_NOISE, labels.table(JUDGED)


def test_the_corpus_has_forty_pull_requests_each_with_its_review() -> None:
    assert len(DECLARED) >= 40
    assert {path.stem for path in snapshots.FOLDER.glob("*.md")} == DECLARED.keys()


# Whether a file parses


def _complaint(path: str, content: bytes) -> str | None:
    """What a parser of a file's language says against it; None where it parses, or where there is nothing to parse."""
    name = path.rpartition("/")[2]
    if name.endswith((".py", ".pyi")):
        return _of_python(content)
    if name.endswith((".sh", ".bash")):
        return _of_command("bash", ["-n"], name, content)
    if name.endswith((".js", ".mjs", ".cjs")):
        # Whatever the name: the code is that of modules.
        return _of_command("node", ["--check"], f"{name.partition('.')[0]}.mjs", content)
    if name.endswith((".yml", ".yaml")):
        return _of_yaml(content)
    if name.endswith(".json"):
        return _of_json(content)
    if name.endswith(_NOTHING_TO_PARSE) or re.match("Dockerfile|LICENSE", name):
        return None
    raise LookupError(f"a suggestion for {path}, and no parser is known here")


_NOTHING_TO_PARSE = (".md", ".rst", ".txt")


def _of_python(content: bytes) -> str | None:
    try:
        ast.parse(content)
    except (SyntaxError, ValueError) as error:
        return str(error)
    return None


def _of_yaml(content: bytes) -> str | None:
    try:
        yaml.safe_load(content)
    except yaml.YAMLError as error:
        return str(error)
    return None


def _of_json(content: bytes) -> str | None:
    try:
        json.loads(content)
    except ValueError as error:
        return str(error)
    return None


def _of_command(command: str, options: list[str], name: str, content: bytes) -> str | None:
    if shutil.which(command) is None:
        pytest.skip(f"{command} is not on this machine, and a suggestion for {name} is to be parsed by it")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, name)
        file.write_bytes(content)
        done = subprocess.run([command, *options, str(file)], capture_output=True, text=True, check=False)
        return done.stderr or f"{command} ended with {done.returncode}" if done.returncode else None
