"""Primary rate limits."""

import time

import httpx

from sandbox import PullRequest, Sandbox
from sandbox.limits import RateLimit


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
