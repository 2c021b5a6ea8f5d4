"""Parsing of webhook bodies, field by field. test_webhook_answers.py has the answers to them."""

import json
from dataclasses import asdict
from typing import Any

import pytest

from reviews.intake.payloads import BadDelivery, ParsedDelivery, read_delivery
from reviews.models import IgnoreReason
from tests.support.webhooks import comment_payload, merge_group_payload, pull_request_payload, reply_payload, without

NOTHING: dict[str, Any] = {
    **dict.fromkeys(["action", "repo", "head_sha", "base_ref", "base_sha", "sender", "author", "command"], ""),
    **dict.fromkeys(["repo_id", "pr_number", "installation_id", "comment_id", "thread_id", "ignore"]),
    "delivery_id": "d-1",
    "repositories": (),
    "addressed": False,
}
FROM_MONA = NOTHING | {"installation_id": 99, "sender": "mona", "author": "mona"}
ABOUT_IT = FROM_MONA | {"repo": "octo/demo", "pr_number": 7}
ASKED = {"action": "created", "addressed": True, "command": "review", "comment_id": 1}
SHA = "0123456789abcdef" * 4
BY_QUEUE = {"sender": "github-merge-queue[bot]", "author": "github-merge-queue[bot]"}
BY_BOT = {"sender": {"login": "renovate[bot]", "type": "Bot"}}
IGNORED, TITLE = {"ignore": IgnoreReason.ACTION}, {"title": {"from": "x"}}
REMOVED = [{"full_name": "octo/demo"}, {"full_name": "x"}, {"full_name": 5}, "x"]


def read(event: str, payload: dict[str, Any]) -> ParsedDelivery:
    return read_delivery("d-1", event, json.dumps(payload).encode())


@pytest.mark.parametrize(
    ("event", "payload", "kept"),
    [
        ("ping", {"zen": "Keep it logically awesome."}, NOTHING),
        ("push", {"ref": "refs/heads/main"}, NOTHING | {"ignore": IgnoreReason.EVENT}),
        ("workflow_run", {"action": "done"}, NOTHING | {"action": "done", "ignore": IgnoreReason.EVENT}),
        ("pull_request", pull_request_payload(head={"sha": SHA}), ABOUT_IT | {"action": "opened", "head_sha": SHA}),
        ("pull_request", pull_request_payload("closed"), ABOUT_IT | {"action": "closed"} | IGNORED),
        ("pull_request", pull_request_payload("labeled"), FROM_MONA | {"action": "labeled"} | IGNORED),
        (
            "pull_request",
            without(pull_request_payload(), "installation"),
            ABOUT_IT | {"action": "opened", "installation_id": None},
        ),
        (
            "pull_request",
            pull_request_payload("edited") | {"changes": TITLE | {"base": {"ref": {"from": "main"}}}},
            ABOUT_IT | {"action": "edited"},
        ),
        (
            "pull_request",
            pull_request_payload("edited") | {"changes": TITLE},
            FROM_MONA | {"action": "edited"} | IGNORED,
        ),
        (
            "pull_request",
            pull_request_payload("synchronize", draft=True) | BY_BOT,
            ABOUT_IT | {"action": "synchronize", "sender": "renovate[bot]"},
        ),
        ("issue_comment", comment_payload(), ABOUT_IT | ASKED),
        (
            "issue_comment",
            comment_payload() | BY_BOT,
            ABOUT_IT
            | ASKED
            | dict.fromkeys(["sender", "author"], "renovate[bot]")
            | {"ignore": IgnoreReason.BOT_SENDER},
        ),
        (
            "pull_request_review_comment",
            reply_payload("@kodiai ignore"),
            ABOUT_IT | ASKED | {"command": "ignore", "comment_id": 2, "thread_id": 1},
        ),
        (
            "pull_request_review_comment",
            reply_payload("Why not?", in_reply_to_id=None),
            ABOUT_IT | {"action": "created", "comment_id": 2, "thread_id": 2, "ignore": IgnoreReason.NO_MENTION},
        ),
        (
            "merge_group",
            merge_group_payload(),
            FROM_MONA
            | BY_QUEUE
            | {"action": "checks_requested", "repo": "octo/demo"}
            | {"head_sha": "b" * 40, "base_sha": "a" * 40, "base_ref": "main"},
        ),
        (
            "merge_group",
            merge_group_payload() | {"action": "destroyed", "reason": "merged"},
            FROM_MONA | BY_QUEUE | {"action": "destroyed"} | IGNORED,
        ),
        (
            "installation",
            {"action": "deleted", "installation": {"id": 1}},
            NOTHING | {"action": "deleted", "installation_id": 1},
        ),
        (
            "installation_repositories",
            {"action": "removed", "installation": {"id": 1}, "repositories_removed": REMOVED},
            NOTHING | {"action": "removed", "installation_id": 1, "repositories": ("octo/demo",)},
        ),
    ],
)
def test_of_each_event_what_is_needed_is_kept(event: str, payload: dict[str, Any], kept: dict[str, Any]) -> None:
    parsed = read(event, payload)
    assert asdict(parsed) == kept | {"event": event}
    assert parsed.event_type == (f"{event}.{kept['action']}" if kept["action"] else event)


@pytest.mark.parametrize(
    ("action", "reviewer", "addressed"),
    [
        ("review_requested", {"login": "kodiai"}, True),
        ("review_requested", {"login": "Kodiai[bot]"}, True),
        ("review_requested", {"login": "mona"}, False),
        ("review_requested", {"login": 5}, False),
        ("review_requested", {}, False),
        ("review_requested", "kodiai", False),
        ("review_requested", None, False),
        ("opened", {"login": "kodiai"}, False),
    ],
)
def test_a_review_requested_of_the_app_addresses_it(action: str, reviewer: Any, addressed: bool) -> None:
    parsed = read("pull_request", pull_request_payload(action) | {"requested_reviewer": reviewer})
    assert parsed.addressed is addressed


@pytest.mark.parametrize(
    ("head", "kept"),
    [
        ({"sha": SHA[:40]}, SHA[:40]),
        ({"sha": SHA[:39]}, ""),
        ({"sha": SHA + "0"}, ""),
        ({"sha": SHA.upper()}, ""),
        ({"sha": 5}, ""),
        ({}, ""),
        (SHA, ""),
        (None, ""),
    ],
)
def test_a_head_commit_is_kept_where_it_can_be_one(head: Any, kept: str) -> None:
    assert read("pull_request", pull_request_payload(head=head)).head_sha == kept


@pytest.mark.parametrize("sender", [{}, {"sender": None}, {"sender": {}}, {"sender": {"login": 5}}])
def test_a_body_that_does_not_name_its_sender_is_acted_on(sender: dict[str, Any]) -> None:
    parsed = read("pull_request", without(pull_request_payload(), "sender") | sender)
    assert (parsed.sender, parsed.ignore) == ("", None)


@pytest.mark.parametrize("number", [None, "7", -1, 2**63, True])
def test_a_repository_without_a_valid_id_has_none(number: Any) -> None:
    parsed = read("pull_request", pull_request_payload() | {"repository": {"full_name": "octo/demo", "id": number}})
    assert (parsed.repo, parsed.repo_id) == ("octo/demo", None)


@pytest.mark.parametrize("number", [1, 2**63 - 1])
def test_the_smallest_and_the_largest_number_are_taken(number: int) -> None:
    assert read("pull_request", pull_request_payload(number=number)).pr_number == number


NUMBER = "is missing or not a positive whole number"


@pytest.mark.parametrize(
    ("event", "payload", "error"),
    [
        ("pull_request", pull_request_payload(number=None), f"pull_request.number {NUMBER}"),
        ("pull_request", pull_request_payload() | {"sender": "mona"}, "sender is missing or not an object"),
        ("pull_request", pull_request_payload("edited") | {"changes": []}, "changes is missing or not an object"),
        ("issue_comment", comment_payload(number=None), f"issue.number {NUMBER}"),
        ("issue_comment", without(comment_payload(), "issue"), "issue is missing or not an object"),
        ("issue_comment", without(comment_payload(), "comment"), "comment is missing or not an object"),
        ("issue_comment", without(comment_payload(), "comment", "id"), f"comment.id {NUMBER}"),
        ("pull_request_review_comment", reply_payload(in_reply_to_id="1"), f"comment.in_reply_to_id {NUMBER}"),
        ("installation", {"action": "created"}, "installation.id is missing"),
        ("installation", {"action": "created", "installation": {}}, f"installation.id {NUMBER}"),
        ("merge_group", without(merge_group_payload(), "merge_group"), "merge_group is missing or not an object"),
        ("merge_group", merge_group_payload(head_sha="main"), "merge_group.head_sha is missing or invalid"),
        ("merge_group", merge_group_payload(base_sha=None), "merge_group.base_sha is missing or invalid"),
        ("merge_group", merge_group_payload(base_ref=5), "merge_group.base_ref is missing or invalid"),
        ("merge_group", merge_group_payload(base_ref="refs/heads/"), "merge_group.base_ref is missing or invalid"),
        ("check_run", {"action": "x" * 101}, "action is longer than 100 characters"),
        ("check_run", {"action": "a\0b"}, "action contains a NUL byte"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_name(event: str, payload: dict[str, Any], error: str) -> None:
    with pytest.raises(BadDelivery) as refused:
        read(event, payload)
    assert str(refused.value) == error
