"""Primary rate limits, and the record of calls."""

import time

import httpx

from sandbox import PullRequest, Sandbox
from sandbox.limits import RateLimit


def test_every_response_has_rate_limit_headers(client: httpx.Client, github: Sandbox, pull: PullRequest) -> None:
    left = [int(client.get(pull.api_url).headers["x-ratelimit-remaining"]) for _ in range(3)]
    assert left == [4999, 4998, 4997]
    headers = client.get(f"{pull.api_url}/none").headers
    assert headers["x-ratelimit-limit"] == "5000"
    assert headers["x-ratelimit-resource"] == "core"
    assert int(headers["x-ratelimit-reset"]) > time.time()
    assert headers["date"].endswith("GMT")
    assert headers["x-github-request-id"]


def test_search_and_graphql_have_separate_limits(client: httpx.Client, github: Sandbox) -> None:
    search = client.get("/search/issues", params={"q": "is:pr"}).headers
    graphql = client.post("/graphql", json={"query": "{}"}).headers
    assert (search["x-ratelimit-resource"], search["x-ratelimit-remaining"]) == ("search", "29")
    assert (graphql["x-ratelimit-resource"], graphql["x-ratelimit-remaining"]) == ("graphql", "4999")
    assert github.limits["core"].used == 0


def test_an_exhausted_limit_is_403_until_restored(client: httpx.Client, github: Sandbox, pull: PullRequest) -> None:
    github.limits["core"].exhaust(reset_in=60)
    response = client.get(pull.api_url)
    assert (response.status_code, response.headers["x-ratelimit-remaining"]) == (403, "0")
    assert response.json()["message"].startswith("API rate limit exceeded for installation ID")
    assert int(response.headers["x-ratelimit-reset"]) >= time.time() + 59
    github.limits["core"].restore()
    assert client.get(pull.api_url).status_code == 200


def test_an_exhausted_limit_ends_at_its_reset() -> None:
    limit = RateLimit("search")
    limit.exhaust(reset_in=0.01)
    published = limit.resets_at
    while not limit.take():
        assert time.time() <= published
    assert limit.used == 1


def test_exhausted_graphql_is_200_with_an_error(client: httpx.Client, github: Sandbox) -> None:
    github.limits["graphql"].exhaust()
    response = client.post("/graphql", json={"query": "{}"})
    assert (response.status_code, response.json()["errors"][0]["type"]) == (200, "RATE_LIMITED")


def test_the_app_and_its_installations_have_separate_limits(
    app: httpx.Client, client: httpx.Client, github: Sandbox, pull: PullRequest
) -> None:
    github.limits["core"].exhaust()
    assert app.get("/app").status_code == 200
    github.limits["app"].exhaust()
    assert app.get("/app").status_code == 403


def test_reading_the_limits_is_not_counted(client: httpx.Client, github: Sandbox, pull: PullRequest) -> None:
    client.get(pull.api_url)
    resources = client.get("/rate_limit").json()["resources"]
    assert (resources["core"]["used"], resources["core"]["remaining"]) == (1, 4999)
    assert resources["search"]["limit"] == 30
    assert client.get("/rate_limit").json()["rate"]["used"] == 1


def test_calls_are_recorded_in_order(client: httpx.Client, github: Sandbox, pull: PullRequest) -> None:
    client.get(f"{pull.api_url}/files", params={"page": 2})
    client.post(f"{pull.api_url}/reviews", json={"event": "COMMENT", "body": "Hi"})
    client.get("/nothing/here")
    first, second, third = github.calls
    assert (first.method, first.route, first.path) == ("GET", "files", "/repos/octo/demo/pulls/1/files")
    assert (first.query, first.status, first.body) == ({"page": "2"}, 200, None)
    assert (second.route, second.body) == ("create_review", {"event": "COMMENT", "body": "Hi"})
    assert (third.route, third.status) == ("unknown", 404)
    assert first.at <= second.at <= third.at
    assert (github.count("files"), github.count()) == (1, 3)
    github.reset_calls()
    assert github.count() == 0
