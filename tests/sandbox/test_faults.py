"""Faults and limits, each over real HTTP."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from sandbox import Fault, FaultKind, PullRequest, Sandbox
from sandbox.limits import RateLimit
from tests.support.waiting import PATIENCE

REVIEW = {"event": "COMMENT", "body": "Looks good."}


@pytest.mark.parametrize("status", [None, 429])
def test_a_primary_limit_has_its_reset(
    client: httpx.Client, github: Sandbox, pull: PullRequest, status: int | None
) -> None:
    github.fail("search", Fault(FaultKind.PRIMARY_LIMIT, status=status, reset_in=1.2))
    before = time.time()
    response = client.get("/search/issues", params={"q": "is:pr"})
    assert response.status_code == (status or 403)
    assert response.headers["x-ratelimit-remaining"] == "0"
    assert response.headers["x-ratelimit-resource"] == "search"
    assert response.headers["x-ratelimit-limit"] == response.headers["x-ratelimit-used"] == "30"
    assert before + 1.2 <= int(response.headers["x-ratelimit-reset"]) <= time.time() + 2.2
    words = f"API rate limit exceeded for installation ID {pull.repository.installation_id}."
    assert response.json()["message"].startswith(words)
    assert "retry-after" not in response.headers


@pytest.mark.parametrize(("status", "retry_after"), [(None, 7), (429, 0), (403, None)])
def test_a_secondary_limit_may_have_retry_after(
    client: httpx.Client, github: Sandbox, pull: PullRequest, status: int | None, retry_after: int | None
) -> None:
    github.fail("pull", Fault(FaultKind.SECONDARY_LIMIT, status=status, retry_after=retry_after))
    response = client.get(pull.api_url)
    assert response.status_code == (status or 403)
    assert response.json()["message"].startswith("You have exceeded a secondary rate limit")
    assert response.headers.get("retry-after") == (None if retry_after is None else str(retry_after))
    assert response.headers["x-ratelimit-remaining"] != "0"


@pytest.mark.parametrize(
    ("fault", "status", "stored"),
    [
        (Fault(FaultKind.RESET), None, 0),
        (Fault(FaultKind.APPLIED_THEN_RESET), None, 1),
        (Fault(FaultKind.APPLIED_THEN_REPLACED, status=502, body=b"<html>"), 502, 1),
    ],
    ids=lambda value: value.kind.name if isinstance(value, Fault) else str(value),
)
def test_a_post_is_applied_or_not_whatever_is_answered(
    client: httpx.Client, github: Sandbox, pull: PullRequest, fault: Fault, status: int | None, stored: int
) -> None:
    github.fail("create_review", fault)
    if status is None:
        with pytest.raises(httpx.ReadError, match="reset by peer"):
            client.post(f"{pull.api_url}/reviews", json=REVIEW)
    else:
        response = client.post(f"{pull.api_url}/reviews", json=REVIEW)
        assert (response.status_code, response.content) == (status, b"<html>")
    assert [review["body"] for review in pull.reviews] == ["Looks good."] * stored
    assert github.calls[-1].status == status


@pytest.mark.parametrize("kind", [FaultKind.TIMEOUT, FaultKind.APPLIED_THEN_DELAYED, FaultKind.SLOW_BODY])
def test_closing_the_sandbox_ends_waiting_requests(kind: FaultKind) -> None:
    threads = set(threading.enumerate())
    with ThreadPoolExecutor(1) as pool:
        with Sandbox() as github:
            fault = github.fail("unknown", Fault(kind, delay=60))
            waiting = pool.submit(httpx.get, f"{github.url}/nothing", timeout=PATIENCE)
            assert fault.reached.wait(PATIENCE)
        error = waiting.exception(PATIENCE)
    assert isinstance(error, httpx.TransportError)
    assert set(threading.enumerate()) == threads


# Primary rate limits


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
