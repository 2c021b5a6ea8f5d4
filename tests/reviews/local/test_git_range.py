"""Local reviews of git ranges, on real repositories."""

import json
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from reviews.findings import LeftOutReason, Report
from reviews.local import export
from reviews.local.git_range import GitRepository, NotAReview, review
from tests.support.console_script import CLEAN, UNUSED, Kodiai
from tests.support.git import ENVIRONMENT, Git


def reviewed(git: Git, text: str | None = None) -> Report:
    repository = GitRepository(git.directory)
    compared = repository.range(text)
    return review(repository, compared, repository.changed_files(compared))


def places(report: Report) -> list[tuple[str, int, str]]:
    return [(finding.path, finding.start_line, finding.rule) for finding in report.findings]


# What is compared


def test_the_default_range_is_what_the_default_branch_lacks(git: Git) -> None:
    git.commit(b__py=UNUSED)
    git.write(a__py=UNUSED)
    assert places(reviewed(git)) == [("a.py", 1, "F401"), ("b.py", 1, "F401")]
    assert places(reviewed(git, "main..HEAD")) == [("b.py", 1, "F401")]
    assert places(reviewed(git, "HEAD")) == [("a.py", 1, "F401")]


def test_later_commits_of_the_default_branch_are_left_out(git: Git) -> None:
    git("checkout", "--quiet", "main")
    git.commit(theirs__py=UNUSED)
    git("checkout", "--quiet", "feature")
    assert reviewed(git).changed_files == 0
    assert reviewed(git, "main...feature").changed_files == 0
    assert reviewed(git, "feature...main").changed_files == 1


def test_branches_that_cannot_be_compared_are_refused(git: Git) -> None:
    git("branch", "--quiet", "--move", "main", "trunk")
    with pytest.raises(NotAReview, match="name a range"):
        reviewed(git)
    assert reviewed(git, "trunk").changed_files == 0
    git("checkout", "--quiet", "--orphan", "other")
    git.commit(other__py="")
    with pytest.raises(NotAReview, match="have no common ancestor"):
        reviewed(git, "trunk...other")


# What is read


def test_files_of_every_kind_are_read_or_left_out_with_a_reason(git: Git) -> None:
    directory = git.directory
    git.commit(gone__py="x = 1\n", old__py=CLEAN * 5)
    git("checkout", "--quiet", "-B", "main")
    git.write(gone__py=None, ünï__py=UNUSED, huge__py="x = 1\n" * 200_000, crlf__py=UNUSED.replace("\n", "\r\n"))
    (directory / "old.py").rename(directory / "new name.py")
    (directory / "binary.py").write_bytes(b"\0\1\2")
    (directory / "latin.py").write_bytes("x = 'é'\n".encode("latin-1"))
    (directory / "link.py").symlink_to("/etc/passwd")
    (directory / os.fsdecode(b"\xff.py")).write_text(UNUSED)
    git("add", ".")

    report = reviewed(git, "HEAD")

    assert places(report) == [
        ("crlf.py", 1, "F401"),
        ("ünï.py", 1, "F401"),
        ("\N{REPLACEMENT CHARACTER}.py", 1, "F401"),
    ]
    assert {left.path: left.reason for left in report.left_out} == {
        "binary.py": LeftOutReason.NOT_TEXT,
        "latin.py": LeftOutReason.NOT_TEXT,
        "huge.py": LeftOutReason.NO_DIFF,
        "link.py": LeftOutReason.LINK,
    }


def test_no_link_leads_out_of_the_repository(git: Git) -> None:
    outside = git.directory.parent / "outside"
    outside.mkdir()
    (outside / "b.py").write_text(UNUSED)
    git.file("src/b.py", UNUSED)
    git("add", ".")
    git.file("src/b.py", None)
    (git.directory / "src").rmdir()
    (git.directory / "src").symlink_to(outside)
    assert places(reviewed(git)) == []
    assert GitRepository(git.directory).contents(None, ["src/b.py"]) == {}


def test_the_configuration_counts_as_it_is_at_the_base(git: Git) -> None:
    git.file(".kodiai.yml", "severities: {rules: {F401: never}}")
    git.write(a__py=UNUSED)
    report = reviewed(git, "HEAD")
    assert (len(report.findings), report.config_change) == (1, ())
    git.commit()
    git.write(b__py=UNUSED)
    report = reviewed(git, "HEAD")
    assert (len(report.findings), report.suppressed) == (0, 1)


def test_what_the_repository_configures_for_git_is_not_run(git: Git) -> None:
    evil = git.directory.parent / "evil"
    for name in ("diff.external", "diff.evil.textconv", "core.fsmonitor", "core.pager"):
        git("config", name, f"touch {evil};")
    git.file(".gitattributes", "*.py diff=evil\n")
    git.write(a__py=UNUSED)
    assert len(reviewed(git).findings) == 1
    assert not evil.exists()


# What is printed


@pytest.fixture
def report(git: Git) -> Report:
    git.file("a, b:c%.py", "import os\nx = f''\n")
    return reviewed(git)


def test_json_is_the_whole_report(report: Report) -> None:
    document = json.loads(export.as_json(report))
    assert all(finding["fingerprint"] for finding in document["findings"])
    coverage = document.pop("coverage")
    assert Report.from_json(document) == replace(report, files=(), versions={})
    assert {file["path"] for file in coverage["files"]} == set(report.analysed_files)


def test_sarif_places_each_finding_and_brings_its_fix(report: Report) -> None:
    document = json.loads(export.as_sarif(report))
    (reported,) = document["runs"]
    assert document["version"] == "2.1.0"
    assert {rule["id"] for rule in reported["tool"]["driver"]["rules"]} == {"F401", "F541"}
    first, _ = reported["results"]
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "a%2C%20b%3Ac%25.py"
    assert place["region"] == {"startLine": 1, "endLine": 1}
    (replacement,) = first["fixes"][0]["artifactChanges"][0]["replacements"]
    assert replacement == {
        "deletedRegion": {"startLine": 1, "startColumn": 1, "endLine": 2, "endColumn": 1},
        "insertedContent": {"text": ""},
    }


PROSE = "This is teh end of the story, and that is it.\n"
SECRET = "ghp_" + "aB3dE5gH7jK9mN1pQ3sT5vX7zA9cD2fG4hJ6"
WORKFLOW = "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: echo ${{ github.event.issue.title }}\n"


def test_sarif_has_what_code_scanning_shows(git: Git) -> None:
    files = {"a.py": "import os\n", "b.py": f'T = "{SECRET}"\n', ".github/workflows/w.yml": WORKFLOW, "c.md": PROSE}
    for path, text in files.items():
        git.file(path, text)
    document = json.loads(export.as_sarif(reviewed(git)))
    [run] = document["runs"]
    driver = run["tool"]["driver"]
    assert driver["version"] == driver["semanticVersion"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", driver["semanticVersion"])
    rules = {rule["id"]: rule for rule in driver["rules"]}
    for rule in rules.values():
        assert 0 < len(rule["shortDescription"]["text"]) <= 1024
        assert rule["fullDescription"]["text"]
        assert rule["help"]["text"]
        assert rule["help"]["markdown"]
        assert rule["properties"]["problem.severity"] in ("error", "warning", "recommendation")
    shown = {
        name: (rule["defaultConfiguration"]["level"], rule["properties"].get("security-severity"))
        for name, rule in rules.items()
    }
    assert shown == {
        "F401": ("warning", None),
        "github-token": ("error", "9.5"),
        "typo": ("warning", None),
        "zizmor/template-injection": ("error", "8.0"),
    }
    assert rules["F401"]["shortDescription"]["text"] == "… imported but unused"
    assert "noqa: F401" in rules["F401"]["help"]["markdown"]
    assert "suppress" not in rules["github-token"]["help"]["markdown"], "it must be mended"
    assert SECRET not in json.dumps(document)
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    if schema := os.environ.get("KODIAI_TEST_SARIF_SCHEMA"):
        # OASIS publishes it as sarif-schema-2.1.0.json.
        jsonschema.validate(document, json.loads(Path(schema).read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("path", "escaped"),
    [
        ("a, b:c%.py", "a%2C b%3Ac%25.py"),
        (" a  b.py", " a  b.py"),
        ("a\nb.py", "a%0Ab.py"),
        ("a\x1b.py", "a\N{REPLACEMENT CHARACTER}.py"),
    ],
)
def test_annotations_escape_the_name_of_a_file(git: Git, path: str, escaped: str) -> None:
    git.file(path, "import os\n")
    assert export.as_annotations(reviewed(git)).splitlines()[0] == (
        f"::warning file={escaped},line=1,endLine=1,title=F401 (minor)::`os` imported but unused"
    )


# L3: what a file has become


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("rm a.py; ln -s /etc/passwd a.py", []),
        ("rm a.py; mkdir a.py; printf 'import os\\n' > a.py/b.py", [("a.py/b.py", 1, "F401")]),
        ("git rm -q a.py; git clone -q . a.py; git add a.py", []),
        ("rm a.py", []),
        ("rm link.py; printf 'import os\\n' > link.py", [("link.py", 1, "F401")]),
        ("git rm -q -r dir; printf 'import os\\n' > dir", []),
        ("git rm -q --cached a.py; printf 'import os\\n' > a.py", [("a.py", 1, "F401")]),
        ("git mv a.py 'b c.py'; printf 'import os\\n' >> 'b c.py'", [("b c.py", 3, "F401")]),
        ("printf 'import os\\n' > 'ü.py'; printf 'import os\\n' > -n.py", [("-n.py", 1, "F401"), ("ü.py", 1, "F401")]),
        ("git checkout -q -b other main; git merge -q conflict1; git merge -q conflict2", "conflict"),
    ],
)
@pytest.mark.parametrize(
    "committed", [pytest.param(True, marks=pytest.mark.slow), False], ids=["committed", "in the working tree"]
)
def test_whatever_a_file_became_the_others_are_reviewed(
    kodiai: Kodiai, git: Git, change: str, expected: list[Any] | str, committed: bool
) -> None:
    git("checkout", "--quiet", "main")
    (git.directory / "link.py").symlink_to("a.py")
    git.file("dir/x.txt", "x\n")
    git.commit()
    for name in ("conflict1", "conflict2"):
        git("checkout", "--quiet", "-B", name, "main")
        git.commit(a__py=f"{CLEAN}{name} = 1\n")
    git("checkout", "--quiet", "-B", "feature", "main")
    subprocess.run(["sh", "-c", change], cwd=git.directory, env=ENVIRONMENT, check=False, capture_output=True)
    git.write(other__py=UNUSED)
    other = ("other.py", 1, "F401")
    if expected == "conflict":
        found = kodiai.reviewed(git, "main")
        assert other in found
        assert ("a.py", 3, "invalid-syntax") in found, "the markers of the conflict"
        return
    if committed:
        git.commit()
    assert sorted(kodiai.reviewed(git)) == sorted([*expected, other])


@pytest.mark.parametrize("is_updated", [True, False])
def test_a_raised_submodule_is_left_out_updated_or_not(kodiai: Kodiai, git: Git, is_updated: bool) -> None:
    library = Git(git.directory / "lib")
    library.commit(x__py="")
    git("checkout", "--quiet", "-B", "main")
    git.commit()
    git("checkout", "--quiet", "-b", "raised")
    library.commit(x__py=UNUSED)
    git.commit(a__py=f"{CLEAN}{UNUSED}")
    if not is_updated:
        library("checkout", "--quiet", "HEAD~1")
    git.file("z.py", UNUSED)

    assert kodiai.reviewed(git) == [("a.py", 3, "F401"), ("z.py", 1, "F401")]
    assert {left.path: left.reason for left in reviewed(git).left_out} == {"lib": LeftOutReason.SUBMODULE}
    assert kodiai("review", "--fail-on", "critical", at=git.directory).returncode == 0


@pytest.mark.parametrize("change", ["git mv lib other", "git rm -q -f lib", "rm -r lib; git add lib; echo 1 > lib"])
def test_a_moved_or_removed_submodule_disturbs_no_other_file(kodiai: Kodiai, git: Git, change: str) -> None:
    Git(git.directory / "lib").commit(x__py="")
    git.file(".gitmodules", '[submodule "lib"]\n\tpath = lib\n\turl = ./lib\n')
    git("checkout", "--quiet", "-B", "main")
    git.commit()
    subprocess.run(["sh", "-c", change], cwd=git.directory, env=ENVIRONMENT, check=False, capture_output=True)
    git.write(a__py=f"{CLEAN}{UNUSED}", z__py=UNUSED)
    assert kodiai.reviewed(git) == [("a.py", 3, "F401"), ("z.py", 1, "F401")]


@pytest.mark.parametrize("head", [None, "main..HEAD"])
def test_a_file_outside_of_a_sparse_checkout_is_reviewed(git: Git, head: str | None) -> None:
    git.file("inside/a.py", UNUSED)
    git.file("outside/b.py", UNUSED)
    git.file("outside/c.py", UNUSED)
    (git.directory / "outside/link.py").symlink_to("b.py")
    git.commit()
    git("sparse-checkout", "set", "inside")
    assert not (git.directory / "outside").exists()

    report = reviewed(git, head)

    assert places(report) == [(path, 1, "F401") for path in ("inside/a.py", "outside/b.py", "outside/c.py")]
    assert {left.path: left.reason for left in report.left_out} == {"outside/link.py": LeftOutReason.LINK}


def test_what_is_staged_outside_of_a_sparse_checkout_is_named(git: Git) -> None:
    git.commit(outside__py=CLEAN)
    git.file("other.py", UNUSED)
    git.file("outside.py", UNUSED)
    git("add", "outside.py")
    git("update-index", "--skip-worktree", "outside.py")
    git.file("outside.py", None)

    report = reviewed(git)

    assert places(report) == [("other.py", 1, "F401")]
    assert {left.path: left.reason for left in report.left_out} == {"outside.py": LeftOutReason.UNAVAILABLE}


# L6: untracked files


def test_files_that_git_does_not_know_yet_are_reviewed(kodiai: Kodiai, git: Git) -> None:
    git.file(".gitignore", "ignored.py\n")
    git.file("deep/new.py", UNUSED)
    git.file("ignored.py", UNUSED)
    git.file("no end.py", "import re")
    (git.directory / "link.py").symlink_to("no end.py")
    Git(git.directory / "nested").file("x.py", UNUSED)
    expected = [("deep/new.py", 1, "F401"), ("no end.py", 1, "F401")]
    assert kodiai.reviewed(git) == kodiai.reviewed(git, "main") == kodiai.reviewed(git, "HEAD") == expected
    assert kodiai.reviewed(git, "main..HEAD") == []
    assert kodiai.reviewed(git, "-C", "deep") == expected


@pytest.mark.parametrize("known", [(), (0,), (0, 1), (0, 1, 2)], ids=str)
def test_names_that_differ_in_invalid_bytes_are_different_files(
    kodiai: Kodiai, git: Git, known: tuple[int, ...]
) -> None:
    names = [os.fsdecode(name) for name in (b"d/\xff.py", b"d/\xfe.py", "d/\ufffd.py".encode())]
    for name, text in zip(names, (UNUSED, f"T = '{SECRET}'\n", CLEAN), strict=True):
        git.file(name, text)
    git("add", *(names[index] for index in known))

    found = kodiai.reviewed(git)

    assert sorted(rule for _, _, rule in found) == ["F401", "github-token"]
    report = reviewed(git)
    assert (report.changed_files, len(report.analysed_files), report.left_out) == (3, 3, ())


@pytest.mark.parametrize("is_added", [True, False])
def test_what_is_not_utf8_is_searched_for_secrets_at_once(kodiai: Kodiai, git: Git, is_added: bool) -> None:
    (git.directory / "b.ini").write_bytes(f"name = Jos\xe9\ntoken = {SECRET}\n".encode("latin-1"))
    if is_added:
        git("add", "b.ini")
    assert kodiai.reviewed(git) == [("b.ini", 2, "github-token")]


@pytest.mark.parametrize("is_new", [True, False])
def test_the_target_of_a_link_is_searched_for_secrets(kodiai: Kodiai, git: Git, is_new: bool) -> None:
    """As on GitHub, whose patch of a link has its target."""
    path = "link" if is_new else "a.py"
    (git.directory / path).unlink(missing_ok=True)
    (git.directory / path).symlink_to("ghp_" + "0f3Kd9XwQz7LmN2pR5tV" + "8yB1cE4gH6jSaaab")
    git("add", "--all")
    assert kodiai.reviewed(git) == [(path, 1, "github-token")]
