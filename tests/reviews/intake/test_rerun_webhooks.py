"""Re-run webhooks: which start a run, for which pull request, and which are refused."""

from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from reviews.models import Delivery, IgnoreReason, Review
from tests.support.webhooks import check_payload, deliver

pytestmark = pytest.mark.django_db

DIGEST = "0123456789abcdef" * 2


@pytest.mark.parametrize("event", ["check_run", "check_suite"])
def test_a_rerun_is_queued_for_the_named_pull_request(client: Client, event: str) -> None:
    answer = deliver(client, check_payload(event), event=event)

    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    delivery = Delivery.objects.get()
    assert (delivery.event, delivery.event_type) == (event, f"{event}.rerequested")
    assert (delivery.repo, delivery.pr_number, delivery.head_sha) == ("octo/demo", 7, "a" * 40)
    assert (delivery.installation_id, delivery.sender, delivery.addressed) == (99, "mona", False)
    assert Review.objects.get().pr_number == 7
    assert deliver(client, check_payload(event), event=event).json()["status"] == "duplicate"


def test_the_external_id_names_the_pull_request_of_a_fork(client: Client) -> None:
    deliver(client, check_payload(external_id=f"12:{DIGEST}", pull_requests=[]), event="check_run")

    assert Delivery.objects.get().pr_number == 12


def test_a_pull_request_of_another_repository_is_not_meant(client: Client) -> None:
    """To an App on a fork GitHub lists the pull requests that the fork has in the parent repository."""
    of_parent, own = ({"number": number, "base": {"repo": {"id": repo}}} for number, repo in ((1, 500), (2, 600)))
    for pulls in ([of_parent], [of_parent, own]):
        payload = check_payload("check_suite", pull_requests=pulls)
        payload["repository"]["id"] = 600
        deliver(client, payload, event="check_suite", delivery_id=f"d-{len(pulls)}")

    known = dict(Delivery.objects.values_list("delivery_id", "pr_number"))
    assert known == {"d-2": 2, "d-1": None}
    assert Delivery.objects.get(delivery_id="d-1").ignore_reason == IgnoreReason.NO_PULL_REQUEST


@pytest.mark.parametrize(
    "external_id", [None, 12, "12", f"012:{DIGEST}", f"12:{DIGEST}\n", f"{2**63}:{DIGEST}", "٣:"], ids=repr
)
def test_an_external_id_of_another_form_is_ignored(client: Client, external_id: Any) -> None:
    payload = check_payload(external_id=external_id)

    assert deliver(client, payload, event="check_run").json()["status"] == "queued"
    assert Delivery.objects.get().pr_number == 7


@pytest.mark.parametrize("app", [{"id": 1}, {"slug": "Kodiai"}, {"id": 1, "slug": "renamed"}], ids=repr)
def test_the_app_is_known_by_its_number_or_its_slug(client: Client, settings: Settings, app: dict[str, Any]) -> None:
    settings.KODIAI_GITHUB_APP_ID, settings.KODIAI_GITHUB_APP_SLUG = "1", "kodiai"

    assert deliver(client, check_payload(app=app), event="check_run").json()["status"] == "queued"


@pytest.mark.parametrize(
    ("event", "payload", "reason"),
    [
        ("check_run", check_payload() | {"action": "created"}, IgnoreReason.ACTION),
        ("check_run", {"action": "created"}, IgnoreReason.ACTION),
        ("check_run", check_payload(app={"id": 2, "slug": "ci"}), IgnoreReason.CHECK_OF_ANOTHER_APP),
        ("check_run", check_payload(app={"id": "1"}), IgnoreReason.CHECK_OF_ANOTHER_APP),
        ("check_run", check_payload(app={"id": 99, "slug": "kodiai"}), IgnoreReason.CHECK_OF_ANOTHER_APP),
        (
            "check_run",
            check_payload(app={"id": 2, "slug": "ci"}, external_id=f"7:{DIGEST}"),
            IgnoreReason.CHECK_OF_ANOTHER_APP,
        ),
        ("check_suite", check_payload("check_suite", pull_requests=[]), IgnoreReason.NO_PULL_REQUEST),
        ("check_run", check_payload(pull_requests=[]), IgnoreReason.NO_PULL_REQUEST),
        ("check_run", check_payload() | {"sender": {"login": "kodiai[bot]", "type": "Bot"}}, IgnoreReason.OWN_EVENT),
        (
            "check_suite",
            check_payload("check_suite") | {"sender": {"login": "renovate[bot]", "type": "Bot"}},
            IgnoreReason.BOT_SENDER,
        ),
    ],
)
def test_it_ignores_what_it_does_not_act_on_and_says_why(
    client: Client, event: str, payload: dict[str, Any], reason: IgnoreReason
) -> None:
    answer = deliver(client, payload, event=event)

    assert (answer.status_code, answer.json()) == (
        202,
        {"delivery": "d-1", "status": "ignored", "reason": reason.value},
    )
    assert Delivery.objects.get().ignore_reason == reason
    assert not Review.objects.exists()


@pytest.mark.parametrize(
    ("event", "payload", "said"),
    [
        ("check_run", {}, "action is missing"),
        ("check_run", {"action": "rerequested"}, "check_run is missing"),
        ("check_suite", check_payload("check_run"), "check_suite is missing"),
        ("check_run", check_payload() | {"check_run": "one"}, "check_run is missing or not an object"),
        ("check_run", check_payload(pull_requests=None), "check_run.pull_requests is missing or not a list"),
        ("check_run", check_payload(pull_requests=["7"]), "check_run.pull_requests[0] is not an object"),
        ("check_run", check_payload(pull_requests=[{"number": True}]), "check_run.pull_requests[0].number"),
    ],
)
def test_an_incomplete_rerun_is_answered_with_400(
    client: Client, event: str, payload: dict[str, Any], said: str
) -> None:
    answer = deliver(client, payload, event=event)

    assert answer.status_code == 400
    assert said in answer.json()["error"]
    assert not Delivery.objects.exists()
