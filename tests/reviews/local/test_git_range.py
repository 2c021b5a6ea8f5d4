"""Local reviews of git ranges, on real repositories."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from reviews.findings import LeftOutReason, Report
from reviews.local import export
from reviews.local.git_range import GitRepository, NotAReview, review

Git = Callable[..., str]

CLEAN = "def f(a):\n    return a\n"
UNUSED = "import os\n\n\ndef f(a):\n    return a\n"
WHO = {f"GIT_{who}_{what}": "octo@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def git(directory: Path) -> Git:
    """git in a repository with one commit on main, on the branch `feature`."""

    def run(*arguments: str) -> str:
        environment = {**os.environ, **WHO, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        return subprocess.run(
            ["git", *arguments], cwd=directory, env=environment, check=True, capture_output=True, text=True
        ).stdout.strip()

    run("init", "--quiet", "--initial-branch=main")
    (directory / "a.py").write_text(CLEAN)
    run("add", ".")
    run("commit", "--quiet", "--message=first")
    run("checkout", "--quiet", "-b", "feature")
    return run


def reviewed(directory: Path, text: str | None = None) -> Report:
    repository = GitRepository(directory)
    compared = repository.range(text)
    return review(repository, compared, repository.changed_files(compared))


def places(report: Report) -> list[tuple[str, int, str]]:
    return [(finding.path, finding.start_line, finding.rule) for finding in report.findings]


# What is compared


def test_the_default_range_is_what_the_default_branch_lacks(git: Git, directory: Path) -> None:
    (directory / "b.py").write_text(UNUSED)
    git("add", ".")
    git("commit", "--quiet", "--message=second")
    (directory / "a.py").write_text(UNUSED)

    assert places(reviewed(directory)) == [("a.py", 1, "F401"), ("b.py", 1, "F401")]


def test_later_commits_of_the_default_branch_are_left_out(git: Git, directory: Path) -> None:
    git("checkout", "--quiet", "main")
    (directory / "theirs.py").write_text(UNUSED)
    git("add", ".")
    git("commit", "--quiet", "--message=theirs")
    git("checkout", "--quiet", "feature")

    assert reviewed(directory).changed_files == 0
    assert reviewed(directory, "main...feature").changed_files == 0
    assert reviewed(directory, "feature...main").changed_files == 1


def test_two_commits_are_compared_whatever_lies_in_the_directory(git: Git, directory: Path) -> None:
    (directory / "a.py").write_text(UNUSED)
    git("commit", "--quiet", "--all", "--message=second")
    (directory / "a.py").write_text("import re\nimport sys\n")

    assert places(reviewed(directory, "main..HEAD")) == [("a.py", 1, "F401")]
    assert places(reviewed(directory, "HEAD")) == [("a.py", 1, "F401"), ("a.py", 2, "F401")]


def test_without_a_default_branch_it_asks_what_to_compare(git: Git, directory: Path) -> None:
    git("branch", "--quiet", "--move", "main", "trunk")
    with pytest.raises(NotAReview, match="name a range"):
        reviewed(directory)
    assert reviewed(directory, "trunk").changed_files == 0


def test_unrelated_branches_are_refused_with_a_sentence(git: Git, directory: Path) -> None:
    git("checkout", "--quiet", "--orphan", "other")
    git("commit", "--quiet", "--message=other")
    with pytest.raises(NotAReview, match="have no common ancestor"):
        reviewed(directory, "main...other")


# What is read


def test_files_of_every_kind_are_read_or_left_out_with_a_reason(git: Git, directory: Path) -> None:
    (directory / "gone.py").write_text("x = 1\n")
    (directory / "old.py").write_text(CLEAN * 5)
    git("add", ".")
    git("commit", "--quiet", "--message=more")
    git("checkout", "--quiet", "-B", "main")
    (directory / "gone.py").unlink()
    (directory / "old.py").rename(directory / "new name.py")
    (directory / "binary.py").write_bytes(b"\0\1\2")
    (directory / "latin.py").write_bytes("x = 'é'\n".encode("latin-1"))
    (directory / "ünï.py").write_text(UNUSED)
    (directory / "huge.py").write_text("x = 1\n" * 200_000)
    (directory / "link.py").symlink_to("/etc/passwd")
    (directory / "crlf.py").write_bytes(UNUSED.replace("\n", "\r\n").encode())
    (directory / os.fsdecode(b"\xff.py")).write_text(UNUSED)
    git("add", ".")

    report = reviewed(directory, "HEAD")

    assert places(report) == [("crlf.py", 1, "F401"), ("ünï.py", 1, "F401")]
    assert {left.path: left.reason for left in report.left_out} == {
        "binary.py": LeftOutReason.NOT_TEXT,
        "latin.py": LeftOutReason.NOT_TEXT,
        "huge.py": LeftOutReason.NO_DIFF,
        "link.py": LeftOutReason.LINK,
        "\N{REPLACEMENT CHARACTER}.py": LeftOutReason.UNAVAILABLE,
    }


def test_no_link_leads_out_of_the_repository(git: Git, directory: Path) -> None:
    outside = directory.parent / "outside"
    outside.mkdir()
    (outside / "b.py").write_text(UNUSED)
    (directory / "src").mkdir()
    (directory / "src" / "b.py").write_text(UNUSED)
    git("add", ".")
    (directory / "src" / "b.py").unlink()
    (directory / "src").rmdir()
    (directory / "src").symlink_to(outside)

    repository = GitRepository(directory)
    compared = repository.range(None)
    assert places(review(repository, compared, repository.changed_files(compared))) == []
    assert repository.contents(None, ["src/b.py"]) == {}


def test_the_configuration_counts_as_it_is_at_the_base(git: Git, directory: Path) -> None:
    (directory / ".kodiai.yml").write_text("severities: {rules: {F401: never}}")
    (directory / "a.py").write_text(UNUSED)
    git("add", ".")
    report = reviewed(directory, "HEAD")
    assert (len(report.findings), report.config_change) == (1, ())

    git("commit", "--quiet", "--message=settle")
    (directory / "b.py").write_text(UNUSED)
    git("add", ".")
    report = reviewed(directory, "HEAD")
    assert (len(report.findings), report.suppressed) == (0, 1)


def test_what_the_repository_configures_for_git_is_not_run(git: Git, directory: Path) -> None:
    evil = directory.parent / "evil"
    git("config", "diff.external", f"touch {evil};")
    git("config", "diff.evil.textconv", f"touch {evil};")
    git("config", "core.fsmonitor", f"touch {evil};")
    git("config", "core.pager", f"touch {evil};")
    (directory / ".gitattributes").write_text("*.py diff=evil\n")
    (directory / "a.py").write_text(UNUSED)

    assert len(reviewed(directory).findings) == 1
    assert not evil.exists()


# What is printed


@pytest.fixture
def report(git: Git, directory: Path) -> Report:
    (directory / "a, b:c%.py").write_text("import os\nx = f''\n")
    git("add", ".")
    return reviewed(directory)


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


def test_sarif_has_what_code_scanning_shows(git: Git, directory: Path) -> None:
    (directory / ".github/workflows").mkdir(parents=True)
    files = {"a.py": "import os\n", "b.py": f'T = "{SECRET}"\n', ".github/workflows/w.yml": WORKFLOW, "c.md": PROSE}
    for path, text in files.items():
        (directory / path).write_text(text)
    document = json.loads(export.as_sarif(reviewed(directory)))
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


def test_annotations_escape_workflow_commands(report: Report) -> None:
    assert export.as_annotations(report).splitlines()[0] == (
        "::warning file=a%2C b%3Ac%25.py,line=1,endLine=1,title=F401 (minor)::`os` imported but unused"
    )
