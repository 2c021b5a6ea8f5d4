from collections.abc import Iterator

import pytest
from pytest_django import Settings

from sandbox import PullRequest, Repository, Sandbox
from sandbox.llm import ModelServer
from tests.support.language_models import KEY
from tests.support.shop import AFTER, BEFORE
from tests.support.waiting import PATIENCE


@pytest.fixture
def repo(github: Sandbox) -> Repository:
    """A repository in which mona and octocat may write."""
    repo = github.create_repository("octo/demo", files={"shop.py": BEFORE})
    repo.roles |= {"mona": "write", "octocat": "maintain"}
    return repo


@pytest.fixture
def pull(github: Sandbox, repo: Repository) -> PullRequest:
    """A pull request of a contributor with four merged ones, in whose code ruff finds three things."""
    github.merged_pull_requests["octo/demo", "mona"] = 4
    return repo.open_pull_request(changes={"shop.py": AFTER}, author="mona", author_association="CONTRIBUTOR")


@pytest.fixture
def model(settings: Settings) -> Iterator[ModelServer]:
    """A language model that is configured, and finds nothing by default."""
    with ModelServer() as server:
        settings.KODIAI_LLM_MODEL = "openai:gpt-5-mini"
        settings.KODIAI_LLM_BASE_URL = f"{server.url}/v1"
        settings.KODIAI_LLM_API_KEY = KEY
        settings.KODIAI_LLM_TIMEOUT = PATIENCE
        yield server
