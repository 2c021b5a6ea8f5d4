"""Ordered faults, each over real HTTP."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from sandbox import ANY_ROUTE, Fault, FaultKind, PullRequest, Sandbox

REVIEW = {"event": "COMMENT", "body": "Looks good."}


def test_a_fault_is_met_once_unless_said(client: httpx.Client, github: Sandbox, pull: PullRequest) -> None:
    github.fail("pull", Fault(FaultKind.STATUS, status=500))
    assert [client.get(pull.api_url).status_code for _ in range(3)] == [500, 200, 200]


def test_faults_queue_in_order(client: httpx.Client, github: Sandbox, pull: PullRequest) -> None:
    github.fail("pull", Fault(FaultKind.STATUS, status=500), times=2)
    github.fail("pull", Fault(FaultKind.STATUS, status=404))
    assert [client.get(pull.api_url).status_code for _ in range(4)] == [500, 500, 404, 200]


def test_a_fault_can_wait_for_its_call(client: httpx.Client, github: Sandbox, pull: PullRequest) -> None:
    github.fail("pull", Fault(FaultKind.STATUS, status=500), after=2)
    assert [client.get(pull.api_url).status_code for _ in range(4)] == [200, 200, 500, 200]


def test_a_fault_without_an_end_lasts_until_cleared(client: httpx.Client, github: Sandbox, pull: PullRequest) -> None:
    github.fail("pull", Fault(FaultKind.STATUS, status=500), times=None)
    assert {client.get(pull.api_url).status_code for _ in range(4)} == {500}
    github.clear_faults()
    assert client.get(pull.api_url).status_code == 200


def test_a_fault_is_met_by_its_route_only(client: httpx.Client, github: Sandbox, pull: PullRequest) -> None:
    github.fail("files", Fault(FaultKind.STATUS, status=500))
    assert client.get(pull.api_url).status_code == 200
    assert client.get(f"{pull.api_url}/files").status_code == 500


def test_a_fault_can_be_met_by_any_route(client: httpx.Client, github: Sandbox, pull: PullRequest) -> None:
    github.fail(ANY_ROUTE, Fault(FaultKind.STATUS, status=503), times=None)
    assert client.get(pull.api_url).status_code == client.get(f"{pull.api_url}/files").status_code == 503


def test_a_route_that_does_not_exist_is_an_error(github: Sandbox) -> None:
    with pytest.raises(ValueError, match="no route 'serach'"):
        github.fail("serach", Fault(FaultKind.RESET))
    with pytest.raises(ValueError, match="no route 'serach'"):
        github.count("serach")
    with pytest.raises(ValueError, match="at least 1"):
        github.fail("search", Fault(FaultKind.RESET), times=0)


@pytest.mark.parametrize("status", [None, 429])
def test_a_primary_limit_tells_when_it_resets(
    client: httpx.Client, github: Sandbox, pull: PullRequest, status: int | None
) -> None:
    github.fail("search", Fault(FaultKind.PRIMARY_LIMIT, status=status, reset_in=1.2))
    before = time.time()
    answer = client.get("/search/issues", params={"q": "is:pr"})
    assert answer.status_code == (status or 403)
    assert answer.headers["x-ratelimit-remaining"] == "0"
    assert answer.headers["x-ratelimit-resource"] == "search"
    assert answer.headers["x-ratelimit-limit"] == answer.headers["x-ratelimit-used"] == "30"
    assert before + 1.2 <= int(answer.headers["x-ratelimit-reset"]) <= time.time() + 2.2
    words = f"API rate limit exceeded for installation ID {pull.repository.installation_id}."
    assert answer.json()["message"].startswith(words)
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize(("status", "retry_after"), [(None, 7), (429, 0), (403, None)])
def test_a_secondary_limit_may_say_when_to_come_back(
    client: httpx.Client, github: Sandbox, pull: PullRequest, status: int | None, retry_after: int | None
) -> None:
    github.fail("pull", Fault(FaultKind.SECONDARY_LIMIT, status=status, retry_after=retry_after))
    answer = client.get(pull.api_url)
    assert answer.status_code == (status or 403)
    assert answer.json()["message"].startswith("You have exceeded a secondary rate limit")
    assert answer.headers.get("retry-after") == (None if retry_after is None else str(retry_after))
    assert answer.headers["x-ratelimit-remaining"] != "0"


def test_graphql_tells_of_the_primary_limit_with_200(client: httpx.Client, github: Sandbox, pull: PullRequest) -> None:
    github.fail("graphql", Fault(FaultKind.GRAPHQL_RATE_LIMITED, reset_in=30))
    answer = client.post("/graphql", json={"query": "{}"})
    assert answer.status_code == 200
    assert answer.json()["errors"][0]["type"] == "RATE_LIMITED"
    assert (answer.headers["x-ratelimit-remaining"], answer.headers["x-ratelimit-resource"]) == ("0", "graphql")


@pytest.mark.parametrize("status", [401, 403, 404, 409, 422, 451, 500])
def test_a_status_comes_with_githubs_json(
    client: httpx.Client, github: Sandbox, pull: PullRequest, status: int
) -> None:
    github.fail("pull", Fault(FaultKind.STATUS, status=status))
    answer = client.get(pull.api_url)
    assert answer.status_code == status
    assert answer.json()["status"] == str(status)
    assert answer.json()["message"]


@pytest.mark.parametrize("status", [502, 503])
def test_gateways_answer_with_html(client: httpx.Client, github: Sandbox, pull: PullRequest, status: int) -> None:
    github.fail("pull", Fault(FaultKind.STATUS, status=status, retry_after=3))
    answer = client.get(pull.api_url)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["retry-after"] == "3"
    assert answer.text.startswith("<html>")


def test_a_message_can_be_chosen(client: httpx.Client, github: Sandbox, pull: PullRequest) -> None:
    github.fail("pull", Fault(FaultKind.STATUS, status=403, message="Nope"))
    assert client.get(pull.api_url).json()["message"] == "Nope"


def test_broken_json_ends_too_soon_but_is_as_long_as_it_says(
    client: httpx.Client, github: Sandbox, pull: PullRequest
) -> None:
    github.fail("pull", Fault(FaultKind.BROKEN_JSON))
    answer = client.get(pull.api_url)
    assert (answer.status_code, len(answer.content)) == (200, int(answer.headers["content-length"]))
    with pytest.raises(json.JSONDecodeError):
        answer.json()


@pytest.mark.parametrize("body", [[1, 2, 3], "text", None, {"id": "x"}, 7])
def test_wrong_json_is_valid_and_of_another_type(
    client: httpx.Client, github: Sandbox, pull: PullRequest, body: object
) -> None:
    github.fail("create_review", Fault(FaultKind.WRONG_JSON, body=body))
    answer = client.post(f"{pull.api_url}/reviews", json=REVIEW)
    assert (answer.status_code, answer.json()) == (200, body)
    assert pull.reviews == []


def test_a_slow_body_is_the_right_one(client: httpx.Client, github: Sandbox, pull: PullRequest) -> None:
    expected = client.get(f"{pull.api_url}/files").json()
    github.fail("files", Fault(FaultKind.SLOW_BODY, delay=0.02, chunk_size=50))
    with client.stream("GET", f"{pull.api_url}/files") as answer:
        chunks = list(answer.iter_raw())
    assert len(chunks) > 3
    assert json.loads(b"".join(chunks)) == expected


def test_a_slow_body_can_outlast_a_time_out(client: httpx.Client, github: Sandbox, pull: PullRequest) -> None:
    github.fail("files", Fault(FaultKind.SLOW_BODY, delay=60, chunk_size=1))
    with pytest.raises(httpx.ReadTimeout):
        client.get(f"{pull.api_url}/files", timeout=0.1)


def test_a_time_out_answers_nothing_and_has_no_effect(client: httpx.Client, github: Sandbox, pull: PullRequest) -> None:
    fault = github.fail("create_review", Fault(FaultKind.TIMEOUT))
    with pytest.raises(httpx.ReadTimeout):
        client.post(f"{pull.api_url}/reviews", json=REVIEW, timeout=0.1)
    assert fault.reached.is_set()
    assert pull.reviews == []
    assert [call.status for call in github.calls] == [None]
    assert client.post(f"{pull.api_url}/reviews", json=REVIEW).status_code == 200


def test_a_reset_is_seen_as_one_and_has_no_effect(client: httpx.Client, github: Sandbox, pull: PullRequest) -> None:
    github.fail("create_review", Fault(FaultKind.RESET))
    with pytest.raises(httpx.ReadError, match="reset by peer"):
        client.post(f"{pull.api_url}/reviews", json=REVIEW)
    assert pull.reviews == []


def test_applied_then_reset_stores_the_review_before_the_connection_breaks(
    client: httpx.Client, github: Sandbox, pull: PullRequest
) -> None:
    github.fail("create_review", Fault(FaultKind.APPLIED_THEN_RESET))
    with pytest.raises(httpx.ReadError, match="reset by peer"):
        client.post(f"{pull.api_url}/reviews", json=REVIEW)
    assert [review["body"] for review in pull.reviews] == ["Looks good."]
    assert github.calls[-1].status is None


def test_applied_then_answered_stores_the_review_and_answers_something_else(
    client: httpx.Client, github: Sandbox, pull: PullRequest
) -> None:
    github.fail("create_review", Fault(FaultKind.APPLIED_THEN_REPLACED, status=502, body=b"<html>"))
    answer = client.post(f"{pull.api_url}/reviews", json=REVIEW)
    assert (answer.status_code, answer.content, len(pull.reviews)) == (502, b"<html>", 1)


def test_a_fault_may_bring_headers_of_its_own(client: httpx.Client, github: Sandbox, pull: PullRequest) -> None:
    github.fail("pull", Fault(FaultKind.STATUS, status=429, headers={"x-ratelimit-reset": "soon", "Location": "/x"}))
    answer = client.get(pull.api_url)
    assert (answer.headers["x-ratelimit-reset"], answer.headers["location"]) == ("soon", "/x")


def test_a_huge_body_is_sent_until_the_client_goes_away(
    client: httpx.Client, github: Sandbox, pull: PullRequest
) -> None:
    github.fail("pull", Fault(FaultKind.HUGE_BODY))
    with client.stream("GET", pull.api_url) as answer:
        assert answer.headers["content-length"] == str(2 * 1024**3)
        assert next(answer.iter_raw()).strip() == b""
    github.fail("pull", Fault(FaultKind.HUGE_BODY, size=100_000))
    assert len(client.get(pull.api_url).content) == 100_000


def test_applied_then_delayed_stores_the_review_and_answers_when_released(
    client: httpx.Client, github: Sandbox, pull: PullRequest
) -> None:
    fault = github.fail("create_review", Fault(FaultKind.APPLIED_THEN_DELAYED))
    with ThreadPoolExecutor(1) as pool:
        posted = pool.submit(client.post, f"{pull.api_url}/reviews", json=REVIEW)
        assert fault.reached.wait(10)
        assert len(pull.reviews) == 1
        assert not posted.done()
        fault.release()
        assert posted.result(10).status_code == 200


def test_other_requests_are_answered_while_one_is_held(
    client: httpx.Client, github: Sandbox, pull: PullRequest
) -> None:
    fault = github.fail("create_review", Fault(FaultKind.APPLIED_THEN_DELAYED))
    with ThreadPoolExecutor(1) as pool:
        posted = pool.submit(client.post, f"{pull.api_url}/reviews", json=REVIEW)
        assert fault.reached.wait(10)
        assert len(client.get(f"{pull.api_url}/reviews").json()) == 1
        fault.release()
        posted.result(10)


@pytest.mark.parametrize("kind", [FaultKind.TIMEOUT, FaultKind.APPLIED_THEN_DELAYED, FaultKind.SLOW_BODY])
def test_closing_the_sandbox_frees_who_waits(kind: FaultKind) -> None:
    threads = set(threading.enumerate())
    with ThreadPoolExecutor(1) as pool:
        with Sandbox() as github:
            fault = github.fail("unknown", Fault(kind, delay=60))
            waiting = pool.submit(httpx.get, f"{github.url}/nothing", timeout=30)
            assert fault.reached.wait(10)
        error = waiting.exception(10)
    assert isinstance(error, httpx.TransportError)
    assert set(threading.enumerate()) == threads
