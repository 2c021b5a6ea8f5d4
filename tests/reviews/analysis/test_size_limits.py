"""Of a pull request over the limits, the riskiest files are analysed and the others named."""

import pytest

from reviews.analysis.size_limits import over_limit, risk
from reviews.config.repository import LimitsSection
from reviews.findings import LeftOutReason, Report
from reviews.github.patches import Hunk
from sandbox import PullRequest, Repository, Sandbox
from tests.support.runs import admit, run

FILES, LINES = LeftOutReason.TOO_MANY_FILES, LeftOutReason.TOO_MANY_LINES


def hunks(**lines: int) -> dict[str, list[Hunk]]:
    return {f"{name}.py": [Hunk(1, count, frozenset(range(1, count + 1)))] for name, count in lines.items()}


def test_privileged_code_is_riskiest_and_prose_least() -> None:
    paths = [
        ".github/workflows/ci.yml", "deploy/Dockerfile", "shop/cart.py", "config/settings.toml", "docs/guide.md",
    ]  # fmt: skip
    assert [risk(path) for path in paths] == [0, 1, 2, 3, 4]
    assert [risk(path) for path in ("tools/action.yml", "a/.github/workflows/ci.yml", "x.unknown")] == [0, 3, 3]


def test_what_changes_more_comes_first_and_ties_have_an_order() -> None:
    assert over_limit(hunks(a=1, b=3, c=2, d=2), LimitsSection(files=2)) == {"d.py": FILES, "a.py": FILES}


def test_a_file_that_does_not_fit_in_keeps_no_smaller_one_out() -> None:
    assert over_limit(hunks(a=9, b=4, c=3), LimitsSection(lines=8)) == {"a.py": LINES}
    assert over_limit(hunks(a=9, b=9), LimitsSection(lines=18)) == {}


@pytest.fixture
def large(repo: Repository) -> PullRequest:
    """Six files under a limit of two."""
    repo.commit({".kodiai.yml": "limits: {files: 2}\n", ".gitattributes": "made/* linguist-generated\n"})
    changes = {
        "README.md": "Read me.\n" * 9,
        "a.py": "import os\n",
        "b.py": "import os\n" * 2,
        "made/c.py": "import os\n" * 50,
        ".github/workflows/ci.yml": "on: push\npermissions: {}\njobs: {}\n",
        ".kodiai.yml": "limits: {files: 4}\n",
    }
    return repo.open_pull_request(changes=changes, author="mona", author_association="OWNER")


@pytest.mark.django_db
def test_the_review_names_what_was_skipped_and_why(github: Sandbox, large: PullRequest) -> None:
    report = Report.from_json(run(admit(large)).report)

    assert report.analysed_files == (".github/workflows/ci.yml", ".kodiai.yml", "b.py")
    assert {left.path: left.reason for left in report.left_out} == {
        "a.py": FILES, "README.md": FILES, "made/c.py": LeftOutReason.ATTRIBUTES,
    }  # fmt: skip
    body = large.reviews[0]["body"]
    assert "- 2 files not analysed: over the size limit; the riskiest files come first." in body
    assert "- `a.py`: over the limit of files per review (`limits.files`)\n" in body
    assert "This pull request changes `.kodiai.yml`, but the base branch's version is used. It is valid." in body
    assert github.count("graphql") == 2


@pytest.mark.django_db
def test_a_finding_in_a_file_over_the_limit_is_not_resolved(repo: Repository) -> None:
    repo.commit({".kodiai.yml": "limits: {files: 1}\n"})
    pull = repo.open_pull_request(changes={"a.py": "import os\n"}, author="mona")
    run(admit(pull))
    pull.push({"b.py": "x = 1\ny = 2\n"})
    later = run(admit(pull, "synchronize"))

    assert later.report["analysed_files"] == ["b.py"]
    assert not any("Gone" in comment["body"] for comment in pull.review_comments)
    assert "gone" not in pull.reviews[0]["body"]


@pytest.mark.django_db
def test_more_files_than_are_named_are_counted_by_the_reason(repo: Repository) -> None:
    repo.commit({".kodiai.yml": "limits: {files: 1}\n"})
    pull = repo.open_pull_request(changes={f"m{number:02}.py": "x = 1\n" for number in range(61)}, author="mona")
    run(admit(pull))

    assert f"- `m50.py`: {FILES}\n- and 10 more: {FILES}\n" in pull.reviews[0]["body"]
