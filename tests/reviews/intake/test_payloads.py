"""Parsing of webhook bodies, field by field. test_webhook_answers.py has the answers to them."""

import json
from dataclasses import asdict
from typing import Any

import pytest

from reviews.intake.payloads import BadDelivery, ParsedDelivery, read_delivery
from reviews.models import IgnoreReason
from tests.support.webhooks import (
    comment_payload,
    merge_group_payload,
    pull_request_payload,
    reply_payload,
    without,
)

NOTHING = {
    "delivery_id": "d-1",
    "action": "",
    "repo": "",
    "repo_id": None,
    "pr_number": None,
    "installation_id": None,
    "head_sha": "",
    "base_ref": "",
    "base_sha": "",
    "repositories": (),
    "sender": "",
    "author": "",
    "addressed": False,
    "command": "",
    "comment_id": None,
    "thread_id": None,
    "ignore": None,
}
FROM_MONA = NOTHING | {"installation_id": 99, "sender": "mona", "author": "mona"}
ABOUT_IT = FROM_MONA | {"repo": "octo/demo", "pr_number": 7}
ASKED = {"action": "created", "addressed": True, "command": "review", "comment_id": 1}
SHA = "0123456789abcdef" * 4
GROUP = {"head_sha": "b" * 40, "base_sha": "a" * 40, "base_ref": "main"}


def read(event: str, payload: dict[str, Any]) -> ParsedDelivery:
    return read_delivery("d-1", event, json.dumps(payload).encode())


@pytest.mark.parametrize(
    ("event", "payload", "kept", "event_type"),
    [
        ("ping", {"zen": "Keep it logically awesome."}, NOTHING, "ping"),
        ("push", {"ref": "refs/heads/main"}, NOTHING | {"ignore": IgnoreReason.EVENT}, "push"),
        (
            "workflow_run",
            {"action": "completed"},
            NOTHING | {"action": "completed", "ignore": IgnoreReason.EVENT},
            "workflow_run.completed",
        ),
        (
            "pull_request",
            pull_request_payload(head={"sha": SHA}),
            ABOUT_IT | {"action": "opened", "head_sha": SHA},
            "pull_request.opened",
        ),
        (
            "pull_request",
            pull_request_payload("closed"),
            ABOUT_IT | {"action": "closed", "ignore": IgnoreReason.ACTION},
            "pull_request.closed",
        ),
        (
            "pull_request",
            pull_request_payload("labeled"),
            FROM_MONA | {"action": "labeled", "ignore": IgnoreReason.ACTION},
            "pull_request.labeled",
        ),
        (
            "pull_request",
            without(pull_request_payload(), "installation"),
            ABOUT_IT | {"action": "opened", "installation_id": None},
            "pull_request.opened",
        ),
        (
            "issue_comment",
            comment_payload(),
            ABOUT_IT | ASKED,
            "issue_comment.created",
        ),
        (
            "pull_request_review_comment",
            reply_payload("@kodiai ignore"),
            ABOUT_IT | ASKED | {"command": "ignore", "comment_id": 2, "thread_id": 1},
            "pull_request_review_comment.created",
        ),
        (
            "pull_request_review_comment",
            reply_payload("Why not?", in_reply_to_id=None),
            ABOUT_IT | {"action": "created", "comment_id": 2, "thread_id": 2, "ignore": IgnoreReason.NO_MENTION},
            "pull_request_review_comment.created",
        ),
        (
            "issue_comment",
            comment_payload() | {"sender": {"login": "renovate[bot]", "type": "Bot"}},
            ABOUT_IT
            | ASKED
            | {"sender": "renovate[bot]", "author": "renovate[bot]", "ignore": IgnoreReason.BOT_SENDER},
            "issue_comment.created",
        ),
        (
            "pull_request",
            pull_request_payload("edited") | {"changes": {"title": {"from": "x"}, "base": {"ref": {"from": "main"}}}},
            ABOUT_IT | {"action": "edited"},
            "pull_request.edited",
        ),
        (
            "pull_request",
            pull_request_payload("edited") | {"changes": {"title": {"from": "x"}}},
            FROM_MONA | {"action": "edited", "ignore": IgnoreReason.ACTION},
            "pull_request.edited",
        ),
        (
            "pull_request",
            pull_request_payload("synchronize", draft=True) | {"sender": {"login": "renovate[bot]", "type": "Bot"}},
            ABOUT_IT | {"action": "synchronize", "sender": "renovate[bot]"},
            "pull_request.synchronize",
        ),
        (
            "merge_group",
            merge_group_payload(),
            FROM_MONA
            | {
                "action": "checks_requested",
                "repo": "octo/demo",
                "sender": "github-merge-queue[bot]",
                "author": "github-merge-queue[bot]",
            }
            | GROUP,
            "merge_group.checks_requested",
        ),
        (
            "merge_group",
            merge_group_payload() | {"action": "destroyed", "reason": "merged"},
            FROM_MONA
            | {
                "action": "destroyed",
                "sender": "github-merge-queue[bot]",
                "author": "github-merge-queue[bot]",
                "ignore": IgnoreReason.ACTION,
            },
            "merge_group.destroyed",
        ),
        (
            "installation",
            {"action": "deleted", "installation": {"id": 1}},
            NOTHING | {"action": "deleted", "installation_id": 1},
            "installation.deleted",
        ),
        (
            "installation_repositories",
            {
                "action": "removed",
                "installation": {"id": 1},
                "repositories_removed": [{"full_name": "octo/demo"}, {"full_name": "x"}, {"full_name": 5}, "x"],
            },
            NOTHING | {"action": "removed", "installation_id": 1, "repositories": ("octo/demo",)},
            "installation_repositories.removed",
        ),
    ],
)
def test_of_each_event_what_is_needed_is_kept(
    event: str, payload: dict[str, Any], kept: dict[str, Any], event_type: str
) -> None:
    parsed = read(event, payload)

    assert asdict(parsed) == kept | {"event": event}
    assert parsed.event_type == event_type


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("@kodiai", "review"),
        ("@kodiai!", "review"),
        ("Thanks, @kodiai.\nIt is fine now", "review"),
        ("@kodiai please", "review"),
        ("@kodiai, please pause", "pause"),
        ("> @kodiai review\n\n@Kodiai:  PAUSE it", "pause"),
        ("@kodiai help @kodiai pause", "help"),
        ("@kodiai reveiw", "reveiw"),
        ("@kodiai pleased", "pleased"),
        ("@kodiai überprüfe", "überprüfe"),
        ("@kodiai " + "x" * 1000, "x" * 32),
    ],
)
def test_the_word_after_the_first_mention_is_the_command(text: str, command: str) -> None:
    assert read("issue_comment", comment_payload(text)).command == command


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


@pytest.mark.parametrize("number", [1, 2**63 - 1])
def test_the_smallest_and_the_largest_number_are_taken(number: int) -> None:
    assert read("pull_request", pull_request_payload(number=number)).pr_number == number


@pytest.mark.parametrize(
    ("event", "payload", "error"),
    [
        (
            "pull_request",
            pull_request_payload(number=None),
            "pull_request.number is missing or not a positive whole number",
        ),
        ("issue_comment", comment_payload(number=None), "issue.number is missing or not a positive whole number"),
        ("issue_comment", without(comment_payload(), "issue"), "issue is missing or not an object"),
        ("issue_comment", without(comment_payload(), "comment"), "comment is missing or not an object"),
        (
            "issue_comment",
            without(comment_payload(), "comment", "id"),
            "comment.id is missing or not a positive whole number",
        ),
        (
            "pull_request_review_comment",
            reply_payload(in_reply_to_id="1"),
            "comment.in_reply_to_id is missing or not a positive whole number",
        ),
        ("installation", {"action": "created"}, "installation.id is missing"),
        (
            "installation",
            {"action": "created", "installation": {}},
            "installation.id is missing or not a positive whole number",
        ),
        ("pull_request", pull_request_payload() | {"sender": "mona"}, "sender is missing or not an object"),
        ("pull_request", pull_request_payload("edited") | {"changes": []}, "changes is missing or not an object"),
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
