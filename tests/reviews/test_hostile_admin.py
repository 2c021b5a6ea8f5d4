"""Hostile text is shown as text on every page of the admin."""

import re
from html.parser import HTMLParser

import pytest
from django.test import Client

from reviews.findings import Finding, LeftOut, LeftOutReason, Report, Severity
from reviews.models import DeliveryStatus
from tests.support.factories import DeliveryFactory, ExecutionFactory, RateLimitEventFactory, ReviewFactory

pytestmark = [pytest.mark.django_db, pytest.mark.database]

ATTACK = "\"'></a></td><script>alert(1)</script><img src=x onerror=alert(1)><svg/onload=alert(1)>{{7*7}}{% debug %}"
TABLES = ("reviews/delivery", "reviews/review", "telemetry/ratelimitevent", "telemetry/execution")


class Page(HTMLParser):
    """Collects what a browser would run or load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name.startswith("on") or (name in ("src", "href", "action") and _leads_away(value or "")):
                self.found.append(f"<{tag} {name}={value}>")
        if tag == "script" and not dict(attributes).get("src"):
            self.found.append(f"<{tag}>")


def _leads_away(address: str) -> bool:
    scheme = re.match(r"\s*([a-zA-Z][\w+.-]*):", address)
    return address.startswith("//") or (scheme is not None and scheme[1].lower() not in ("https", "http"))


@pytest.fixture
def rows() -> dict[str, int]:
    """One row of each table, hostile wherever a stranger's text can get."""
    names = dict.fromkeys(("delivery_id", "event_type", "repo"), ATTACK)
    delivery = DeliveryFactory(event=ATTACK, sender=ATTACK, failure=ATTACK, status=DeliveryStatus.FAILED, **names)
    report = Report(
        findings=(Finding(ATTACK, 1, 1, Severity.MAJOR, ATTACK, ATTACK, rule_url="javascript:alert(1)"),),
        left_out=(LeftOut(ATTACK, LeftOutReason.UNAVAILABLE),),
        engine_failures=((ATTACK, ATTACK),),
    )
    review = ReviewFactory(
        delivery=delivery, repo=ATTACK, pr_author=ATTACK, conclusion="error", conclusion_reason=ATTACK,
        github_review_url="javascript:alert(1)//https://github.com", report=report.to_json(), lease_owner=ATTACK[:100],
    )  # fmt: skip
    event = RateLimitEventFactory(degradation_path=ATTACK, **names)
    texts = ("pr_author", "provider", "model", "conclusion", "session_id", "stop_reason")
    execution = ExecutionFactory(**names, **dict.fromkeys(texts, ATTACK))
    return {table: row.pk for table, row in zip(TABLES, (delivery, review, event, execution), strict=True)}


@pytest.mark.parametrize("table", TABLES)
def test_every_page_of_a_table_shows_hostile_rows_as_text(
    admin_client: Client, rows: dict[str, int], table: str
) -> None:
    for page in ("", f"{rows[table]}/change/", f"{rows[table]}/history/"):
        answer = admin_client.get(f"/admin/{table}/{page}")
        assert answer.status_code == 200
        html = answer.content.decode()
        # The attack is there, as text.
        assert "&lt;script&gt;alert(1)" in html
        assert Page(html).found == []
        assert "<script>alert(1)" not in html
        assert "{{7*7}}" in html


def test_hostile_searches_and_filters_are_shown_as_text(admin_client: Client, rows: dict[str, int]) -> None:
    for table in rows:
        for query in ({"q": ATTACK}, {"event_type": ATTACK}, {"repo": ATTACK}, {"q": "\0"}, {ATTACK: ATTACK}):
            answer = admin_client.get(f"/admin/{table}/", query, follow=True)
            assert answer.status_code in (200, 400), (table, query)
            assert "<script>alert(1)" not in answer.content.decode()


def test_the_check_itself_sees_what_a_browser_would_run() -> None:
    for bad in ("<script>1</script>", "<b onclick=x>", "<a href='javascript:x'>", "<img src=//evil>", "<svg onload=x>"):
        assert Page(bad).found


def test_requeued_hostile_rows_are_shown_as_text(admin_client: Client, rows: dict[str, int]) -> None:
    answer = admin_client.post(
        "/admin/reviews/delivery/",
        {"action": "queue_again", "_selected_action": [rows["reviews/delivery"]]},
        follow=True,
    )
    assert Page(answer.content.decode()).found == []
