"""Answers that GitHub never gives: each ends the run with a clear conclusion, with one review at the most."""

import json
from typing import Any

import pytest
from pytest_django import Settings

from reviews.models import DeliveryStatus, Review
from sandbox import Fault, FaultKind, PullRequest, Sandbox
from tests.runs import admit, run

pytestmark = pytest.mark.django_db

HUGE = 10**400
PULL = {"state": "open", "user": {"login": "mona"}, "head": {"sha": "0" * 40}, "base": {"sha": "0" * 40, "ref": "main"}}
FILE = {"filename": "shop.py", "status": "modified", "patch": "@@ -0,0 +1 @@\n+import os"}
ANSWERS: list[tuple[str, Any]] = [
    ("pull", PULL | {"user": {"login": "mona\0"}}),
    ("pull", PULL | {"user": {"login": "m" * 10_000}}),
    ("pull", PULL | {"user": {"login": "@everyone <script>"}}),
    ("pull", PULL | {"user": {"login": HUGE}}),
    ("pull", PULL | {"user": []}),
    ("pull", PULL | {"state": HUGE}),
    ("pull", PULL | {"author_association": {"a": 1}}),
    ("pull", PULL | {"head": {"sha": "0" * 1000}}),
    ("pull", PULL | {"head": {"sha": "a\0b"}}),
    ("pull", PULL | {"head": {"sha": "@everyone fixes #1"}}),
    ("pull", PULL | {"head": None}),
    ("pull", PULL | {"base": {"sha": "\0", "ref": "../../\0"}}),
    ("files", {"filename": "a.py"}),
    ("files", [FILE | {"filename": HUGE}]),
    ("files", [FILE | {"filename": "a\0.py"}]),
    ("files", [FILE | {"patch": 1}]),
    ("files", [FILE | {"patch": "@@ -1,99999999 +1,99999999 @@\n+a"}]),
    ("files", [FILE | {"patch": "@@ -0,0 +1 @@\n+\0\ud800"}]),
    ("files", [FILE | {"patch": "@@ -0,0 +1,60000 @@" + "\n+" * 60_000}]),
    ("files", [FILE | {"status": HUGE}]),
    ("files", [FILE, FILE, FILE]),
    ("contents", {"content": "\u00e9", "encoding": "base64"}),
    ("contents", {"content": HUGE}),
    ("contents", {"content": "AAAA\0", "encoding": "base64"}),
    ("graphql", {"data": {"repository": {"e0": {"text": "import os\0\ud800", "isTruncated": False}}}}),
    ("graphql", {"data": {"repository": {"e0": {"text": HUGE}}}}),
    ("graphql", {"data": {"repository": {"e0": {"text": []}}}}),
    ("graphql", {"errors": [{"message": "\0" * 100, "type": HUGE}]}),
    ("graphql", {"errors": 1, "data": []}),
    ("search", {"total_count": HUGE}),
    ("search", {"total_count": -1}),
    ("create_review", {"id": HUGE, "html_url": "https://github.com"}),
    ("create_review", {"id": -1, "html_url": "javascript:alert(1)"}),
    ("create_review", {"id": 1, "html_url": "https://github.com/" + "x" * 5000}),
    ("create_review", {"id": 1, "html_url": "https://github.com/\0\ud800"}),
]


@pytest.mark.parametrize(("route", "answer"), ANSWERS, ids=[f"{n}-{route}" for n, (route, _) in enumerate(ANSWERS)])
def test_a_hostile_answer_ends_the_run_with_a_clear_conclusion(
    github: Sandbox, pull: PullRequest, settings: Settings, route: str, answer: Any
) -> None:
    settings.KODIAI_MAX_ATTEMPTS = 2
    github.fail(route, Fault(FaultKind.WRONG_JSON, body=answer), times=None)
    delivery = admit(pull)

    review = ended(run(delivery), delivery)

    assert review.conclusion in {"success", "partial", "error", "skipped", "superseded"}
    if review.conclusion == "error":
        assert review.conclusion_reason
    assert len(pull.reviews) <= 1
    assert "\0" not in json.dumps(review.report)


@pytest.mark.parametrize("message", ["\0" * 10, "\ud800", "x" * 100_000, "a\nb\x1b[31m<script>"], ids=ascii)
@pytest.mark.parametrize("status", [401, 403, 404, 422, 451, 500])
@pytest.mark.parametrize("route", ["pull", "create_review"])
def test_a_hostile_message_of_a_refusal_ends_the_run_with_a_clear_conclusion(
    github: Sandbox, pull: PullRequest, settings: Settings, route: str, status: int, message: str
) -> None:
    settings.KODIAI_MAX_ATTEMPTS = 2
    github.fail(route, Fault(FaultKind.STATUS, status=status, message=message), times=None)
    delivery = admit(pull)

    review = ended(run(delivery), delivery)

    assert review.conclusion in {"error", "skipped"}
    said = f"GitHub answered {status}" if status < 500 else "given up after 2 attempts: Unavailable"
    assert review.conclusion == "skipped" or review.conclusion_reason.startswith(said)
    assert len(review.conclusion_reason) < 2000
    assert pull.reviews == []


def ended(review: Review, delivery: Any) -> Review:
    """The run as it is at its end, which is no further than its attempts."""
    for _ in range(2):
        if review.finished_at is None:
            review = run(delivery)
    assert review.finished_at is not None
    assert review.delivery.status in (DeliveryStatus.DONE, DeliveryStatus.FAILED)
    return review
