"""The intake's table of answers, line by line."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django_tasks_db.models import DBTaskResult
from pytest_django import Settings

from reviews.models import Delivery, DeliveryStatus, IgnoreReason, Review
from tests.support.webhooks import (
    check_payload,
    comment_payload,
    deliver,
    merge_group_payload,
    pull_request_payload,
    reply_payload,
    sign,
    without,
)

pytestmark = pytest.mark.django_db

EXAMPLES = Path(django_settings.BASE_DIR).parent / "shared" / "data" / "webhooks"


def nothing_stored() -> bool:
    return not Delivery.objects.exists() and not DBTaskResult.objects.exists()


@pytest.mark.database
@pytest.mark.parametrize("action", ["opened", "reopened", "ready_for_review", "synchronize", "review_requested"])
def test_a_pull_request_event_makes_delivery_review_and_task(client: Client, action: str) -> None:
    answer = deliver(client, pull_request_payload(action, head={"sha": "a" * 40}), delivery_id="abc")

    assert answer.status_code == 202
    assert answer.json() == {"delivery": "abc", "status": "queued"}
    delivery = Delivery.objects.get()
    assert (delivery.delivery_id, delivery.event) == ("abc", "pull_request")
    assert delivery.event_type == f"pull_request.{action}"
    assert (delivery.repo, delivery.pr_number, delivery.installation_id) == ("octo/demo", 7, 99)
    assert (delivery.head_sha, delivery.sender) == ("a" * 40, "mona")
    assert (delivery.status, delivery.ignore_reason) == (DeliveryStatus.QUEUED, "")
    assert (delivery.review.repo, delivery.review.pr_number) == ("octo/demo", 7)
    assert DBTaskResult.objects.get().args_kwargs["args"] == [delivery.pk]


@pytest.mark.database
@pytest.mark.parametrize("status", [DeliveryStatus.QUEUED, DeliveryStatus.RUNNING, DeliveryStatus.DONE])
def test_a_repeated_delivery_is_a_duplicate(client: Client, status: DeliveryStatus) -> None:
    deliver(client, pull_request_payload())
    Delivery.objects.update(status=status)

    answer = deliver(client, pull_request_payload())

    assert (answer.status_code, answer.json()) == (202, {"delivery": "d-1", "status": "duplicate"})
    assert Delivery.objects.get().status == status
    assert DBTaskResult.objects.count() == 1


@pytest.mark.database
def test_it_requeues_a_delivery_that_failed(client: Client) -> None:
    deliver(client, pull_request_payload())
    Delivery.objects.update(status=DeliveryStatus.FAILED)

    answer = deliver(client, pull_request_payload())

    assert (answer.status_code, answer.json()) == (202, {"delivery": "d-1", "status": "requeued"})
    assert Delivery.objects.get().status == DeliveryStatus.QUEUED
    assert DBTaskResult.objects.count() == 2
    assert deliver(client, pull_request_payload()).json()["status"] == "duplicate"


@pytest.mark.database
def test_one_id_with_two_event_types_is_two_deliveries(client: Client) -> None:
    deliver(client, pull_request_payload("opened"))

    assert deliver(client, pull_request_payload("synchronize")).json()["status"] == "queued"
    assert Delivery.objects.count() == 2


@pytest.mark.parametrize(
    ("event", "payload", "reason"),
    [
        ("push", {"ref": "refs/heads/main"}, IgnoreReason.EVENT),
        ("pull_request", pull_request_payload("edited") | {"changes": {}}, IgnoreReason.ACTION),
        (
            "pull_request",
            pull_request_payload() | {"sender": {"login": "kodiai[bot]", "type": "Bot"}},
            IgnoreReason.OWN_EVENT,
        ),
        ("issue_comment", comment_payload() | {"action": "edited"}, IgnoreReason.ACTION),
        ("issue_comment", comment_payload("Looks good"), IgnoreReason.NO_MENTION),
        ("issue_comment", comment_payload(None), IgnoreReason.NO_MENTION),
        ("issue_comment", comment_payload(pull_request=None), IgnoreReason.NOT_A_PULL_REQUEST),
        ("pull_request_review_comment", reply_payload() | {"action": "deleted"}, IgnoreReason.ACTION),
        ("pull_request_review_comment", reply_payload("Looks good"), IgnoreReason.NO_MENTION),
        (
            "pull_request_review_comment",
            reply_payload() | {"sender": {"login": "kodiai[bot]", "type": "Bot"}},
            IgnoreReason.OWN_EVENT,
        ),
    ],
)
def test_it_ignores_what_it_does_not_act_on_and_says_why(
    client: Client, event: str, payload: dict[str, Any], reason: IgnoreReason
) -> None:
    answer = deliver(client, payload, event=event)

    assert answer.status_code == 202
    assert answer.json() == {"delivery": "d-1", "status": "ignored", "reason": reason.value}
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.ignore_reason) == (DeliveryStatus.IGNORED, reason)
    assert not DBTaskResult.objects.exists()
    assert not Review.objects.exists()
    assert deliver(client, payload, event=event).json() == answer.json()


def test_an_ignored_delivery_stays_ignored_when_sent_again(client: Client, settings: Settings) -> None:
    payload = check_payload() | {"sender": {"login": "renovate[bot]", "type": "Bot"}}
    answer = deliver(client, payload, event="check_run")
    settings.KODIAI_BOT_ALLOW_LIST = ["renovate"]

    assert deliver(client, payload, event="check_run").json() == answer.json()
    assert deliver(client, payload, event="check_run", delivery_id="d-2").json()["status"] == "queued"


def test_a_bot_that_requests_a_review_does_not_count(client: Client) -> None:
    request = pull_request_payload("review_requested") | {"requested_reviewer": {"login": "kodiai"}}
    deliver(client, request | {"sender": {"login": "renovate[bot]", "type": "Bot"}})

    assert not Delivery.objects.get().addressed


@pytest.mark.database
def test_a_merge_group_makes_a_run_without_a_pull_request(client: Client) -> None:
    assert deliver(client, merge_group_payload(), event="merge_group").json()["status"] == "queued"
    review = Delivery.objects.get().review
    assert (review.repo, review.pr_number, str(review)) == ("octo/demo", None, "octo/demo@bbbbbbb not finished")


@pytest.mark.database
@pytest.mark.parametrize(("event", "action"), [("installation", "created"), ("installation", "deleted"),
                                               ("installation_repositories", "added")])  # fmt: skip
def test_installation_events_are_queued(client: Client, event: str, action: str) -> None:
    payload = {"action": action, "installation": {"id": 5}, "sender": {"login": "mona", "type": "User"}}

    assert deliver(client, payload, event=event).json()["status"] == "queued"
    assert not Review.objects.exists()


def test_ping_is_answered_with_200_and_not_stored(client: Client) -> None:
    answer = deliver(client, {"zen": "Keep it logically awesome.", "hook_id": 1}, event="ping")

    assert (answer.status_code, answer.json()) == (200, {"delivery": "d-1", "status": "pong"})
    assert nothing_stored()


@pytest.mark.parametrize(
    "signature", [None, "sha256=", "sha256=" + "0" * 64, "sha1=" + "0" * 40, "nonsense", "sha256=ü", "sha256=\udcff"]
)
def test_a_wrong_signature_is_answered_with_401(client: Client, signature: str | None) -> None:
    assert deliver(client, pull_request_payload(), signature=signature).status_code == 401
    assert nothing_stored()


def test_a_signature_of_another_body_is_refused(client: Client) -> None:
    assert deliver(client, pull_request_payload(), signature=sign(b"{}")).status_code == 401


def test_each_of_several_secrets_is_accepted(client: Client, settings: Settings) -> None:
    settings.KODIAI_GITHUB_WEBHOOK_SECRET = ["the-old", "the-new"]
    body = json.dumps(pull_request_payload()).encode()

    for secret in ("the-old", "the-new"):
        assert deliver(client, body, signature=sign(body, secret)).status_code == 202
    assert deliver(client, body, signature=sign(body, "another")).status_code == 401


def test_without_a_secret_every_delivery_is_answered_with_503(client: Client, settings: Settings) -> None:
    settings.KODIAI_GITHUB_WEBHOOK_SECRET = []
    body = json.dumps(pull_request_payload()).encode()

    answer = deliver(client, body, signature=sign(body, "anything"))

    assert answer.status_code == 503
    assert "KODIAI_GITHUB_WEBHOOK_SECRET" in answer.json()["error"]
    assert nothing_stored()


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b" ", "not JSON"),
        (b'{"action": ', "not JSON"),
        (b'{"number": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"null", "not a JSON object"),
        (b"[" * 200_000, "nested too deep"),
        (b'{"a":' * 200_000, "nested too deep"),
        (b"\xff\xfe{}", "not UTF-8"),
        (without(pull_request_payload(), "action"), "action"),
        (pull_request_payload() | {"action": 5}, "action"),
        (without(pull_request_payload(), "pull_request"), "pull_request is missing"),
        (without(pull_request_payload(), "pull_request", "number"), "pull_request.number"),
        (pull_request_payload(number=True), "pull_request.number"),
        (pull_request_payload(number=0), "pull_request.number"),
        (pull_request_payload(number=2**63), "pull_request.number"),
        (pull_request_payload(number=float("nan")), "pull_request.number"),
        (without(pull_request_payload(), "repository"), "repository is missing"),
        (pull_request_payload() | {"repository": {"full_name": "no-owner"}}, "repository.full_name"),
        (pull_request_payload() | {"repository": {"full_name": "../.."}}, "repository.full_name"),
        (pull_request_payload() | {"repository": {"full_name": "octo/de\0mo"}}, "repository.full_name"),
        (pull_request_payload() | {"installation": {"id": "x"}}, "installation.id"),
        (pull_request_payload() | {"sender": {"login": "a\0b"}}, "NUL"),
        (pull_request_payload() | {"sender": {"login": "\ud800"}}, "Unicode"),
        (pull_request_payload() | {"sender": {"login": "x" * 256}}, "longer than"),
        (pull_request_payload("x" * 101), "longer than"),
    ],
)
def test_an_incomplete_body_is_answered_with_400(client: Client, payload: Any, reason: str) -> None:
    answer = deliver(client, payload)

    assert answer.status_code == 400
    assert reason in answer.json()["error"]
    assert nothing_stored()


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"event": None}, "X-GitHub-Event"),
        ({"event": ""}, "X-GitHub-Event"),
        ({"event": "x" * 101}, "longer than"),
        ({"event": "push\0"}, "NUL"),
        ({"delivery_id": None}, "X-GitHub-Delivery"),
        ({"delivery_id": ""}, "X-GitHub-Delivery"),
        ({"delivery_id": "x" * 256}, "longer than 255"),
        ({"delivery_id": "a\0b"}, "NUL"),
    ],
)
def test_a_missing_or_unusable_header_is_answered_with_400(
    client: Client, headers: dict[str, Any], reason: str
) -> None:
    answer = deliver(client, pull_request_payload(), **headers)

    assert answer.status_code == 400
    assert reason in answer.json()["error"]
    assert nothing_stored()


@pytest.mark.database
def test_a_delivery_id_of_255_characters_is_accepted(client: Client) -> None:
    assert deliver(client, pull_request_payload(), delivery_id="é" * 255).status_code == 202


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", "", "application/jsonp"])
def test_another_content_type_is_answered_with_415(client: Client, content_type: str) -> None:
    assert deliver(client, pull_request_payload(), content_type=content_type).status_code == 415
    assert nothing_stored()
    with_charset = "application/json; charset=utf-8"
    assert deliver(client, pull_request_payload(), content_type=with_charset).status_code == 202


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "options", "head"])
def test_another_method_is_answered_with_405(client: Client, method: str) -> None:
    answer = getattr(client, method)("/webhooks/github")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


@pytest.mark.database
def test_a_body_over_25_mib_is_answered_with_413(client: Client) -> None:
    frame = json.dumps(pull_request_payload(body="")).encode()
    largest = frame.replace(b'"body": ""', b'"body": "' + b"x" * (25 * 1024 * 1024 - len(frame)) + b'"')
    assert len(largest) == 25 * 1024 * 1024

    assert deliver(client, largest).status_code == 202
    assert deliver(client, largest + b" ", delivery_id="d-2").status_code == 413
    assert Delivery.objects.count() == 1


class _EndsEarly:
    def read(self, size: int) -> bytes:
        raise ConnectionResetError

    readline = read


def test_a_body_that_ends_early_is_answered_with_400(client: Client) -> None:
    """The stream stands for a connection that breaks while its body is read."""
    answer = client.post(
        "/webhooks/github", b"{}", content_type="application/json",
        headers={"X-Hub-Signature-256": sign(b"{}")}, **{"wsgi.input": _EndsEarly()},
    )  # fmt: skip

    assert answer.status_code == 400
    assert "ended early" in answer.json()["error"]


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_an_unwritable_database_is_answered_with_503(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """The task's table is away, so that the delivery row is written and its task is not."""
    table = DBTaskResult._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO gone_for_a_while")
    try:
        answer = deliver(client, pull_request_payload())
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE gone_for_a_while RENAME TO {table}")

    assert answer.status_code == 503
    assert nothing_stored()
    assert [getattr(line, "delivery_id", "") for line in caplog.records if line.exc_info] == ["d-1"]
    assert deliver(client, pull_request_payload()).json()["status"] == "queued"


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="a lock on the whole file is SQLite's")
def test_a_locked_database_is_answered_with_503_in_time(client: Client) -> None:
    connection.ensure_connection()
    connection.connection.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        answer = deliver(client, pull_request_payload())
        other.execute("ROLLBACK")
    finally:
        other.close()
        connection.close()

    assert answer.status_code == 503
    assert nothing_stored()


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="GitHub's example bodies lie outside of this project")
@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("pull_request.opened", "queued"),
        ("pull_request.reopened", "queued"),
        ("pull_request.ready_for_review", "queued"),
        ("pull_request.synchronize", "queued"),
        ("pull_request.review_requested", "queued"),
        ("pull_request.closed", "ignored"),
        ("issue_comment.created", "ignored"),
        ("issue_comment.edited", "ignored"),
        ("pull_request_review_comment.created", "ignored"),
        ("installation.created", "queued"),
        ("installation.deleted", "queued"),
        ("installation_repositories.added", "queued"),
        ("ping", "pong"),
    ],
)
def test_githubs_own_examples_are_understood(client: Client, name: str, status: str) -> None:
    body = (EXAMPLES / f"{name}.json").read_bytes()

    answer = deliver(client, body, event=name.partition(".")[0])

    assert answer.json()["status"] == status
