"""Every error of the API is a problem of RFC 9457, whoever refuses."""

from contextlib import closing
from typing import Any

import pytest
from django.core.cache import caches
from django.db import InterfaceError, OperationalError
from django.http import HttpResponse
from django.test import Client

from telemetry import api
from tests.telemetry.stores import default_store
from tests.telemetry.test_api import EVENTS, reader, with_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    client = with_token(reader("ratelimitevent"))
    client.raise_request_exception = False
    return client


def problem(answer: HttpResponse, status: int) -> dict[str, Any]:
    """The answer's body, which has the form of a problem."""
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()  # type: ignore[attr-defined]
    assert body["type"] == "about:blank"
    assert body["status"] == status
    assert body["title"]
    assert isinstance(body["detail"], str)
    return body


def test_a_query_that_is_not_valid_names_its_parameters(client: Client) -> None:
    body = problem(client.get(f"{EVENTS}?created_after=x&pr_number=y"), 400)

    assert body["errors"] == [
        {"parameter": "pr_number", "detail": "Enter a whole number."},
        {"parameter": "created_after", "detail": "Enter a valid date/time."},
    ]


def test_a_request_that_django_refuses_is_a_problem_too(client: Client) -> None:
    # More parameters than DATA_UPLOAD_MAX_NUMBER_FIELDS.
    problem(client.get(EVENTS + "?" + "&".join(["repo=a"] * 1001)), 400)
    problem(client.get(EVENTS, headers={"Host": "evil.example"}), 400)


def test_who_is_not_known_is_answered_with_401() -> None:
    problem(Client().get(EVENTS), 401)


def test_who_may_not_view_the_model_is_answered_with_403(client: Client) -> None:
    problem(client.get("/api/v1/executions/"), 403)


@pytest.mark.parametrize(
    "address", [f"{EVENTS}1/", f"{EVENTS}x/", f"{EVENTS}?cursor=cD14", "/api/v1/", "/api/v2/executions/", "/api/x"]
)
def test_what_there_is_not_is_answered_with_404(client: Client, address: str) -> None:
    problem(client.get(address, follow=True), 404)


def test_a_method_that_there_is_not_is_answered_with_405(client: Client) -> None:
    problem(client.post(EVENTS, b"\xff", content_type="application/xml"), 405)
    problem(client.generic("BREW", EVENTS), 405)


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "x", "*"])
def test_what_cannot_be_written_is_answered_with_406(client: Client, accept: str) -> None:
    problem(client.get(EVENTS, headers={"Accept": accept}), 406)


def test_who_asks_too_often_is_answered_with_429(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telemetry.api.UserThrottle.THROTTLE_RATES", {"user": "1/min"})
    caches["throttles"].clear()
    client.get(EVENTS)

    assert problem(client.get(EVENTS), 429)["detail"].startswith("Request was throttled.")
    caches["throttles"].clear()


def test_a_bug_is_answered_with_500_and_reveals_nothing(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*arguments: Any) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr("telemetry.api.RateLimitEventViewSet.filter_queryset", explode)

    assert "hunter2" not in str(problem(client.get(EVENTS), 500))


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_store_that_cannot_be_read_is_answered_with_503(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: type[Exception]
) -> None:
    def fail(*arguments: Any) -> None:
        raise error("no route to host 10.0.0.7")

    monkeypatch.setattr("telemetry.api.RateLimitEventViewSet.filter_queryset", fail)

    assert "10.0.0.7" not in str(problem(client.get(EVENTS), 503))
    assert "10.0.0.7" in caplog.text


def test_reads_leave_threads_to_webhooks(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telemetry.api.TURN_SECONDS", 0.01)
    turns = [api._reads.acquire() for _ in range(api.MAX_CONCURRENT_READS)]
    try:
        problem(client.get(EVENTS), 503)
    finally:
        for _ in turns:
            api._reads.release()

    assert client.get(EVENTS).status_code == 200, "no turn is lost"


@pytest.mark.django_db(transaction=True)
def test_a_locked_table_is_answered_with_503(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    store = default_store()
    if not store.is_postgresql:
        pytest.skip("SQLite's readers never wait for its writers")
    monkeypatch.setattr("telemetry.api.READ_TIMEOUT_MS", 100)

    with closing(store.connect()) as other, other.transaction():
        other.execute("LOCK TABLE rate_limit_events IN ACCESS EXCLUSIVE MODE")
        problem(client.get(EVENTS), 503)

    assert client.get(EVENTS).status_code == 200


def test_what_is_not_of_the_api_has_its_page(client: Client) -> None:
    answer = client.get("/apis/")

    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("text/html")
