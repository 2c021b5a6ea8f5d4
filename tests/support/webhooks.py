"""Signed webhook requests against Django's test client, with bodies of the tests' own making."""

import hashlib
import hmac
import json
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.test import Client


def pull_request_payload(action: str = "opened", **pull_request: Any) -> dict[str, Any]:
    """The part of a `pull_request` body that GitHub always sends and Kodiai reads."""
    return {
        "action": action,
        "number": 7,
        "pull_request": {"number": 7, "draft": False, "user": {"login": "mona", "type": "User"}, **pull_request},
        "repository": {"full_name": "octo/demo", "name": "demo", "owner": {"login": "octo"}},
        "installation": {"id": 99},
        "sender": {"login": "mona", "type": "User"},
    }


def comment_payload(body: Any = "@kodiai please", **issue: Any) -> dict[str, Any]:
    return {
        "action": "created",
        "issue": {"number": 7, "pull_request": {"url": "https://api.github.com/repos/octo/demo/pulls/7"}, **issue},
        "comment": {"id": 1, "body": body, "user": {"login": "mona", "type": "User"}},
        "repository": {"full_name": "octo/demo"},
        "installation": {"id": 99},
        "sender": {"login": "mona", "type": "User"},
    }


def reply_payload(body: Any = "@kodiai please", **comment: Any) -> dict[str, Any]:
    """The part of a `pull_request_review_comment` body about a reply that Kodiai reads."""
    return {
        "action": "created",
        "pull_request": {"number": 7, "head": {"sha": "a" * 40}},
        "comment": {"id": 2, "in_reply_to_id": 1, "body": body, **comment},
        "repository": {"full_name": "octo/demo"},
        "installation": {"id": 99},
        "sender": {"login": "mona", "type": "User"},
    }


def check_payload(event: str = "check_run", **check: Any) -> dict[str, Any]:
    """The part of a `check_run` or `check_suite` body about a re-run that Kodiai reads."""
    about = {"head_sha": "a" * 40, "app": {"id": 1, "slug": "kodiai"}, "pull_requests": [{"number": 7}], **check}
    return {
        "action": "rerequested",
        event: about,
        "repository": {"full_name": "octo/demo"},
        "installation": {"id": 99},
        "sender": {"login": "mona", "type": "User"},
    }


def merge_group_payload(**group: Any) -> dict[str, Any]:
    """The part of a `merge_group` body that Kodiai reads."""
    refs = {"head_ref": "refs/heads/gh-readonly-queue/main/pr-7-" + "a" * 40, "base_ref": "refs/heads/main"}
    return {
        "action": "checks_requested",
        "merge_group": {"head_sha": "b" * 40, "base_sha": "a" * 40, **refs, **group},
        "repository": {"full_name": "octo/demo"},
        "installation": {"id": 99},
        "sender": {"login": "github-merge-queue[bot]", "type": "Bot"},
    }


def without(payload: dict[str, Any], *path: str) -> dict[str, Any]:
    """A copy of a body that lacks what is at the end of `path`."""
    payload = json.loads(json.dumps(payload))
    inner = payload
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return payload


def sign(body: bytes, secret: str | None = None) -> str:
    key = (secret or settings.KODIAI_GITHUB_WEBHOOK_SECRET[0]).encode()
    return "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()


def deliver(
    client: Client,
    payload: Any,
    *,
    event: str | None = "pull_request",
    delivery_id: str | None = "d-1",
    signature: str | None = "",
    content_type: str = "application/json",
) -> HttpResponse:
    """POST a delivery as GitHub does. `payload` may be the raw body; `signature` None leaves the header out."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    headers = {}
    if event is not None:
        headers["X-GitHub-Event"] = event
    if delivery_id is not None:
        headers["X-GitHub-Delivery"] = delivery_id
    if signature is not None:
        headers["X-Hub-Signature-256"] = signature or sign(body)
    return client.post("/webhooks/github", body, content_type=content_type, headers=headers)
