"""No body and no header makes the intake fail: every answer is in its table."""

import json
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.webhooks import check_payload, comment_payload, deliver, pull_request_payload, reply_payload

pytestmark = [pytest.mark.django_db, pytest.mark.database]

# 411: the test client sends no length of an empty body.
ANSWERS = {200, 202, 400, 401, 411, 413, 415}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
# Header values are what WSGI can carry: characters of one byte, without line breaks.
headers = st.none() | st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=300)
events = st.sampled_from(
    [
        "pull_request",
        "issue_comment",
        "pull_request_review_comment",
        "check_run",
        "check_suite",
        "installation",
        "installation_repositories",
        "ping",
        "push",
    ]
)
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to everything in a body."""
    places = [path] if path else []
    for key, inner in value.items() if isinstance(value, dict) else ():
        places += _places(inner, (*path, key))
    return places


PLACES = [
    (event, body, place)
    for event, body in (
        ("pull_request", pull_request_payload()),
        ("pull_request", pull_request_payload("review_requested") | {"requested_reviewer": {"login": "mona"}}),
        ("issue_comment", comment_payload()),
        ("pull_request_review_comment", reply_payload()),
        ("check_run", check_payload()),
        ("check_suite", check_payload("check_suite")),
        ("installation", {"action": "deleted", "installation": {"id": 1}, "sender": {"login": "mona"}}),
    )
    for place in _places(body)
]


@relaxed
@given(body=st.binary(max_size=2000), event=headers, delivery_id=headers, content_type=headers)
def test_no_bytes_and_no_headers_give_a_500(
    client: Client, body: bytes, event: str | None, delivery_id: str | None, content_type: str | None
) -> None:
    answer = deliver(
        client, body, event=event, delivery_id=delivery_id, content_type=content_type or "application/json"
    )
    assert answer.status_code in ANSWERS


@relaxed
@given(signature=headers)
def test_no_signature_header_gives_a_500(client: Client, signature: str | None) -> None:
    assert deliver(client, {}, signature=signature or None).status_code in {400, 401}


@relaxed
@given(place=st.sampled_from(PLACES), value=values, delivery_id=st.uuids().map(str))
def test_no_value_of_any_type_at_any_place_of_a_body_gives_a_500(
    client: Client, place: tuple[str, dict[str, Any], tuple[Any, ...]], value: Any, delivery_id: str
) -> None:
    event, body, path = place
    body = json.loads(json.dumps(body))
    inner = body
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value

    assert deliver(client, body, event=event, delivery_id=delivery_id).status_code in ANSWERS


@relaxed
@given(body=values, event=events)
def test_no_json_for_any_event_gives_a_500(client: Client, body: Any, event: str) -> None:
    assert deliver(client, body, event=event).status_code in ANSWERS
