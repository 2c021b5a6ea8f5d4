"""Authentication: JSON web tokens of the App and installation tokens."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sandbox import PullRequest, Repository, Sandbox
from tests.sandbox.conftest import json_web_token

HeadersOf = Callable[..., dict[str, str]]


@pytest.mark.parametrize(
    ("claims", "status", "words"),
    [
        ({"exp": 1}, 401, "'Expiration time' claim ('exp') must be"),
        ({"exp": "soon"}, 401, "'Expiration time' claim ('exp') must be"),
        ({"exp": int(time.time()) + 3600}, 401, "too far in the future"),
        ({"iat": None}, 401, "'Issued at' claim"),
        ({"iat": int(time.time()) + 3600}, 401, "'Issued at' claim"),
        ({"iss": "2"}, 404, "Integration not found"),
    ],
)
def test_a_json_web_token_with_bad_claims_is_refused(
    anonymous: httpx.Client, github: Sandbox, claims: dict, status: int, words: str
) -> None:
    token = json_web_token(github, **claims)
    response = anonymous.get("/app", headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == status
    assert words in response.json()["message"]


def test_a_token_can_be_scoped_to_repositories(app: httpx.Client, github: Sandbox, pull: PullRequest) -> None:
    other = github.create_repository("octo/other").open_pull_request()
    path = f"/app/installations/{pull.repository.installation_id}/access_tokens"
    body = app.post(path, json={"repositories": ["demo"]}).json()
    assert [repo["full_name"] for repo in body["repositories"]] == ["octo/demo"]
    headers = {"Authorization": f"Bearer {body['token']}"}
    assert app.get(pull.api_url, headers=headers).status_code == 200
    assert app.get(other.api_url, headers=headers).status_code == 404


@pytest.mark.parametrize("requested", [{"repositories": ["elsewhere"]}, {"permissions": {"administration": "write"}}])
def test_a_token_for_more_than_the_app_has_is_422(app: httpx.Client, repo: Repository, requested: Any) -> None:
    assert app.post(f"/app/installations/{repo.installation_id}/access_tokens", json=requested).status_code == 422


def test_a_token_is_limited_to_its_permissions(app: httpx.Client, pull: PullRequest, headers_of: HeadersOf) -> None:
    headers = headers_of(permissions={"pull_requests": "read"})
    assert app.get(pull.api_url, headers=headers).status_code == 200
    response = app.post(f"{pull.api_url}/reviews", json={"event": "COMMENT", "body": "Hi"}, headers=headers)
    assert (response.status_code, response.json()["message"]) == (403, "Resource not accessible by integration")
    assert pull.reviews == []
