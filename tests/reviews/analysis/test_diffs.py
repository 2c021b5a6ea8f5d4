"""Findings, suggestions and lines on the diffs that real pull requests have."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviews.engines import run_analyzers
from reviews.engines.analyzer import safe_path
from reviews.findings import LeftOutReason, Report, fingerprinted
from reviews.github.patches import BadPatch, Hunk, parse_hunks
from reviews.models import Review
from sandbox import Fault, FaultKind, PullRequest, Repository, Sandbox, Symlink, webhook_payload
from tests.support.runs import admit, run

pytestmark = pytest.mark.django_db

UNUSED = "import os\n"
TEN = "".join(f"line_{number} = {number}\n" for number in range(1, 11))


def reviewed(pull: PullRequest) -> tuple[Review, Report, list[tuple[str, int]]]:
    """Review a pull request; return the run, its report, and where its inline comments stand."""
    review = run(admit(pull))
    assert review.conclusion == "success", review.conclusion_reason
    (published,) = pull.reviews
    places = sorted((comment["path"], comment["line"]) for comment in published["comments"])
    return review, Report.from_json(review.report), places


def left_out(report: Report) -> dict[str, LeftOutReason]:
    return {left.path: left.reason for left in report.left_out}


def test_only_findings_on_changed_lines_are_published(github: Sandbox) -> None:
    repo = github.create_repository("octo/lines", files={"a.py": "import os\nimport sys\n" + TEN})
    pull = repo.open_pull_request(changes={"a.py": "import os\nimport sys\n" + TEN + "import json\n"})

    _, report, places = reviewed(pull)

    assert [finding.rule for finding in report.findings] == ["F401"]
    assert places == [("a.py", 13)]
    assert report.outside_changes == 2
    assert "2 findings on unchanged lines" in pull.reviews[0]["body"]


def test_a_renamed_file_is_spoken_of_under_its_new_name(github: Sandbox) -> None:
    repo = github.create_repository("octo/renamed", files={"old.py": TEN})
    pull = repo.open_pull_request(renames={"old.py": "new.py"}, changes={"new.py": UNUSED + TEN})

    _, _, places = reviewed(pull)

    assert places == [("new.py", 1)]


def test_a_renamed_file_without_changes_is_left_out(github: Sandbox) -> None:
    repo = github.create_repository("octo/moved", files={"old.py": UNUSED + TEN})
    pull = repo.open_pull_request(renames={"old.py": "new.py"})

    _, report, places = reviewed(pull)

    assert places == []
    assert left_out(report) == {"new.py": LeftOutReason.NO_DIFF}


def test_a_deleted_file_is_no_reason_to_say_anything(github: Sandbox) -> None:
    repo = github.create_repository("octo/deleted", files={"gone.py": UNUSED, "a.py": "x = 1\n"})
    pull = repo.open_pull_request(changes={"gone.py": None, "a.py": "x = 2\n"})

    _, report, places = reviewed(pull)

    assert places == []
    assert (report.analysed_files, report.left_out, report.changed_files) == (("a.py",), (), 2)


def test_binary_empty_and_symbolic_files_do_no_harm(github: Sandbox) -> None:
    repo = github.create_repository("octo/odd", files={"a.py": "x = 1\n"})
    pull = repo.open_pull_request(
        changes={
            "a.py": UNUSED,
            "binary.py": b"\x00\x01\x02",
            "empty.py": "",
            "link.py": Symlink("/etc/passwd"),
            "picture.png": b"\x89PNG\r\n\x1a\n\x00",
        }
    )

    _, report, places = reviewed(pull)

    assert places == [("a.py", 1)]
    assert left_out(report)["link.py"] == LeftOutReason.LINK
    assert left_out(report)["binary.py"] == LeftOutReason.NO_DIFF
    assert left_out(report)["empty.py"] == LeftOutReason.NO_DIFF
    assert report.without_engine == 1


def test_a_last_line_without_newline_is_a_line_like_others(github: Sandbox) -> None:
    repo = github.create_repository("octo/no-newline", files={"a.py": "x = 1\ny = 2"})
    pull = repo.open_pull_request(changes={"a.py": "x = 1\nprint(f'y')"})

    _, report, places = reviewed(pull)

    (finding,) = report.findings
    assert places == [("a.py", 2)]
    assert finding.suggestion is not None
    assert (finding.suggestion.start_line, finding.suggestion.text) == (2, "print('y')")


def test_lines_with_carriage_returns_get_no_suggestion(github: Sandbox) -> None:
    repo = github.create_repository("octo/crlf", files={"a.py": "x = 1\r\ny = 2\r\n"})
    pull = repo.open_pull_request(changes={"a.py": "x = 1\r\nimport os\r\ny = 2\r\n"})

    _, report, places = reviewed(pull)

    assert places == [("a.py", 2)]
    assert all(finding.suggestion is None for finding in report.findings)
    assert "```suggestion" not in str(pull.reviews[0]["comments"])
    assert "Remove unused import" in str(pull.reviews[0]["comments"])


def test_a_file_that_is_not_utf_8_is_left_out_with_the_reason(github: Sandbox) -> None:
    repo = github.create_repository("octo/latin", files={"a.py": "x = 1\n"})
    pull = repo.open_pull_request(changes={"a.py": UNUSED, "latin.py": "# gr\xfc\xdfe\nimport os\n".encode("latin-1")})

    _, report, places = reviewed(pull)

    assert places == [("a.py", 1)]
    assert left_out(report) == {"latin.py": LeftOutReason.NOT_TEXT}
    assert "latin.py" in pull.reviews[0]["body"]


def test_a_file_whose_diff_github_omits_is_left_out(github: Sandbox) -> None:
    repo = github.create_repository("octo/large", files={"a.py": "x = 1\n"})
    pull = repo.open_pull_request(changes={"a.py": UNUSED, "large.py": UNUSED + "x = 1\n" * 25_000})

    _, report, places = reviewed(pull)

    assert places == [("a.py", 1)]
    assert left_out(report) == {"large.py": LeftOutReason.NO_DIFF}


def test_three_hundred_files_are_analysed_with_ten_comments(github: Sandbox) -> None:
    repo = github.create_repository("octo/many", files={"a.py": "x = 1\n"})
    pull = repo.open_pull_request(changes={f"m{number:03}.py": UNUSED for number in range(300)})

    _, report, places = reviewed(pull)

    assert len(report.analysed_files) == len(report.findings) == 300
    assert len(places) == 10
    assert "Not posted inline" in pull.reviews[0]["body"]
    assert "and 190 more" in pull.reviews[0]["body"]
    # token, pull request, 3 pages of files, configuration, Search, 3 of GraphQL, the review, its check run
    assert github.count() <= 12


def test_a_finding_on_several_lines_stays_within_one_hunk(github: Sandbox) -> None:
    repo = github.create_repository("octo/several", files={"a.py": TEN})
    pull = repo.open_pull_request(changes={"a.py": TEN + "try:\n    raise ValueError(\n        'x',\n    )\nexcept KeyError:\n    raise ValueError(\n        'y'\n    )\n"})  # fmt: skip  # noqa: E501

    _, report, _ = reviewed(pull)

    (finding,) = report.findings
    assert finding.rule == "B904"
    (comment,) = pull.reviews[0]["comments"]
    assert (comment["start_line"], comment["line"]) == (16, 18)


def test_every_suggestion_applied_removes_its_finding(github: Sandbox) -> None:
    code = (
        "import os\nimport sys, json\n\n\ndef f(a, b=None):\n    if not a in b:\n        print(f'text')\n"
        "    return json.dumps(a)\n"
    )
    repo = github.create_repository("octo/suggested", files={"a.py": "x = 1\n"})
    pull = repo.open_pull_request(changes={"a.py": code})

    _, report, _ = reviewed(pull)

    with_suggestion = [finding for finding in report.findings if finding.suggestion]
    assert {finding.rule for finding in with_suggestion} >= {"F401", "E713", "F541"}
    for finding in with_suggestion:
        assert finding.suggestion is not None
        lines = code.split("\n")
        replacement = [] if finding.suggestion.text is None else finding.suggestion.text.split("\n")
        lines[finding.suggestion.start_line - 1 : finding.suggestion.end_line] = replacement
        fixed = "\n".join(lines)
        ast.parse(fixed)
        left, _, _ = run_analyzers({"a.py": fixed})
        assert (finding.rule, finding.message) not in {(found.rule, found.message) for found in left}


def test_a_fix_that_reaches_outside_the_hunk_is_not_offered(github: Sandbox) -> None:
    before = "import os\n" + TEN + TEN.replace("line", "more") + "print(os.name)\n"
    repo = github.create_repository("octo/outside", files={"a.py": before})
    pull = repo.open_pull_request(changes={"a.py": before.replace("import os\n", "import os, sys\n")})

    _, report, places = reviewed(pull)

    assert ("a.py", 1) in places
    for finding in report.findings:
        if finding.suggestion is not None:
            assert finding.start_line <= finding.end_line <= 4


def test_a_file_name_full_of_markup_mentions_nobody(github: Sandbox) -> None:
    repo: Repository = github.create_repository("octo/names", files={"a.py": "x = 1\n"})
    pull = repo.open_pull_request(changes={"a`b@octocat<img src=x>.py": b"\xff\n", "@octocat.py": UNUSED})

    _, _, places = reviewed(pull)

    assert places == [("@octocat.py", 1)]
    assert "``a`b@octocat<img src=x>.py``" in pull.reviews[0]["body"]


# The parts


def test_the_hunks_of_a_patch_know_the_lines_of_the_head_side() -> None:
    patch = "@@ -1,3 +1,4 @@\n one\n+two\n three\n four\n@@ -10,2 +11 @@ def f():\n-gone\n kept"

    assert parse_hunks(patch) == (Hunk(1, 4, frozenset({2})), Hunk(11, 11, frozenset(), frozenset({"gone"})))


def test_only_newlines_end_a_line() -> None:
    assert parse_hunks("@@ -0,0 +1,2 @@\n+a\x0cb\x85c\u2028d\re\n+two") == (Hunk(1, 2, frozenset({1, 2})),)


@given(st.text())
def test_no_patch_of_any_text_is_more_than_a_bad_patch(patch: str) -> None:
    for text in (patch, "@@ -1 +1 @@\n" + patch):
        try:
            hunks = parse_hunks(text)
        except BadPatch:
            continue
        assert all(hunk.start <= hunk.end for hunk in hunks)


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd.py", "../a.py", "a/../../b.py", "a\0.py", "", "x" * 300 + ".py", "a/" * 600 + "b.py", "a\\b.py"],
)
def test_a_path_outside_the_scratch_directory_is_not_written(path: str) -> None:
    assert not safe_path(path)


def test_an_analyzer_sees_no_environment_and_no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUFF_CONFIG", str(tmp_path / "ruff.toml"))
    (tmp_path / "ruff.toml").write_text("lint.ignore = ['F401']\n")

    found, ran, failures = run_analyzers({"a.py": UNUSED})

    assert [finding.rule for finding in found] == ["F401"]
    assert "ruff" in ran
    assert failures == []


def test_a_syntax_error_is_a_critical_finding_on_its_line() -> None:
    found, _, _ = run_analyzers({"a.py": "x = 1\ndef f(:\n"})

    assert next((finding.rule, finding.start_line, str(finding.severity)) for finding in found) == (
        "invalid-syntax",
        2,
        "critical",
    )


def test_a_fingerprint_survives_a_moved_line() -> None:
    def fingerprint(path: str, text: str, path_in_base: str = "") -> str:
        (found,) = run_analyzers({path: text})[0]
        return fingerprinted(found, path_in_base or path).fingerprint

    here = fingerprint("a.py", UNUSED)
    assert here == fingerprint("a.py", "\n\n" + UNUSED) == fingerprint("b.py", UNUSED, path_in_base="a.py")
    assert here != fingerprint("b.py", UNUSED)
    assert here != fingerprint("a.py", UNUSED.replace("os", "sys"))


def test_an_unsafe_fix_is_described_and_never_offered() -> None:
    (found,) = run_analyzers({"a.py": "def f(a):\n    return a == None\n"})[0]

    assert (found.rule, found.suggestion) == ("E711", None)
    assert found.fix


@pytest.mark.parametrize(
    ("counted", "pages"), [(200, 2), (None, 3), ("200", 3), (-1, 3), (True, 3), (0, 1), (5000, 3)], ids=repr
)
def test_no_more_pages_are_fetched_than_there_are_files(github: Sandbox, counted: object, pages: int) -> None:
    repo = github.create_repository("octo/many", files={"a.py": "x = 1\n"})
    pull = repo.open_pull_request(changes={f"m{number:03}.txt": "a\n" for number in range(200)})
    answer = webhook_payload(pull, "opened")["pull_request"] | {"changed_files": counted}
    github.fail("pull", Fault(FaultKind.WRONG_JSON, body=answer))

    _, report, _ = reviewed(pull)

    assert github.count("files") == pages
    assert report.changed_files == min(200, 100 * pages)
