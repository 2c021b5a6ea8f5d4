"""Every error of the API is a problem of RFC 9457, whoever refuses."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import caches
from django.db import InterfaceError, OperationalError
from django.http import HttpResponse
from django.test import Client

from telemetry import api
from tests.telemetry.stores import default_store
from tests.telemetry.test_api import EVENTS, EXECUTIONS, reader, with_token

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_throttles() -> Iterator[None]:
    caches["throttles"].clear()
    yield
    caches["throttles"].clear()


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


TOO_MANY = "?" + "&".join(["repo=a"] * 1001)
"""More parameters than DATA_UPLOAD_MAX_NUMBER_FIELDS."""


@pytest.mark.parametrize(
    ("status", "address", "headers"),
    [
        (400, EVENTS + TOO_MANY, {}),
        (400, EVENTS, {"Host": "evil.example"}),
        (401, EVENTS, {"Authorization": ""}),
        (403, EXECUTIONS, {}),
        *(
            (404, address, {})
            for address in (f"{EVENTS}1/", f"{EVENTS}x/", f"{EVENTS}?cursor=cD14", "/api/v1/", "/api/x")
        ),
        (404, "/api/v2/executions/", {}),
        *((406, EVENTS, {"Accept": accept}) for accept in ("text/html", "application/xml", "x", "*")),
    ],
)
def test_a_refused_request_is_answered_with_a_problem(
    client: Client, status: int, address: str, headers: dict[str, str]
) -> None:
    problem(client.get(address, headers=headers, follow=True), status)


def test_a_method_that_there_is_not_is_answered_with_405(client: Client) -> None:
    problem(client.post(EVENTS, b"\xff", content_type="application/xml"), 405)
    problem(client.generic("BREW", EVENTS), 405)


def test_a_user_is_throttled_and_others_are_not(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telemetry.api.UserThrottle.THROTTLE_RATES", {"user": "2/min"})

    statuses = [client.get(EVENTS).status_code for _ in range(2)]
    refused = client.get(EVENTS)
    other = with_token(User.objects.create_superuser("other")).get(EVENTS)

    assert statuses == [200, 200]
    assert problem(refused, 429)["detail"].startswith("Request was throttled.")
    assert 0 < int(refused["Retry-After"]) <= 60
    assert other.status_code == 200
    problem(client.get(EVENTS), 429)


def test_the_schema_is_public_and_throttled_by_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telemetry.api.AnonymousThrottle.THROTTLE_RATES", {"anon": "1/min"})

    first, second = Client().get("/api/schema/"), Client().get("/api/schema/")
    elsewhere = Client(REMOTE_ADDR="192.0.2.9").get("/api/schema/")

    assert first.json()["openapi"] == "3.1.0"
    assert [first.status_code, second.status_code, elsewhere.status_code] == [200, 429, 200]


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


@pytest.mark.database
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
