"""Faults, each over real HTTP."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from sandbox import Fault, FaultKind, PullRequest, Sandbox
from tests.support.waiting import PATIENCE

REVIEW = {"event": "COMMENT", "body": "Looks good."}


@pytest.mark.parametrize(
    ("faults", "statuses"),
    [
        ([(500, 1, 0)], [500, 200, 200]),
        ([(500, 2, 0), (404, 1, 0)], [500, 500, 404, 200]),
        ([(500, 1, 2)], [200, 200, 500, 200]),
    ],
    ids=["once", "in order", "after two requests"],
)
def test_faults_of_a_route_apply_as_often_as_set(
    client: httpx.Client, github: Sandbox, pull: PullRequest, faults: list[tuple[int, int, int]], statuses: list[int]
) -> None:
    for status, times, after in faults:
        github.fail("pull", Fault(FaultKind.STATUS, status=status), times, after)
    assert [client.get(pull.api_url).status_code for _ in statuses] == statuses


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


def test_a_primary_limit_in_graphql_is_200(client: httpx.Client, github: Sandbox, pull: PullRequest) -> None:
    github.fail("graphql", Fault(FaultKind.GRAPHQL_RATE_LIMITED, reset_in=30))
    response = client.post("/graphql", json={"query": "{}"})
    assert response.status_code == 200
    assert response.json()["errors"][0]["type"] == "RATE_LIMITED"
    assert (response.headers["x-ratelimit-remaining"], response.headers["x-ratelimit-resource"]) == ("0", "graphql")


@pytest.mark.parametrize("status", [401, 403, 404, 409, 422, 451, 500, 502, 503])
def test_a_status_has_githubs_body(client: httpx.Client, github: Sandbox, pull: PullRequest, status: int) -> None:
    github.fail("pull", Fault(FaultKind.STATUS, status=status, retry_after=3, headers={"x-ratelimit-reset": "soon"}))
    response = client.get(pull.api_url)
    assert response.status_code == status
    assert (response.headers["retry-after"], response.headers["x-ratelimit-reset"]) == ("3", "soon")
    if status in (502, 503):
        assert response.headers["content-type"].startswith("text/html")
        assert response.text.startswith("<html>")
    else:
        assert response.json()["status"] == str(status)
        assert response.json()["message"]
        github.fail("pull", Fault(FaultKind.STATUS, status=status, message="Nope"))
        assert client.get(pull.api_url).json()["message"] == "Nope"


def test_broken_json_is_as_long_as_its_content_length(client: httpx.Client, github: Sandbox, pull: PullRequest) -> None:
    github.fail("pull", Fault(FaultKind.BROKEN_JSON))
    response = client.get(pull.api_url)
    assert (response.status_code, len(response.content)) == (200, int(response.headers["content-length"]))
    with pytest.raises(json.JSONDecodeError):
        response.json()


def test_a_slow_body_is_the_normal_response(client: httpx.Client, github: Sandbox, pull: PullRequest) -> None:
    expected = client.get(f"{pull.api_url}/files").json()
    github.fail("files", Fault(FaultKind.SLOW_BODY, delay=0.02, chunk_size=50))
    with client.stream("GET", f"{pull.api_url}/files") as response:
        chunks = list(response.iter_raw())
    assert len(chunks) > 3
    assert json.loads(b"".join(chunks)) == expected


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


def test_a_delayed_response_holds_up_no_other(client: httpx.Client, github: Sandbox, pull: PullRequest) -> None:
    fault = github.fail("create_review", Fault(FaultKind.APPLIED_THEN_DELAYED))
    with ThreadPoolExecutor(1) as pool:
        posted = pool.submit(client.post, f"{pull.api_url}/reviews", json=REVIEW)
        assert fault.reached.wait(PATIENCE)
        assert len(client.get(f"{pull.api_url}/reviews").json()) == 1, "the review is stored"
        assert not posted.done()
        fault.release()
        assert posted.result(PATIENCE).status_code == 200


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
