"""No body and no header makes the intake fail: every answer is in its table."""

import json
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.reviews.spoiling import json_values, spoilt
from tests.support.webhooks import (
    check_payload,
    comment_payload,
    deliver,
    merge_group_payload,
    pull_request_payload,
    reply_payload,
)

pytestmark = [pytest.mark.django_db, pytest.mark.database]

# 411: the test client sends no length of an empty body.
ANSWERS = {200, 202, 400, 401, 411, 413, 415}
# Header values are what WSGI can carry: characters of one byte, without line breaks.
headers = st.none() | st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=300)
BODIES: list[tuple[str, Any]] = [
    ("pull_request", pull_request_payload()),
    ("pull_request", pull_request_payload("review_requested") | {"requested_reviewer": {"login": "mona"}}),
    ("issue_comment", comment_payload()),
    ("pull_request_review_comment", reply_payload()),
    ("check_run", check_payload()),
    ("check_suite", check_payload("check_suite")),
    ("merge_group", merge_group_payload()),
    ("installation", {"action": "deleted", "installation": {"id": 1}, "sender": {"login": "mona"}}),
    ("installation_repositories", {"action": "removed", "repositories_removed": [{"full_name": "octo/demo"}]}),
    ("ping", {}),
    ("push", {}),
]
spoilt_bodies = st.sampled_from(BODIES).flatmap(
    lambda sent: st.tuples(st.just(sent[0]), st.one_of(spoilt(sent[1]), spoilt(sent[1], most=1), json_values))
)
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@relaxed
@given(body=st.binary(max_size=2000), event=headers, delivery_id=headers, content_type=headers, signature=headers)
def test_no_bytes_and_no_headers_give_a_500(
    client: Client,
    body: bytes,
    event: str | None,
    delivery_id: str | None,
    content_type: str | None,
    signature: str | None,
) -> None:
    names = {"event": event, "delivery_id": delivery_id, "content_type": content_type or "application/json"}
    assert deliver(client, body, **names).status_code in ANSWERS
    assert deliver(client, {}, signature=signature or None).status_code in {400, 401}


@relaxed
@given(
    sent=spoilt_bodies, delivery_id=st.uuids().map(str), broken=st.just(b"") | st.binary(max_size=6), at=st.integers()
)
def test_no_value_of_any_type_at_any_place_of_a_body_gives_a_500(
    client: Client, sent: tuple[str, Any], delivery_id: str, broken: bytes, at: int
) -> None:
    event, body = sent
    raw = json.dumps(body).encode()
    at %= len(raw)
    assert deliver(client, raw, event=event, delivery_id=delivery_id).status_code in ANSWERS
    spoilt = raw[:at] + broken + raw[at:]
    assert deliver(client, spoilt, event=event, delivery_id=delivery_id).status_code in ANSWERS
