"""Findings that are suppressed: repeated, not new, or in conflict with a neighbour."""

import pytest

from reviews.findings import Report, Suggestion
from sandbox import Repository
from tests.support.runs import admit, run

pytestmark = pytest.mark.django_db


def reviewed(repo: Repository, before: str, after: str, path: str = "notes.md") -> Report:
    repo.commit({path: before})
    pull = repo.open_pull_request(changes={path: after}, author="mona", author_association="MEMBER")
    return Report.from_json(run(admit(pull)).report)


def test_a_moved_misspelling_is_not_new(repo: Repository) -> None:
    before = "We recieve the goods.\n\nThe end of it.\n"
    report = reviewed(repo, before, "On Mondays we recieve all of the goods.\n\nThe end of it.\n")
    assert (report.findings, report.pre_existing) == ((), 1)


def test_a_new_misspelling_beside_an_old_one_is_reported(repo: Repository) -> None:
    report = reviewed(repo, "We recieve the goods.\n", "We recieve the goods at this adress.\n")
    assert [finding.words for finding in report.findings] == [("recieve", "adress")]


def test_a_removed_misspelling_does_not_excuse_a_new_one(repo: Repository) -> None:
    lines = [f"This is the line of number {number}.\n" for number in range(40)]
    after = ["Here we recieve it.\n", *lines[1:]]
    report = reviewed(repo, "".join([*lines, "We recieve it.\n"]), "".join(after))
    assert [finding.start_line for finding in report.findings] == [1]


def test_one_suggestion_for_a_line_is_offered(repo: Repository) -> None:
    repo.commit({".kodiai.yml": "severities: {rules: {SC2086: minor, SC2164: minor}}\n"})
    report = reviewed(repo, "#!/bin/sh\n", "#!/bin/sh\ncd $1\n", "go.sh")
    offered = {finding.rule: finding.suggestion for finding in report.findings}
    assert sorted(offered) == ["SC2086", "SC2164"]
    (taken,) = [suggestion for suggestion in offered.values() if suggestion]
    assert isinstance(taken, Suggestion)
    (other,) = [finding for finding in report.findings if finding.suggestion is None]
    assert other.fix in ('replace with `cd "$1"`', "replace with `cd $1 || exit`")


def test_configured_severities_decide_which_suggestion_wins(repo: Repository) -> None:
    for severe, other in (("SC2086", "SC2164"), ("SC2164", "SC2086")):
        repo.commit({".kodiai.yml": f"severities: {{rules: {{{severe}: critical, {other}: info}}}}\n"})
        report = reviewed(repo, "#!/bin/sh\n", f"#!/bin/sh\ncd $1 # {severe}\n", "go.sh")
        assert {finding.rule for finding in report.findings if finding.suggestion} == {severe}


def test_an_import_for_an_entry_point_is_not_removed(repo: Repository) -> None:
    changes = {"app/a.py": "from app.settings import Main\n", "pyproject.toml": "[project.scripts]\na = 'app.a:Main'\n"}
    pull = repo.open_pull_request(changes=changes, author="mona", author_association="MEMBER")
    (finding,) = Report.from_json(run(admit(pull)).report).findings
    assert (finding.rule, finding.suggestion) == ("F401", None)
