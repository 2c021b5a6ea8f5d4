"""`.gitattributes` of the base branch marks generated files."""

import pytest

from reviews.analysis.gitattributes import MAX_CHARACTERS, MAX_PATTERN, MAX_RULES, is_generated, parse
from reviews.findings import LeftOutReason, Report
from sandbox import Fault, FaultKind, Repository, Sandbox
from tests.support.runs import admit, run

UNUSED = "import os\n"


@pytest.mark.parametrize(
    ("line", "path", "said"),
    [
        ("*.gen.py linguist-generated", "a/b.gen.py", True),
        ("*.gen.py linguist-generated=true", "b.gen.py", True),
        ("*.gen.py -linguist-generated", "b.gen.py", False),
        ("*.gen.py linguist-generated=false", "b.gen.py", False),
        ("*.gen.py !linguist-generated", "b.gen.py", None),
        ("*.gen.py text linguist-vendored eol=lf", "b.gen.py", True),
        ("*.gen.py text", "b.gen.py", None),
        ("# *.gen.py linguist-generated", "b.gen.py", None),
        ("api/*.py linguist-generated", "api/a.py", True),
        ("api/*.py linguist-generated", "api/v1/a.py", None),
        ("api/*.py linguist-generated", "src/api/a.py", None),
        ("/*.py linguist-generated", "a.py", True),
        ("/*.py linguist-generated", "src/a.py", None),
        ("api/** linguist-generated", "api/v1/a.py", True),
        ("api/** linguist-generated", "api", None),
        ("api/ linguist-generated", "api/a.py", None),
        ("**/api/*.py linguist-generated", "a/b/api/c.py", True),
        ("**/api/*.py linguist-generated", "api/c.py", True),
        ("api/**/c.py linguist-generated", "api/c.py", True),
        ("api/**/c.py linguist-generated", "api/a/b/c.py", True),
        ("[ab].py linguist-generated", "b.py", True),
        ("B.py linguist-generated", "b.py", None),
    ],
)
def test_a_pattern_matches_the_files_that_git_matches(line: str, path: str, said: bool | None) -> None:
    assert is_generated(path, parse(f"{line}\n")) is said


def test_the_last_line_counts_for_each_attribute() -> None:
    rules = parse("* linguist-generated\nlib/* -linguist-generated\nlib/x.py linguist-vendored\n")
    assert [is_generated(path, rules) for path in ("a.py", "lib/a.py", "lib/x.py")] == [True, False, True]


@pytest.mark.parametrize(
    "text", [None, "", "\0", "*", "* -", "* !", "linguist-generated", "[attr]x linguist-generated"]
)
def test_an_invalid_attribute_line_is_ignored(text: str | None) -> None:
    assert parse(text) == ()


def test_more_than_anybody_writes_is_not_read() -> None:
    assert parse(f"{'a' * (MAX_PATTERN + 1)} linguist-generated") == ()
    assert len(parse("*.py linguist-generated\n" * (MAX_RULES + 1))) == MAX_RULES
    assert parse("#" * MAX_CHARACTERS + "\n*.py linguist-generated\n") == ()
    deep = parse("**/" * 60 + "b linguist-generated\n" + "*a" * 90 + "b linguist-generated\n")
    assert is_generated("a/" * 500 + "a" * 200, deep) is None


def outcome(repo: Repository, attributes: str, changes: dict[str, str]) -> tuple[list[str], dict[str, LeftOutReason]]:
    repo.commit({".gitattributes": attributes})
    pull = repo.open_pull_request(changes=changes, author="mona")
    report = Report.from_json(run(admit(pull)).report)
    return list(report.analysed_files), {left.path: left.reason for left in report.left_out}


@pytest.mark.django_db
def test_generated_files_are_left_out_without_a_call(github: Sandbox, repo: Repository) -> None:
    changes = {f"m{number}.py": UNUSED for number in range(99)} | {"api/client.py": UNUSED}
    looked_at, left_out = outcome(repo, "api/* linguist-generated\n", changes)

    assert (len(looked_at), left_out) == (99, {"api/client.py": LeftOutReason.ATTRIBUTES})
    assert github.count() == 8


@pytest.mark.django_db
def test_files_marked_not_generated_are_analysed(github: Sandbox, repo: Repository) -> None:
    text = f"# @generated\n{UNUSED}"
    changes = {"vendor/ours.py": text, "vendor/theirs.py": text, "a_pb2.py": text}
    attributes = "vendor/ours.py -linguist-vendored\n*_pb2.py -linguist-generated\n"
    looked_at, left_out = outcome(repo, attributes, changes)

    assert looked_at == ["a_pb2.py", "vendor/ours.py"]
    assert left_out == {"vendor/theirs.py": LeftOutReason.GENERATED}
    assert github.count() == 8


@pytest.mark.django_db
def test_the_attributes_of_the_pull_request_itself_do_not_count(repo: Repository) -> None:
    pull = repo.open_pull_request(changes={".gitattributes": "* linguist-generated\n", "a.py": UNUSED}, author="mona")
    assert run(admit(pull)).report["analysed_files"] == [".gitattributes", "a.py"]


@pytest.mark.django_db
def test_generated_files_on_request_get_all_findings(repo: Repository) -> None:
    repo.commit({".kodiai.yml": "paths: {generated: true}\n"})
    assert outcome(repo, "* linguist-generated\n", {"a.py": UNUSED, "vendor/b.py": UNUSED})[1] == {}


@pytest.mark.django_db
def test_attributes_that_github_does_not_hand_over_say_nothing(github: Sandbox, repo: Repository) -> None:
    github.graphql_available = False
    github.fail("contents", Fault(FaultKind.STATUS, status=451), after=2)
    assert outcome(repo, "* linguist-generated\n", {"a.py": UNUSED}) == (["a.py"], {})
