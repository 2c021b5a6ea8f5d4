"""What becomes of findings is followed through real runs, and rules are judged by it."""

import io
import json
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from reviews.engines import llm
from reviews.maintenance import finding_outcomes
from reviews.maintenance.finding_outcomes import follow_findings
from reviews.models import CountedUntil, IgnoredFinding, ReportedFinding
from reviews.publishing.rule_statistics import RuleStatistics, statistics_of_rules, wilson
from sandbox import PullRequest
from tests.kodiai.test_pages import needs_nothing_forbidden
from tests.support.factories import IgnoredFindingFactory, ReportedFindingFactory, ThumbsDownFactory
from tests.support.runs import admit, run
from tests.support.shop import AFTER
from tests.telemetry.test_api import with_token

pytestmark = [pytest.mark.django_db, pytest.mark.database]

FIXED = AFTER.replace("import os\n\n\n", "")
"""Without what ruff calls F401."""


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding_outcomes, "LAG", timedelta(0))


def review(pull: PullRequest, text: str = "", action: str = "synchronize") -> None:
    """Let the pull request be reviewed, and follow its findings."""
    if text:
        pull.push({"shop.py": text})
    run(admit(pull, action))
    follow_findings()


def outcomes() -> dict[str, tuple[bool, bool]]:
    """Of each finding, by its rule: whether it is fixed, and whether a person resolved it."""
    return {row.rule: (row.fixed_at is not None, row.resolved_at is not None) for row in ReportedFinding.objects.all()}


def now(days: int = 90, repo: str = "") -> list[RuleStatistics]:
    return statistics_of_rules(timezone.now() - timedelta(days=days), timezone.now() + timedelta(minutes=1), repo)


# What becomes of findings


def test_a_finding_is_reported_once_and_fixed_when_it_is_gone(pull: PullRequest) -> None:
    review(pull, action="opened")
    review(pull, AFTER + "\n\nmore = 1\n")
    assert set(outcomes()) == {"F401", "F821", "B033"}
    assert set(outcomes().values()) == {(False, False)}

    review(pull, FIXED)
    assert outcomes() == {"F401": (True, False), "F821": (False, False), "B033": (False, False)}

    review(pull, AFTER)
    assert outcomes()["F401"] == (False, False), "it is back"
    assert ReportedFinding.objects.count() == 3


def test_what_could_not_be_read_is_not_fixed(pull: PullRequest) -> None:
    review(pull, action="opened")

    review(pull, AFTER + "\n\ndef broken(:\n")

    assert outcomes()["F401"] == (False, False)


def test_a_resolved_thread_is_noted_and_ignored_is_not_fixed(pull: PullRequest) -> None:
    review(pull, action="opened")
    thread = next(thread for thread in pull.threads if "F821" in thread.first["body"])
    thread.resolved_by = "mona"
    row = ReportedFinding.objects.get(rule="F401")
    IgnoredFindingFactory(repo=row.repo, repo_id=row.repo_id, content_hash=row.fingerprint[:24], rule="F401")

    review(pull, AFTER + "\n\nmore = 1\n")

    assert outcomes() == {"F401": (False, False), "F821": (False, True), "B033": (False, False)}


def test_a_report_is_read_once(pull: PullRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding_outcomes, "MAX_RUNS", 1)
    run(admit(pull))
    pull.push({"shop.py": FIXED})
    run(admit(pull, "synchronize"))
    follow_findings()
    assert outcomes()["F401"] == (True, False)
    moment = CountedUntil.of(finding_outcomes.SOURCE)

    ReportedFinding.objects.all().delete()
    follow_findings()

    assert not ReportedFinding.objects.exists()
    assert CountedUntil.of(finding_outcomes.SOURCE) >= moment


# How rules are judged


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # As R's binom::binom.wilson gives them.
    [(0, 0, 0, 1), (0, 10, 0, 0.2775), (3, 10, 0.1078, 0.6032), (50, 100, 0.4038, 0.5962), (10, 10, 0.7225, 1)],
)
def test_intervals_are_wilsons(successes: int, trials: int, low: float, high: float) -> None:
    interval = wilson(successes, trials)

    assert (interval.low, interval.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


@pytest.mark.parametrize(
    ("changes", "proposed"),
    [
        ({}, True),
        ({"reported": 29, "fixed": 0}, False),
        ({"fixed": 12}, False),
        ({"severity": "critical"}, False),
        ({"severity": "info"}, False),
        ({"engine": "secrets"}, False),
        ({"engine": "zizmor"}, False),
        ({"engine": llm.NAME}, False),
    ],
    ids=str,
)
def test_only_a_rule_that_is_hardly_ever_fixed_is_proposed(changes: dict[str, object], proposed: bool) -> None:
    values = {"reported": 200, "fixed": 4, "resolved": 0, "ignored": 3, "disliked": 2, "severity": "minor"}

    rule = RuleStatistics(**{"engine": "ruff", "rule": "F401", **values, **changes})  # type: ignore[arg-type]

    assert rule.proposed_for_info is proposed


def test_the_command_and_the_api_show_the_same(pull: PullRequest) -> None:
    ReportedFindingFactory.create_batch(60)
    ReportedFindingFactory.create_batch(2, rule="F821", fixed_at=timezone.now())
    text, document = io.StringIO(), io.StringIO()

    call_command("rule_report", stdout=text)
    call_command("rule_report", "--json", stdout=document)
    client = with_token(User.objects.create_superuser("root"))
    answer = client.get("/api/v1/aggregates/rules/?limit=500").json()

    assert "Proposal: F401 as info. At most 6% of its findings are fixed" in text.getvalue()
    assert "Proposal: F821" not in text.getvalue()
    assert answer["results"] == json.loads(document.getvalue())
    assert [(rule["rule"], rule["proposed_for_info"]) for rule in answer["results"]] == [
        ("F401", True),
        ("F821", False),
    ]
    assert client.get("/api/v1/aggregates/rules/?days=367").status_code == 400
    assert not IgnoredFinding.objects.exists(), "a proposal changes nothing"


# The page of the admin


RULES = "/admin/reviews/reportedfinding/rules/"


def shown(client: Client, query: str = "") -> dict[str, list[str]]:
    """The cells of each rule, by its name."""
    page = client.get(f"{RULES}{query}").content.decode()
    (body,) = re.findall(r"<tbody>(.*?)</tbody>", page, re.DOTALL) or [""]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in body.split("<tr>")[1:]]
    return {cells[0]: [re.sub(r"<[^>]+>", "", cell) for cell in cells[1:]] for cells in rows}


def test_each_rule_has_its_figures_in_all_or_one_repository(admin_client: Client) -> None:
    moment = timezone.now()
    ReportedFindingFactory.create_batch(3, fixed_at=moment)
    ReportedFindingFactory(resolved_at=moment, repo="acme/api", severity="major")
    ReportedFindingFactory(rule="F821", reported_at=moment - timedelta(days=100))
    IgnoredFindingFactory(rule="F401")
    ThumbsDownFactory(rule="F401", repo="acme/api")

    assert shown(admin_client) == {
        "F401": ["ruff", "major", "4", "3", "1", "1", "1", "75 % 30 % to 95 %", "50 % 15 % to 85 %", ""]
    }
    assert shown(admin_client, "?repo=acme/api")["F401"][2:7] == ["1", "0", "1", "0", "1"]
    assert shown(admin_client, "?days=7")["F401"][2] == "4"
    assert shown(admin_client, "?days=30&repo=acme/none") == {}
    assert set(shown(admin_client, "?days=x")) == {"F401"}


def test_a_proposal_is_shown_and_said_to_change_nothing(admin_client: Client) -> None:
    ReportedFindingFactory.create_batch(60)
    ReportedFindingFactory.create_batch(60, rule="generic-api-key", engine="secrets", severity="major")
    ReportedFindingFactory.create_batch(60, rule="F821", fixed_at=timezone.now())

    page = admin_client.get(RULES).content.decode()

    assert {rule: cells[-1] for rule, cells in shown(admin_client).items()} == {
        "F401": "info",
        "generic-api-key": "",
        "F821": "",
    }
    assert "Nothing changes by itself." in page
    assert "Never proposed: rules about security" in page


def test_hostile_names_are_text_and_queries_stay_few(admin_client: Client) -> None:
    attack = "\"'><script>alert(1)</script>"
    ReportedFindingFactory(rule=attack, engine=attack, repo=attack)

    with CaptureQueriesContext(connection) as few:
        answer = admin_client.get(RULES, {"repo": attack})
    for number in range(20):
        ReportedFindingFactory(rule=f"rule-{number}", repo=f"acme/{number}")
    with CaptureQueriesContext(connection) as many:
        admin_client.get(RULES)

    page = answer.content.decode()
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(1)") >= 4
    needs_nothing_forbidden(answer)
    assert len(many) <= len(few) <= 8
