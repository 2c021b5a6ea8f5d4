"""Permissions of collaborators, reactions, and replies in review threads."""

from typing import Any

import httpx
import pytest

from sandbox import PullRequest, Repository, add_reply


@pytest.fixture
def first(client: httpx.Client, pull: PullRequest) -> dict[str, Any]:
    """A comment of the App's on a line."""
    comments = [{"path": "helper.py", "line": 1, "body": "Not used."}]
    client.post(f"{pull.api_url}/reviews", json={"event": "COMMENT", "body": "Look.", "comments": comments})
    return pull.threads[0].first


@pytest.mark.parametrize(
    ("role", "permission"),
    [("admin", "admin"), ("maintain", "write"), ("write", "write"), ("triage", "read"), ("read", "read")],
)
def test_each_role_has_a_permission(client: httpx.Client, repo: Repository, role: str, permission: str) -> None:
    repo.roles["mona"] = role
    response = client.get("/repos/octo/demo/collaborators/Mona/permission").json()
    assert (response["permission"], response["role_name"], response["user"]["login"]) == (permission, role, "Mona")


def test_replies_to_replies_and_empty_replies_are_422(
    client: httpx.Client, pull: PullRequest, first: dict[str, Any]
) -> None:
    reply = add_reply(pull, "mona", "Why?", first["id"])

    for body in (
        {"body": "So.", "in_reply_to": reply["id"]},
        {"body": " ", "in_reply_to": first["id"]},
        {"body": "So."},
    ):
        assert client.post(f"{pull.api_url}/comments", json=body).status_code == 422
    assert len(pull.threads[0].comments) == 2
