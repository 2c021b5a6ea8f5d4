"""Findings, suggestions and lines on the diffs of real pull requests."""

import pytest

from reviews.engines import run_analyzers
from reviews.findings import Report, fingerprinted
from reviews.github.patches import Hunk, parse_hunks
from reviews.models import Review
from sandbox import PullRequest, Sandbox
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


def test_only_findings_on_changed_lines_are_published(github: Sandbox) -> None:
    repo = github.create_repository("octo/lines", files={"a.py": "import os\nimport sys\n" + TEN})
    pull = repo.open_pull_request(changes={"a.py": "import os\nimport sys\n" + TEN + "import json\n"})

    _, report, places = reviewed(pull)

    assert [finding.rule for finding in report.findings] == ["F401"]
    assert places == [("a.py", 13)]
    assert (report.outside_changes, report.pre_existing) == (0, 2)
    assert "2 pre-existing findings not reported" in pull.reviews[0]["body"]


def test_a_fix_that_reaches_outside_the_hunk_is_not_offered(github: Sandbox) -> None:
    before = "import os\n" + TEN + TEN.replace("line", "more") + "print(os.name)\n"
    repo = github.create_repository("octo/outside", files={"a.py": before})
    pull = repo.open_pull_request(changes={"a.py": before.replace("import os\n", "import os, sys\n")})

    _, report, places = reviewed(pull)

    assert ("a.py", 1) in places
    for finding in report.findings:
        if finding.suggestion is not None:
            assert finding.start_line <= finding.end_line <= 4


# The parts


def test_the_hunks_of_a_patch_know_the_lines_of_the_head_side() -> None:
    patch = "@@ -1,3 +1,4 @@\n one\n+two\n three\n four\n@@ -10,2 +11 @@ def f():\n-gone\n kept"

    assert parse_hunks(patch) == (Hunk(1, 4, frozenset({2})), Hunk(11, 11, frozenset(), frozenset({11}), ("gone",)))


def test_only_newlines_end_a_line() -> None:
    assert parse_hunks("@@ -0,0 +1,2 @@\n+a\x0cb\x85c\u2028d\re\n+two") == (Hunk(1, 2, frozenset({1, 2})),)


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
