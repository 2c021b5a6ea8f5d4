"""Permissions of collaborators, reactions, and replies in review threads."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sandbox import PullRequest, Repository, Sandbox, add_comment, add_reply


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


@pytest.mark.parametrize("on_lines", [True, False])
def test_a_repeated_reaction_counts_once(
    client: httpx.Client, pull: PullRequest, first: dict[str, Any], on_lines: bool
) -> None:
    comment = add_reply(pull, "mona", "Why?", first["id"]) if on_lines else add_comment(pull, "mona", "Why?")
    path = f"/repos/octo/demo/{'pulls' if on_lines else 'issues'}/comments/{comment['id']}/reactions"
    responses = [client.post(path, json={"content": content}) for content in ("eyes", "eyes", "+1")]

    assert [response.status_code for response in responses] == [201, 200, 201]
    assert (responses[0].json()["content"], responses[0].json()["user"]["login"]) == ("eyes", "kodiai[bot]")
    counted = comment["reactions"]
    assert (counted["eyes"], counted["+1"], counted["total_count"]) == (1, 1, 2)
    assert client.post(path, json={"content": "shrug"}).status_code == 422
    assert client.post(path.replace(str(comment["id"]), "1"), json={"content": "eyes"}).status_code == 404
    listed = client.get(f"/repos/octo/demo/{'pulls' if on_lines else 'issues'}/1/comments").json()
    assert listed[-1]["reactions"]["eyes"] == 1
    assert "reacted" not in listed[-1]


def test_a_reply_is_in_its_thread_on_the_same_lines(
    client: httpx.Client, pull: PullRequest, first: dict[str, Any]
) -> None:
    response = client.post(f"{pull.api_url}/comments", json={"body": "It is.", "in_reply_to": first["id"]})

    assert response.status_code == 201
    assert [comment["body"] for comment in pull.threads[0].comments] == ["Not used.", "It is."]
    assert (response.json()["in_reply_to_id"], response.json()["line"]) == (first["id"], 1)
    assert client.get(f"{pull.api_url}/comments").json()[1] == response.json()
    assert len(pull.threads) == 1


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


@pytest.mark.parametrize("permission", ["issues", "pull_requests"])
def test_issues_or_pull_requests_permits_comments_and_reactions(
    github: Sandbox, app: httpx.Client, pull: PullRequest, headers_of: Callable[..., Any], permission: str
) -> None:
    github.permissions["issues"] = "write"
    comment = add_comment(pull, "mona", "Hello")
    headers = headers_of(permissions={permission: "write"})
    path = f"/repos/octo/demo/issues/comments/{comment['id']}/reactions"

    assert app.post(path, json={"content": "eyes"}, headers=headers).status_code == 201
    response = app.post("/repos/octo/demo/issues/1/comments", json={"body": "Hi"}, headers=headers)
    assert response.status_code == 201
