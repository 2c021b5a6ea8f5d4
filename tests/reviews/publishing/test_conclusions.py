"""What a check run concludes: the published table, and what makes a review incomplete."""

import os
from typing import Any

import pytest
from django.core.cache import cache

from reviews.config.repository import CheckSection
from reviews.findings import LeftOut, LeftOutReason, Report
from reviews.publishing.conclusions import conclusion_of
from sandbox import Fault, FaultKind, Repository, Sandbox
from telemetry.models import Conclusion
from tests.support import conclusions
from tests.support.verdicts import send, summary, verdict

GATE = CheckSection(fail_on="major")
LENIENT = CheckSection(fail_on="major", incomplete="neutral")


def test_the_published_table_is_that_of_the_code() -> None:
    if os.environ.get("KODIAI_TEST_WRITE_CONCLUSIONS"):
        conclusions.FILE.write_text(conclusions.as_text())
    assert conclusions.FILE.read_text() == conclusions.as_text(), "run make conclusions"


def left_out(reason: LeftOutReason) -> Report:
    return Report(left_out=(LeftOut("a.py", reason),))


@pytest.mark.parametrize(
    ("report", "incomplete"),
    [
        (Report(), False),
        (Report(without_engine=3), False),
        (Report(engine_failures=(("ruff", "it took too long"),)), True),
        (Report(partially_analysed=("a.py",)), True),
        (Report(truncated=True), True),
        (left_out(LeftOutReason.NO_DIFF), True),
        (left_out(LeftOutReason.NOT_TEXT), True),
        (left_out(LeftOutReason.TOO_LARGE), True),
        (left_out(LeftOutReason.UNSAFE_PATH), True),
        (left_out(LeftOutReason.UNAVAILABLE), True),
        (left_out(LeftOutReason.TOO_MANY_FILES), True),
        (left_out(LeftOutReason.TOO_MANY_LINES), True),
        (left_out(LeftOutReason.LINK), False),
        (left_out(LeftOutReason.IGNORED), False),
        (left_out(LeftOutReason.ATTRIBUTES), False),
    ],
    ids=str,
)
def test_what_is_incomplete_does_not_pass(report: Report, incomplete: bool) -> None:
    def shown(check: CheckSection) -> str:
        return conclusion_of(Conclusion.SUCCESS, report, check)

    assert report.is_incomplete is incomplete
    assert shown(GATE) == ("failure" if incomplete else "success")
    assert shown(LENIENT) == shown(CheckSection()) == ("neutral" if incomplete else "success")


@pytest.mark.sampled(2)
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("route", "limits", "shown"),
    [
        ("files", "", "failure"),
        ("contents", "", "failure"),
        ("contents", "", "neutral"),
        (None, "limits: {files: 1}\n", "failure"),
        (None, "limits: {lines: 1}\n", "neutral"),
    ],
)
def test_a_gate_holds_where_not_everything_is_read(
    github: Sandbox, repo: Repository, route: str | None, limits: str, shown: str
) -> None:
    """The configuration itself may be what could not be read: then that of the latest run applies."""
    repo.commit({".kodiai.yml": f"check: {{fail_on: critical, incomplete: {shown}}}\n{limits}"})
    send(repo.open_pull_request(changes={"notes.md": "x\n"}), "opened")
    cache.clear()
    if route is not None:
        github.fail(route, Fault(FaultKind.STATUS, status=403), times=None)
    pull = repo.open_pull_request(changes={"a.py": "x = 1\ny = 2\n", "b.py": "z = 3\n"})
    send(pull, "opened")

    assert verdict(pull) == shown
    assert ("not everything was reviewed" in summary(pull)) is (shown == "failure")


@pytest.mark.sampled(3)
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "renames", "shown"),
    [
        ({"empty.py": ""}, {}, "success"),
        ({}, {"shop.py": "shelf.py"}, "success"),
        ({"latin.py": b"name = 'caf\xe9'\n"}, {}, "failure"),
        ({"binary.py": b"\0\1\2" * 100}, {}, "failure"),
        ({"shop.py": None}, {}, "success"),
        ({"prices.csv": "1,2\n"}, {}, "success"),
    ],
)
def test_what_has_no_changed_lines_is_complete(
    repo: Repository, changes: dict[str, Any], renames: dict[str, str], shown: str
) -> None:
    repo.commit({".kodiai.yml": "check: {fail_on: critical}\n"})
    pull = repo.open_pull_request(changes=changes, renames=renames)
    send(pull, "opened")

    assert verdict(pull) == shown
