"""The page of the admin that sums up what became of each rule's findings."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.kodiai.test_pages import needs_nothing_forbidden
from tests.support.factories import IgnoredFindingFactory, ReportedFindingFactory, ThumbsDownFactory

pytestmark = [pytest.mark.django_db, pytest.mark.database]

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


def test_the_dashboard_leads_to_the_rules(admin_client: Client) -> None:
    assert f'<a href="{RULES}">Rules</a>' in admin_client.get("/admin/").content.decode()
