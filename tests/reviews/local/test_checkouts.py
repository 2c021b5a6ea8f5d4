"""`kodiai review` in every kind of checkout: which base it takes, or what it says is missing, and exits with 2."""

import json
import subprocess
from typing import Any

import pytest

from tests.support.console_script import UNUSED, Kodiai
from tests.support.git import Git


def clone(git: Git, *options: str) -> Git:
    """Clone a repository whose default branch is `main`."""
    git("symbolic-ref", "HEAD", "refs/heads/main")
    target = git.directory.parent / "clone"
    git("clone", "--quiet", *options, f"file://{git.directory}", str(target))
    return Git(target)


# L1: shallow and detached checkouts


@pytest.mark.parametrize(("detached", "text"), [(True, None), (False, "main...HEAD"), (True, "HEAD~1")])
def test_a_shallow_checkout_is_refused_and_says_fetch_depth(
    kodiai: Kodiai, git: Git, detached: bool, text: str | None
) -> None:
    git.commit(b__py=UNUSED)
    shallow = clone(git, "--depth=1", "--branch=feature")
    if detached:
        shallow("checkout", "--quiet", "--detach")
    assert "fetch-depth: 0" in kodiai.refused(*([text] if text else []), at=shallow.directory)


def test_a_shallow_checkout_of_the_default_branch_is_refused(kodiai: Kodiai, git: Git) -> None:
    git("checkout", "--quiet", "main")
    git.commit(b__py=UNUSED)
    shallow = clone(git, "--depth=1")
    shallow.write(built__py=UNUSED)
    assert "fetch-depth: 0" in kodiai.refused(at=shallow.directory)
    assert kodiai.reviewed(shallow, "HEAD") == [("built.py", 1, "F401")], "named, what is not committed is reviewed"


def test_what_is_there_of_a_shallow_history_is_reviewed(kodiai: Kodiai, git: Git) -> None:
    git.commit(b__py=UNUSED)
    shallow = clone(git, "--depth=2", "--branch=feature", "--no-single-branch")
    assert kodiai.reviewed(shallow) == [("b.py", 1, "F401")]
    assert kodiai.reviewed(shallow, "HEAD~1..HEAD") == [("b.py", 1, "F401")]


# L2: the base of an event in GitHub Actions


@pytest.fixture
def develop(git: Git) -> Git:
    """`feature` comes from `develop`, which is one commit with a finding ahead of `main`."""
    git("checkout", "--quiet", "-B", "develop", "main")
    git.commit(theirs__py=UNUSED)
    git("checkout", "--quiet", "-B", "feature")
    git.commit(ours__py=UNUSED)
    return git


OURS = [("ours.py", 1, "F401")]
BOTH = [*OURS, ("theirs.py", 1, "F401")]


@pytest.mark.parametrize("origin", [True, False], ids=["origin/develop", "develop"])
def test_the_base_of_the_event_is_the_base(kodiai: Kodiai, develop: Git, origin: bool) -> None:
    if origin:
        develop = clone(develop, "--branch=feature")
    assert kodiai.reviewed(develop) == BOTH
    assert kodiai.reviewed(develop, GITHUB_BASE_REF="develop") == OURS
    if origin:
        assert "unknown revision main; there is origin/main" in kodiai.refused("main...HEAD", at=develop.directory)
    named = "origin/main...HEAD" if origin else "main...HEAD"
    assert kodiai.reviewed(develop, named, GITHUB_BASE_REF="develop") == BOTH, "a named range comes first"


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"pull_request": {"base": {"ref": "gone", "sha": "{develop}"}, "head": {"sha": "{feature}"}}}, OURS),
        ({"pull_request": {"base": {"ref": "develop"}, "head": {}}}, OURS),
        ({"merge_group": {"base_ref": "refs/heads/main", "base_sha": "{develop}"}}, OURS),
        (
            {"ref": "refs/heads/main", "before": "{develop}", "after": "", "repository": {"default_branch": "main"}},
            OURS,
        ),
        ({"ref": "refs/heads/x", "before": "0" * 40, "repository": {"default_branch": "main"}}, BOTH),
        ([], BOTH),
    ],
)
def test_the_base_is_read_from_the_file_of_the_event(
    kodiai: Kodiai, develop: Git, event: Any, expected: list[Any]
) -> None:
    commits = {name: develop("rev-parse", name) for name in ("develop", "feature")}
    text = json.dumps(event)
    for name, commit in commits.items():
        text = text.replace(f"{{{name}}}", commit)
    file = develop.directory.parent / "event.json"
    file.write_text(text, encoding="utf-8")

    assert kodiai.reviewed(develop, GITHUB_EVENT_PATH=str(file)) == expected


def test_githubs_merge_commit_is_compared_with_its_first_parent(kodiai: Kodiai, develop: Git) -> None:
    """refs/pull/N/merge, detached: the base has moved on since the event, and only two commits deep is enough."""
    old, head = develop("rev-parse", "develop"), develop("rev-parse", "feature")
    develop("checkout", "--quiet", "develop")
    develop.commit(later__py=UNUSED)
    develop("checkout", "--quiet", "-b", "merged")
    develop("merge", "--quiet", "--no-ff", "--no-edit", "feature")
    event = develop.directory.parent / "event.json"
    event.write_text(json.dumps({"pull_request": {"base": {"ref": "develop", "sha": old}, "head": {"sha": head}}}))
    for depth, expected in (("--depth=2", OURS), ("--depth=1", None)):
        checkout = clone(develop, depth, "--branch=merged")
        checkout("checkout", "--quiet", "--detach")
        checkout.write(built__py=UNUSED)
        if expected is None:
            assert "fetch-depth: 0" in kodiai.refused(at=checkout.directory, GITHUB_EVENT_PATH=str(event))
        else:
            assert kodiai.reviewed(checkout, GITHUB_EVENT_PATH=str(event)) == expected, "nothing that a step has made"
        subprocess.run(["rm", "-r", str(checkout.directory)], check=True)


def test_a_checkout_of_the_base_is_no_review_of_a_pull_request(kodiai: Kodiai, develop: Git) -> None:
    event = develop.directory.parent / "event.json"
    head, base = develop("rev-parse", "feature"), develop("rev-parse", "develop")
    event.write_text(json.dumps({"pull_request": {"base": {"ref": "develop", "sha": base}, "head": {"sha": head}}}))
    develop("checkout", "--quiet", "develop")
    assert "Check out the head" in kodiai.refused(at=develop.directory, GITHUB_EVENT_PATH=str(event))


def test_a_base_that_was_not_fetched_is_named(kodiai: Kodiai, develop: Git) -> None:
    said = kodiai.refused(at=develop.directory, GITHUB_BASE_REF="release/2")
    assert "branch release/2, was not fetched. Run git fetch origin release/2." in said


@pytest.mark.parametrize(
    ("base", "sentence"),
    [
        ({"ref": "a\0b"}, "was not fetched"),
        ({"ref": "\ud800"}, "was not fetched"),
        ({"ref": ""}, "names no base"),
        ({"ref": 5, "sha": "--help"}, "names no base"),
        (None, "names no base"),
    ],
)
def test_an_event_with_a_broken_base_is_a_sentence(kodiai: Kodiai, git: Git, base: Any, sentence: str) -> None:
    event = git.directory.parent / "event.json"
    event.write_text(json.dumps({"pull_request": {"base": base, "head": {}}}), encoding="utf-8")
    assert sentence in kodiai.refused(at=git.directory, GITHUB_EVENT_PATH=str(event))


ZEROS = "0" * 40


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    "event",
    [
        {"issue": {"number": 1}, "comment": {}},
        {"schedule": "0 0 * * *"},
        {"ref": "refs/tags/v1", "before": ZEROS},
        {"ref": "refs/heads/main", "before": ZEROS},
    ],
    ids=["issue_comment", "schedule", "a tag", "the first push"],
)
@pytest.mark.parametrize("origin", [True, False], ids=["clone", "no origin"])
@pytest.mark.parametrize("named", [True, False], ids=["repository", "no repository"])
def test_an_event_without_a_base_is_no_review_of_main_by_main(
    kodiai: Kodiai, git: Git, event: Any, origin: bool, named: bool
) -> None:
    git("checkout", "--quiet", "main")
    git.commit(ours__py=UNUSED)
    if origin:
        git = clone(git)
    file = git.directory.parent / "event.json"
    file.write_text(json.dumps(event | ({"repository": {"default_branch": "main"}} if named else {})))
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_PATH": str(file)}

    assert "the event names no base" in kodiai.refused(at=git.directory, **environment)
    assert kodiai.reviewed(git, "HEAD~1..HEAD", **environment) == OURS


@pytest.mark.parametrize("event", [{"inputs": None}, {"ref": "refs/tags/v1", "before": ZEROS}])
def test_without_a_base_a_branch_is_compared_with_the_default(kodiai: Kodiai, develop: Git, event: Any) -> None:
    """As by workflow_dispatch, or with a tag, on another branch."""
    file = develop.directory.parent / "event.json"
    file.write_text(json.dumps(event | {"repository": {"default_branch": "develop"}}))
    assert kodiai.reviewed(develop, GITHUB_ACTIONS="true", GITHUB_EVENT_PATH=str(file)) == OURS


def test_a_new_branch_without_commits_passes(kodiai: Kodiai, develop: Git) -> None:
    file = develop.directory.parent / "event.json"
    develop("branch", "trunk")
    event = {"ref": "refs/heads/feature", "before": ZEROS, "repository": {"default_branch": "trunk"}}
    file.write_text(json.dumps(event))
    assert kodiai.reviewed(develop, GITHUB_ACTIONS="true", GITHUB_EVENT_PATH=str(file)) == []


@pytest.mark.parametrize("known", [True, False], ids=["origin/HEAD", "no origin/HEAD"])
def test_unpushed_commits_of_the_default_branch_are_reviewed(kodiai: Kodiai, git: Git, known: bool) -> None:
    copy = clone(git)
    if not known:
        copy("remote", "set-head", "origin", "--delete")
    copy.commit(ours__py=UNUSED)
    assert kodiai.reviewed(copy) == OURS
