"""GET /search/issues."""

import httpx
import pytest

from sandbox import Repository, Sandbox


def search(client: httpx.Client, query: str, **parameters: int) -> dict:
    response = client.get("/search/issues", params={"q": query, **parameters})
    assert response.status_code == 200, response.text
    return response.json()


def test_the_bot_of_an_app_has_two_spellings(client: httpx.Client, github: Sandbox) -> None:
    github.merged_pull_requests["octo/demo", "dependabot[bot]"] = 2
    assert search(client, "repo:octo/demo author:app/dependabot is:pr is:merged")["total_count"] == 2
    assert search(client, 'repo:octo/demo author:"dependabot[bot]" is:pr is:merged')["total_count"] == 2


def test_open_pull_requests_are_found_too(client: httpx.Client, repo: Repository, github: Sandbox) -> None:
    repo.open_pull_request(author="mona", changes={"a": "a\n"})
    repo.open_pull_request(author="mona", changes={"b": "b\n"}).close()
    github.merged_pull_requests["octo/demo", "mona"] = 3
    assert search(client, "repo:octo/demo author:mona is:pr is:open")["total_count"] == 1
    assert search(client, "repo:octo/demo author:mona is:pr is:merged")["total_count"] == 3
    assert search(client, "repo:octo/demo author:mona is:pr is:closed")["total_count"] == 4
    assert search(client, "repo:octo/demo author:mona is:pr")["total_count"] == 5
    assert search(client, "repo:octo/demo author:mona is:issue")["total_count"] == 0


@pytest.mark.parametrize("query", ["", "repo:octo/demo author:mona", "repo:octo/nothing is:pr", "repo:mona/hers is:pr"])
def test_invalid_queries_are_422(client: httpx.Client, github: Sandbox, query: str) -> None:
    github.create_repository("mona/hers")
    response = client.get("/search/issues", params={"q": query})
    assert (response.status_code, response.json()["message"]) == (422, "Validation Failed")
    assert response.json()["errors"][0]["field"] == "q"
