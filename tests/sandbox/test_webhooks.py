"""Webhooks: bodies, signatures, deliveries and redeliveries."""

import hashlib
import hmac
import json
import socket
import uuid
from collections.abc import Iterator

import httpx
import pytest

from sandbox import PullRequest, Sandbox, add_reply, sign, webhook_payload
from tests.sandbox.receiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def dead_url() -> Iterator[str]:
    """An address that refuses connections."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/"


def test_a_webhook_is_signed_over_its_raw_body(github: Sandbox, receiver: Receiver, pull: PullRequest) -> None:
    response = github.send_webhook(receiver.webhook_url, "pull_request", webhook_payload(pull, "opened"))
    assert (response.status_code, response.json()) == (202, "thanks")
    [(headers, body)] = receiver.received
    digest = hmac.new(b"the-webhook-secret", body, hashlib.sha256).hexdigest()
    assert headers["x-hub-signature-256"] == f"sha256={digest}" == sign("the-webhook-secret", body)
    assert headers["x-github-event"] == "pull_request"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("GitHub-Hookshot/")
    assert headers["x-github-hook-installation-target-type"] == "integration"
    assert headers["x-github-hook-installation-target-id"] == str(github.app_id)
    assert str(uuid.UUID(headers["x-github-delivery"])) == response.delivery_id
    assert json.loads(body)["pull_request"]["head"]["sha"] == pull.head_sha


def test_deliveries_are_listed_newest_first(
    app: httpx.Client, github: Sandbox, receiver: Receiver, pull: PullRequest
) -> None:
    first = github.send_webhook(receiver.webhook_url, "ping", webhook_payload(github.app, None, "ping"))
    receiver.status = 503
    second = github.send_webhook(receiver.webhook_url, "pull_request", webhook_payload(pull, "opened"))
    newest, oldest = app.get("/app/hook/deliveries").json()
    assert (newest["guid"], oldest["guid"]) == (second.delivery_id, first.delivery_id)
    assert (oldest["status"], oldest["status_code"], oldest["action"]) == ("OK", 202, None)
    assert (newest["status_code"], newest["event"], newest["action"]) == (503, "pull_request", "opened")
    assert newest["status"] != "OK"
    assert newest["redelivery"] is False
    assert newest["installation_id"] == pull.repository.installation_id
    assert newest["repository_id"] == pull.repository.id


def test_deliveries_are_listed_in_pages_by_cursor(app: httpx.Client, github: Sandbox, receiver: Receiver) -> None:
    sent = [github.send_webhook(receiver.webhook_url, "ping", {"zen": "x"}).delivery_id for _ in range(5)]
    listed, url = [], "/app/hook/deliveries?per_page=2"
    while url:
        response = app.get(url)
        assert len(response.json()) <= 2
        listed += [delivery["guid"] for delivery in response.json()]
        url = response.links.get("next", {}).get("url", "")
    assert listed == sent[::-1]


def test_a_refused_connection_is_a_failed_delivery(app: httpx.Client, github: Sandbox, dead_url: str) -> None:
    response = github.send_webhook(dead_url, "ping", {"zen": "x"})
    assert (response.status_code, response.text) == (0, "")
    [delivery] = app.get("/app/hook/deliveries").json()
    assert delivery["status_code"] == 502
    assert delivery["status"] != "OK"


def test_a_redelivery_has_the_same_body_and_guid(
    app: httpx.Client, github: Sandbox, receiver: Receiver, pull: PullRequest
) -> None:
    receiver.status = 500
    github.send_webhook(receiver.webhook_url, "pull_request", webhook_payload(pull, "opened"))
    [failed] = app.get("/app/hook/deliveries").json()
    receiver.status = 202
    assert app.post(f"/app/hook/deliveries/{failed['id']}/attempts").status_code == 202
    github.wait_for_redeliveries()
    (first_headers, first_body), (second_headers, second_body) = receiver.received
    assert (second_headers["x-github-delivery"], second_body) == (first_headers["x-github-delivery"], first_body)
    again, _ = app.get("/app/hook/deliveries").json()
    assert (again["redelivery"], again["guid"], again["status"]) == (True, failed["guid"], "OK")
    assert again["id"] != failed["id"]


def test_redelivery_of_an_unknown_delivery_is_404(app: httpx.Client) -> None:
    assert app.post("/app/hook/deliveries/1/attempts").status_code == 404


def test_deliveries_need_a_token_of_the_app(client: httpx.Client) -> None:
    assert client.get("/app/hook/deliveries").status_code == 401


def test_a_reply_payload_names_the_first_comment(client: httpx.Client, pull: PullRequest) -> None:
    comments = [{"path": "helper.py", "line": 1, "body": "Hm."}]
    client.post(f"{pull.api_url}/reviews", json={"event": "COMMENT", "body": "Look.", "comments": comments})
    reply = add_reply(pull, "octocat", "@kodiai explain", to=pull.threads[0].first["id"])
    body = webhook_payload(pull, "created", "pull_request_review_comment", comment=reply)

    assert body["comment"]["in_reply_to_id"] == pull.threads[0].first["id"]
    assert (body["comment"]["body"], body["sender"]["login"]) == ("@kodiai explain", "octocat")
    assert (body["pull_request"]["number"], body["comment"]["path"]) == (1, "helper.py")
