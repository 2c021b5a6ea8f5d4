"""Permissions and events of the App: manifest, tokens, intake and README agree, and ask for no more than runs need."""

import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.conf import settings

from reviews.github.facts import INSTALLATION_EVENTS
from reviews.intake.payloads import read_delivery
from reviews.models import IgnoreReason
from sandbox import Fault, FaultKind, Sandbox
from sandbox.routes import ROUTES, Auth
from telemetry.models import Conclusion
from tests.support.runs import admit, run, say

MANIFEST: dict[str, Any] = json.loads((settings.BASE_DIR / "docs" / "app-manifest.json").read_text())
README = (settings.BASE_DIR / "README.md").read_text()
FOR_THE_EVENTS = {"issues": "read", "merge_queues": "read"}
"""GitHub lets an App subscribe to issue_comment only with Issues ("Default events are not supported by permissions:
issue_comment"), and to merge_group only with Merge queues. No call needs them, so no token has them. Source: GitHub
docs, "Webhook events and payloads"."""

EVENTS = re.findall(
    r"\w+",
    """
branch_protection_rule check_run check_suite code_scanning_alert commit_comment create delete dependabot_alert
deploy_key deployment deployment_status discussion discussion_comment fork github_app_authorization gollum installation
installation_repositories installation_target issue_comment issues label member membership merge_group meta milestone
org_block organization package page_build ping project public pull_request pull_request_review
pull_request_review_comment pull_request_review_thread push registry_package release repository repository_advisory
repository_dispatch repository_import repository_ruleset repository_vulnerability_alert secret_scanning_alert
security_advisory security_and_analysis star status sub_issues team team_add watch workflow_dispatch workflow_job
workflow_run
""",
)
"""Source: GitHub docs, "Webhook events and payloads"."""
NOT_CHOSEN = {*INSTALLATION_EVENTS, "ping"}
"""Every App gets these, and none can subscribe to them."""


def complete_runs(github: Sandbox) -> None:
    """Runs that between them make every call that Kodiai knows."""
    repo = github.create_repository(files={"a.py": "x = 1\n", ".kodiai.yml": "telemetry: {}\n"})
    pull = repo.open_pull_request(changes={"a.py": "import os\nx = 2\n"}, author="mona")
    assert run(admit(pull)).conclusion == Conclusion.SUCCESS
    pull.push({"a.py": "x = 2\n"})
    assert run(admit(pull, "synchronize")).conclusion == Conclusion.SUCCESS
    other = github.create_repository("octo/by-rest", files={"a.py": "x = 1\n"})
    github.graphql_available = False
    assert run(admit(other.open_pull_request(changes={"a.py": "x = 2\n"}, author="mona"))).conclusion == "success"
    github.graphql_available = True
    third = github.create_repository("octo/again", files={"a.py": "x = 1\n"})
    again = third.open_pull_request(changes={"a.py": "x = 2\n"}, author="mona")
    github.fail("create_review", Fault(FaultKind.APPLIED_THEN_RESET))
    delivery = admit(again, installation=None)
    run(delivery)
    assert run(delivery).published_at is not None
    assert len(again.reviews) == 1
    assert [len(repository.check_runs) for repository in (repo, other, third)] == [2, 1, 1]
    repo.roles["mona"] = "write"
    for to in (None, pull.threads[0].first["id"]):
        github.fail("create_comment" if to is None else "reply", Fault(FaultKind.APPLIED_THEN_RESET))
        delivery = say(pull, "@kodiai explain", to=to)
        run(delivery)
        assert run(delivery).command_outcome.answered_at is not None


@pytest.mark.django_db
def test_tokens_cover_one_repository_and_what_runs_did_there(github: Sandbox) -> None:
    complete_runs(github)

    asked = [call.body for call in github.calls if call.route == "installation_token"]
    ids = {repo.id: repo.name for repo in github.repositories.values()}
    assert [[ids[number] for number in body["repository_ids"]] for body in asked] == [["demo"], ["by-rest"], ["again"]]
    permissions = asked[0]["permissions"]
    assert all(body["permissions"] == permissions for body in asked)
    assert MANIFEST["default_permissions"] == permissions | FOR_THE_EVENTS

    called = {call.route for call in github.calls}
    assert called >= {"pull", "files", "contents", "graphql", "search", "create_review", "list_reviews"}
    assert called >= {"update_review", "update_comment", "create_check_run"}
    assert called >= {"permission", "react", "react_on_lines", "create_comment", "reply", "list_comments"}
    routes = [route for route in ROUTES if route.name in called and route.auth is Auth.INSTALLATION]
    assert all(route.permits(permissions) for route in routes)
    for name, level in permissions.items():
        if name == "metadata":  # Goes with every token.
            continue
        less = (
            {**permissions, name: "read"} if level == "write" else {k: v for k, v in permissions.items() if k != name}
        )
        assert not all(route.permits(less) for route in routes), f"{name} could be less"


@pytest.mark.django_db
def test_a_token_cannot_do_what_no_run_does(github: Sandbox) -> None:
    repo = github.create_repository(files={"a.py": "x = 1\n"})
    run(admit(repo.open_pull_request(changes={"a.py": "x = 2\n"}, author="mona")))

    (token,) = github.tokens._tokens.values()
    assert token.permissions == {
        "checks": "write",
        "contents": "read",
        "metadata": "read",
        "pull_requests": "write",
    }
    assert token.repositories == {repo.id}


def test_the_app_subscribes_to_what_the_intake_acts_on() -> None:
    def acted_on(event: str) -> bool:
        body = {
            "action": "created",
            "installation": {"id": 1},
            "repository": {"full_name": "octo/demo"},
            "sender": {"login": "mona", "type": "User"},
            "issue": {"number": 1, "pull_request": {}},
            "pull_request": {"number": 1},
            "comment": {"id": 1, "body": "@kodiai"},
        }
        return read_delivery("d-1", event, json.dumps(body).encode()).ignore is not IgnoreReason.EVENT

    assert {event for event in EVENTS if acted_on(event)} - NOT_CHOSEN == set(MANIFEST["default_events"])


def test_the_readme_says_the_same_as_the_manifest() -> None:
    row = re.search(r"\| Repository permissions \| (.*) \|", README)
    assert row
    said = dict(entry.split(": ") for entry in row[1].split(". "))
    levels = {"read": "read", "read and write": "write"}
    assert {name.lower().replace(" ", "_"): levels[said[name]] for name in said} == MANIFEST["default_permissions"]

    link = re.search(r"\((https://github\.com/settings/apps/new\?[^)]*)\)", README)
    assert link
    asked = parse_qsl(urlsplit(link[1]).query)
    assert [value for name, value in asked if name == "events[]"] == MANIFEST["default_events"]
    given = dict(asked)
    assert {name: given.get(name) for name in MANIFEST["default_permissions"]} == MANIFEST["default_permissions"]
    assert given["webhook_url"] == MANIFEST["hook_attributes"]["url"]
    assert given["public"] == "false"

    events = re.search(r"\| Subscribe to events \| (.*) \|", README)
    assert events
    assert [event.lower().replace(" ", "_") for event in events[1].split(", ")] == MANIFEST["default_events"]
