"""Hostile file names and contents: findings of the other files are published."""

import ast
import json
import tracemalloc
from collections.abc import Mapping
from typing import Any

import pytest

from reviews.engines import run_analyzers
from reviews.engines.analyzer import AnalyzerFailed, clashing, run_analyzer, safe_path
from reviews.engines.analyzers.ruff import ANALYZER, read
from reviews.findings import MAX_MESSAGE, MAX_SNIPPET, LeftOutReason, Report
from reviews.models import Review
from sandbox import Fault, FaultKind, PullRequest, Repository, Sandbox
from tests.support.hostile import MARKUP, assert_tame
from tests.support.runs import admit, run

UNUSED = "import os\n"
LONG = "/".join(["d" * 200] * 5) + "/a.py"
"""As long as git allows."""


def reviewed(pull: PullRequest) -> tuple[Review, Report, set[str]]:
    review = run(admit(pull))
    assert review.conclusion == "success", review.conclusion_reason
    (published,) = pull.reviews
    assert_tame(published["body"].rpartition("\n\n<!-- kodiai:review")[0])
    return review, Report.from_json(review.report), {comment["path"] for comment in published["comments"]}


def files_say(github: Sandbox, *paths: str) -> None:
    """Let GitHub list these changed files, which no git could hold."""
    patch = "@@ -0,0 +1 @@\n+import os"
    body = [{"filename": path, "status": "added", "patch": patch, "sha": "0" * 40} for path in ("shop.py", *paths)]
    github.fail("files", Fault(FaultKind.WRONG_JSON, body=body), times=None)


@pytest.mark.django_db
def test_file_names_with_a_meaning_elsewhere_have_none_here(github: Sandbox) -> None:
    names = {
        "CON.py",
        "nul.py",
        "aux/com1.py",
        "trailing. /a .py",
        "-x.py",
        "--config=evil.py",
        "a\nb.py",
        "~/.bashrc.py",
        "$(touch evil).py",
        LONG,
    }
    repo = github.create_repository("octo/devices", files={"a.py": "x = 1\n"})
    pull = repo.open_pull_request(changes=dict.fromkeys(names, UNUSED))

    _, report, commented = reviewed(pull)

    assert commented == names
    assert report.left_out == ()


@pytest.mark.sampled(4)
@pytest.mark.django_db
@pytest.mark.parametrize(
    "path",
    [
        "/etc/cron.d/evil.py",
        "../../evil.py",
        "a\0.py",
        "a\\..\\evil.py",
        "./a.py",
        "x" * 300 + ".py",
        "a/" * 600 + "b.py",
        "\u202eyp.evil\u2066.py\0.py",
        "<!-- kodiai:review 0123 -->\0.py",
        "/".join(MARKUP).replace("\ud800", "") + "\0.py",
    ],
    ids=ascii,
)
def test_a_path_that_git_cannot_hold_is_left_out_and_named(github: Sandbox, pull: PullRequest, path: str) -> None:
    assert not safe_path(path)
    files_say(github, path)

    _, report, commented = reviewed(pull)

    assert commented == {"shop.py"}
    assert [left.reason for left in report.left_out] == [LeftOutReason.UNSAFE_PATH]


@pytest.mark.django_db
def test_paths_that_exclude_each_other_are_left_out(github: Sandbox, pull: PullRequest) -> None:
    files_say(github, "a.py", "a.py/b.py", "Same.py", "same.py", "e\u0301.py", "\u00e9.py")

    _, report, commented = reviewed(pull)

    assert commented == {"shop.py"}
    assert {left.path for left in report.left_out} >= {"a.py", "Same.py", "same.py", "e\u0301.py", "\u00e9.py"}


def test_no_name_and_half_a_character_are_no_safe_paths() -> None:
    assert not safe_path("")
    assert not safe_path("\ud800.py")


def test_clashes_are_found_at_any_depth_and_nowhere_else() -> None:
    assert clashing(["x/a.py", "x/a.py/b/c.py", "x/b.py"]) == {"x/a.py"}
    assert clashing(["X/a.py", "x/a.py"]) == {"X/a.py", "x/a.py"}
    assert clashing(["A.py/c.py", "a.py"]) == {"a.py"}
    assert clashing(["a/b.py", "a/c.py", "a.py", "b/a.py"]) == set()


def test_files_that_cannot_be_written_cost_one_analyzer() -> None:
    for files in ({"a.py": "", "a.py/b.py": ""}, {"a.py": "\ud800"}):
        with pytest.raises(AnalyzerFailed, match="could not be written"):
            run_analyzer(ANALYZER, files)


# Contents


def findings_of(text: str) -> list[Any]:
    found, _, failures, _ = run_analyzers({"a.py": text})
    assert failures == []
    return found


@pytest.mark.parametrize("text", ["print({})\n", "for x in ():\n    print({}, x)\n"])
def test_a_megabyte_name_makes_a_short_finding(text: str) -> None:
    (finding,) = findings_of(text.format("n" * 600_000))
    assert finding.rule == "F821"
    assert len(finding.message) <= MAX_MESSAGE
    assert len(finding.snippet) <= MAX_SNIPPET


HOSTILE: Mapping[str, tuple[str, set[str]]] = {
    "type-comments": ("import os\n" + "# type: " * 100_000, {"F401"}),
    "comment": ("import os " + "#" * 100_000, {"F401"}),
    "blank": ("\n" * 500_000 + "import logging\nlogging.info('a', 1)\n", {"PLE1205"}),
    "word": (f"import logging\n'{'x' * 900_000}'; logging.info('a', 1)\n", {"PLE1205"}),
    "annotations": (f"import logging\n'{'logger: ' * 100_000}'\nlogger.info('a', 1)\n", {"F401", "F821"}),
    "parameters": ("import os\n# " + "def f(" * 150_000, {"F401"}),
    "names": (f"print({', '.join(f'a{number}' for number in range(8_000))}, '{'x' * 900_000}')\n", {"F821"}),
    "dense": (
        "import logging\nfrom a import (\n"
        + "".join(f"    a{number},\n" for number in range(200))
        + ")\ndef f(z):\n for q in z:\n"
        + "".join(f"  b{number} = 1\n  print(c{number})\n" for number in range(1_000))
        + "".join(f"  import d{number}\n  import os\n" for number in range(1_000))
        + "".join(f"  q.error('a', {number})\n" for number in range(1_000))
        + "  pass\n" * 120_000,
        {"F401", "F811", "F821", "F841"},
    ),
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_looked_up_in_linear_time(name: str) -> None:
    """By the square of the length these would take hours, and nothing else would run meanwhile."""
    text, rules = HOSTILE[name]
    other = "# os a\n# " + "from test_a import (" * 30_000 + "\n# " + "a as " * 30_000 + "\n"
    files = {"test_a.py": text, "b.py": other}
    assert {finding.rule for finding in run_analyzer(ANALYZER, files)} == rules


def test_a_fix_on_a_megabyte_line_is_not_offered() -> None:
    (finding,) = findings_of("x = f'" + "a" * 1_000_000 + "'\n")
    assert (finding.rule, finding.suggestion) == ("F541", None)


@pytest.mark.slow
def test_thousands_of_findings_on_a_line_take_little_memory() -> None:
    line = ";".join(f"a{number}" for number in range(5_000))
    found = findings_of(line + "\n")
    assert len(found) >= 5_000
    assert len(json.dumps(Report(findings=tuple(found)).to_json())) < 1000 * len(found)


@pytest.mark.slow
def test_a_thousand_fixes_do_not_copy_their_line_each_time() -> None:
    line = "x" * 1_000_000
    place = {"row": 1, "column": 1}
    fix = {"applicability": "safe", "edits": [{"content": "y", "location": place, "end_location": place}]}
    entry = {"filename": "/s/a.py", "location": place, "end_location": place, "message": "m", "fix": fix}
    output = json.dumps([entry] * 1000).encode()

    tracemalloc.start()
    try:
        read(output, {"a.py": line}, "/s")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 50 * len(line)


@pytest.mark.slow
def test_too_many_findings_fail_the_analyzer_not_the_review() -> None:
    found, ran, failures, _ = run_analyzers({"a.py": ";".join(["f''"] * 40_000) + "\n"})
    assert found == []
    assert "ruff" not in ran
    assert failures == [("ruff", "its output exceeds 8388608 bytes")]


@pytest.mark.django_db
def test_a_file_with_a_nul_far_inside_is_reviewed(github: Sandbox, repo: Repository) -> None:
    # git calls a file binary for a NUL in its first 8,000 bytes, so this one has a patch. The sandbox would not hand
    # over its text; GitHub may.
    text = "# padding\n" * 1000 + "x = {'a\0': 1, 'a\0': 2}\nimport os\n"
    pull = repo.open_pull_request(changes={"nul.py": text})
    file = {"mode": 0o100644, "object": {"text": text, "isTruncated": False}}
    answer = {"data": {"repository": {"c0": {"p0": file}, "c1": None}}}
    github.fail("graphql", Fault(FaultKind.WRONG_JSON, body=answer))

    review = run(admit(pull))

    assert review.conclusion == "success", review.conclusion_reason
    assert "key literal `'a\N{REPLACEMENT CHARACTER}'` repeated" in str(review.report)
    assert "\0" not in str(review.report)
    assert len(pull.reviews) == 1


def test_a_lone_carriage_return_moves_no_finding() -> None:
    # To ruff it ends a line, to git and GitHub it does not.
    text = "x = 1\ry = 2\rz = 3\nimport os\nkeep = 1\nkeep = 2\n"
    ast.parse(text)
    found = findings_of(text)
    assert {(finding.rule, finding.start_line) for finding in found} == {("F401", 2)}
    assert [finding.suggestion for finding in found] == [None]
