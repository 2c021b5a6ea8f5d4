"""A sandbox per test, and HTTP clients with and without tokens."""

import ssl
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sandbox import PullRequest, Repository, Sandbox
from tests.support.waiting import PATIENCE

# Loading the system's certificates takes longer than most tests here.
SSL_CONTEXT = ssl.create_default_context()


def client_of(github: Sandbox, headers: dict[str, str]) -> httpx.Client:
    return httpx.Client(base_url=github.url, headers=headers, verify=SSL_CONTEXT, timeout=PATIENCE, trust_env=False)


@pytest.fixture
def github() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def repo(github: Sandbox) -> Repository:
    return github.create_repository("octo/demo", files={"README.md": "# demo\n", "app.py": "a\nb\nc\n"})


@pytest.fixture
def pull(repo: Repository) -> PullRequest:
    return repo.open_pull_request(title="Add a helper", changes={"helper.py": "import os\n"})


@pytest.fixture
def anonymous(github: Sandbox) -> Iterator[httpx.Client]:
    with client_of(github, {}) as client:
        yield client


@pytest.fixture
def app(github: Sandbox, anonymous: httpx.Client) -> Iterator[httpx.Client]:
    """A client with a JSON web token of the App."""
    headers = {"Authorization": f"Bearer {json_web_token(github)}"}
    with client_of(github, headers) as client:
        yield client


@pytest.fixture
def headers_of(app: httpx.Client, repo: Repository) -> Callable[..., dict[str, str]]:
    """Returns a function that makes the header of a token of `repo`'s installation, with what its request says."""

    def issued(**requested: Any) -> dict[str, str]:
        response = app.post(f"/app/installations/{repo.installation_id}/access_tokens", json=requested or None)
        assert response.status_code == 201, response.text
        return {"Authorization": f"Bearer {response.json()['token']}"}

    return issued


@pytest.fixture
def client(github: Sandbox, headers_of: Callable[..., dict[str, str]]) -> Iterator[httpx.Client]:
    """A client with a token of the installation that `repo` belongs to; the request for the token is not recorded."""
    headers = headers_of()
    github.reset_calls()
    with client_of(github, headers) as client:
        yield client


@cache
def signing_key(pem: str) -> Any:
    """Parse a key once: checking its primes for every token takes most of the tests' time."""
    return load_pem_private_key(pem.encode(), password=None)


def json_web_token(github: Sandbox, **claims: object) -> str:
    now = int(time.time())
    payload = {"iss": str(github.app_id), "iat": now - 60, "exp": now + 540} | claims
    return jwt.encode(payload, signing_key(github.private_key), "RS256")


@pytest.fixture
def files_of(client: httpx.Client) -> Callable[[PullRequest], dict[str, dict]]:
    """Returns a function that lists the changed files of a pull request by name."""

    def listed(pull: PullRequest) -> dict[str, dict]:
        return {file["filename"]: file for file in client.get(f"{pull.api_url}/files?per_page=100").json()}

    return listed
