"""Calls as the App itself: listing webhook deliveries and requesting their redelivery."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from pytest_django import Settings

from reviews.github import app as app_module
from reviews.github.app import AppClient
from reviews.github.errors import NotConfigured, RateLimited, Unavailable
from reviews.github.schemas import HookDelivery
from sandbox import Fault, FaultKind, PullRequest, Sandbox, webhook_payload

EVER = datetime(2020, 1, 1, tzinfo=UTC)


def listed(since: datetime = EVER) -> list[HookDelivery]:
    with AppClient() as app:
        return list(app.hook_deliveries(since))


def send(github: Sandbox, pull: PullRequest, count: int) -> list[str]:
    """Send that many webhooks to where nobody listens; return their delivery ids, newest first."""
    sent = [str(uuid4()) for _ in range(count)]
    for delivery_id in sent:
        github.send_webhook("http://127.0.0.1:1/", "pull_request", webhook_payload(pull, "opened"), delivery_id)
    return sent[::-1]


def test_deliveries_are_listed_newest_first_over_all_pages(
    github: Sandbox, pull: PullRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "PER_PAGE", 3)
    sent = send(github, pull, 7)

    deliveries = listed()

    assert [delivery.guid for delivery in deliveries] == sent
    assert github.count("hook_deliveries") == 3
    newest = deliveries[0]
    assert (newest.event, newest.action, newest.redelivery) == ("pull_request", "opened", False)
    assert newest.id == github.hook_deliveries[0].id
    assert newest.installation_id == pull.repository.installation_id
    assert newest.status_code == 502
    assert datetime.now(UTC) - newest.delivered_at < timedelta(minutes=1)


def test_the_list_ends_at_the_first_delivery_that_is_too_old(
    github: Sandbox, pull: PullRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "PER_PAGE", 2)
    send(github, pull, 5)
    entries = [delivery.json() | {"delivered_at": "2026-01-01T12:00:00Z"} for delivery in github.hook_deliveries[:2]]
    entries[1]["delivered_at"] = "2026-01-01T11:59:59Z"
    github.fail("hook_deliveries", Fault(FaultKind.WRONG_JSON, body=entries))

    deliveries = listed(since=datetime(2026, 1, 1, 12, tzinfo=UTC))

    assert [delivery.id for delivery in deliveries] == [entries[0]["id"]]
    assert github.count("hook_deliveries") == 1


@pytest.mark.parametrize(
    "fault",
    [Fault(FaultKind.STATUS, status=500), Fault(FaultKind.STATUS, status=502), Fault(FaultKind.RESET)],
    ids=["500", "502", "reset"],
)
def test_listing_is_retried_and_redelivering_is_not(github: Sandbox, pull: PullRequest, fault: Fault) -> None:
    sent = send(github, pull, 1)
    github.fail("hook_deliveries", fault, times=2)
    github.fail("redeliver", fault)

    (delivery,) = listed()
    assert delivery.guid == sent[0]
    with AppClient() as app, pytest.raises(Unavailable):
        app.redeliver(delivery.id)
    assert (github.count("hook_deliveries"), github.count("redeliver")) == (3, 1)


@pytest.mark.parametrize(
    "body", [{}, [7], [{"id": "x"}], [{"id": 2**70, "guid": "g", "event": "e", "status_code": 1}]], ids=repr
)
def test_a_list_that_cannot_be_read_is_no_empty_list(github: Sandbox, body: object) -> None:
    github.fail("hook_deliveries", Fault(FaultKind.WRONG_JSON, body=body), times=None)

    with pytest.raises(Unavailable, match="is not a valid"):
        listed()


def test_a_list_whose_pages_lead_in_a_circle_ends(github: Sandbox, pull: PullRequest) -> None:
    send(github, pull, 1)
    circle = {"Link": '<https://elsewhere.example/app/hook/deliveries?cursor=v1_9>; rel="next"'}
    entries = [github.hook_deliveries[0].json()]
    github.fail("hook_deliveries", Fault(FaultKind.WRONG_JSON, body=entries, headers=circle), times=None)

    with pytest.raises(Unavailable, match="circular"):
        listed()
    assert github.count("hook_deliveries") == 2


@pytest.mark.parametrize(
    "fault",
    [
        Fault(FaultKind.PRIMARY_LIMIT, reset_in=600),
        Fault(FaultKind.PRIMARY_LIMIT, status=429, reset_in=600),
        Fault(FaultKind.SECONDARY_LIMIT, retry_after=600),
        Fault(FaultKind.SECONDARY_LIMIT, retry_after=None),
    ],
    ids=["primary-403", "primary-429", "secondary", "secondary-unhinted"],
)
@pytest.mark.parametrize("route", ["hook_deliveries", "redeliver"])
def test_the_apps_own_limit_is_raised_and_remembered(
    github: Sandbox, pull: PullRequest, route: str, fault: Fault
) -> None:
    send(github, pull, 1)
    github.fail(route, fault)

    with AppClient() as app:
        with pytest.raises(RateLimited) as first:
            app.redeliver(github.hook_deliveries[0].id) if route == "redeliver" else list(app.hook_deliveries(EVER))
        github.reset_calls()
        with pytest.raises(RateLimited) as second:
            list(app.hook_deliveries(EVER))
        with pytest.raises(RateLimited):
            app.redeliver(github.hook_deliveries[0].id)

    assert (first.value.asked, second.value.asked) == (True, False)
    assert first.value.hinted == (fault.retry_after is not None or fault.kind is FaultKind.PRIMARY_LIMIT)
    assert first.value.retry_at == second.value.retry_at
    assert github.count() == 0


def test_a_key_unknown_to_github_says_what_to_check(github: Sandbox) -> None:
    github.fail("hook_deliveries", Fault(FaultKind.STATUS, status=401, message="A JSON web token is not good"))

    with pytest.raises(NotConfigured, match=r"JSON web token is not good.*KODIAI_GITHUB_PRIVATE_KEY.*clock"):
        listed()
    assert listed() == []


@pytest.mark.parametrize(
    "key",
    ["", "not a key", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"],
    ids=["none", "text", "broken"],
)
def test_an_invalid_key_is_reported_before_any_call(github: Sandbox, settings: Settings, key: str) -> None:
    settings.KODIAI_GITHUB_PRIVATE_KEY = key

    with pytest.raises(NotConfigured, match="KODIAI_GITHUB_PRIVATE_KEY") as reported:
        listed()
    assert "AAAA" not in str(reported.value)
    assert github.count() == 0
