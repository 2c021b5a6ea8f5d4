"""JSON of the sandbox is valid for githubkit's models, which are made from GitHub's OpenAPI description."""

import json

import httpx
import pytest
from githubkit import AppAuthStrategy, GitHub
from githubkit.webhooks import parse

from sandbox import PullRequest, Sandbox, add_check_run, add_reply, create_merge_group, webhook_payload

# The models are some thousand classes: their import takes longer than the tests.
pytestmark = pytest.mark.slow

ACTIONS = (
    "opened",
    "edited",
    "synchronize",
    "converted_to_draft",
    "reopened",
    "ready_for_review",
    "closed",
    "review_requested",
)
PAYLOADS: list[tuple[str, str | None]] = [
    *(("pull_request", action) for action in ACTIONS),
    *(("installation", action) for action in ("created", "deleted")),
    *((event, "rerequested") for event in ("check_run", "check_suite")),
    *(
        ("issue_comment", "created"),
        ("installation_repositories", "added"),
        ("installation_repositories", "removed"),
        ("ping", None),
    ),
]


@pytest.fixture
def kit(github: Sandbox, pull: PullRequest) -> GitHub:
    strategy = AppAuthStrategy(str(github.app_id), github.private_key)
    app = GitHub(strategy, base_url=github.url, auto_retry=False, http_cache=False)
    return app.with_auth(app.auth.as_installation(pull.repository.installation_id))


def test_responses_about_pull_requests_match_the_models(kit: GitHub, github: Sandbox, pull: PullRequest) -> None:
    github.merged_pull_requests["octo/demo", "mona"] = 2
    pull.push({"README.md": None, "image.bin": b"\0"}, renames={"app.py": "lib/app.py"})
    comment = {"path": "helper.py", "line": 1, "body": "Why?"}
    pull_request = ("octo", "demo", 1)
    rest = kit.rest
    assert rest.pulls.get(*pull_request).parsed_data.head.sha == pull.head_sha
    assert len(rest.pulls.list_files(*pull_request).parsed_data) == 4
    created = rest.pulls.create_review(*pull_request, event="COMMENT", body="Hi", comments=[comment]).parsed_data
    assert rest.pulls.list_reviews(*pull_request).parsed_data == [created]
    [comment] = rest.pulls.list_review_comments(*pull_request).parsed_data
    assert comment.body == "Why?"
    assert rest.pulls.update_review_comment("octo", "demo", comment.id, body="So.").parsed_data.body == "So."
    assert rest.pulls.get_review_comment("octo", "demo", comment.id).parsed_data.body == "So."
    assert rest.pulls.update_review(*pull_request, created.id, body="Hello").parsed_data.body == "Hello"
    assert rest.issues.create_comment(*pull_request, body="Hi").parsed_data.body == "Hi"
    assert len(rest.issues.list_comments(*pull_request).parsed_data) == 1
    output = {"title": "None", "summary": "No findings."}
    check = rest.checks.create(
        "octo", "demo", name="Kodiai", head_sha=pull.head_sha, conclusion="success", output=output
    )
    assert check.parsed_data.conclusion == "success"
    changed = rest.checks.update("octo", "demo", check.parsed_data.id, data={"conclusion": "neutral"})
    assert changed.parsed_data.conclusion == "neutral"
    checks = rest.checks.list_for_ref("octo", "demo", pull.head_sha, check_name="Kodiai", filter_="all").parsed_data
    assert [run.id for run in checks.check_runs] == [check.parsed_data.id]
    found = rest.search.issues_and_pull_requests(q="repo:octo/demo author:mona is:pr").parsed_data
    assert (found.total_count, len(found.items)) == (3, 3)
    compared = rest.repos.compare_commits("octo", "demo", f"{pull.base_sha}...{pull.head_sha}").parsed_data
    assert (len(compared.files or ()), compared.status, compared.total_commits) == (4, "ahead", 2)
    assert rest.repos.get_content("octo", "demo", "README.md").parsed_data.size == 7
    assert len(rest.repos.get_content("octo", "demo", "").parsed_data) == 2
    assert rest.rate_limit.get().parsed_data.resources.search.remaining == 29


def test_responses_to_the_app_match_the_models(github: Sandbox, pull: PullRequest) -> None:
    kit = GitHub(
        AppAuthStrategy(str(github.app_id), github.private_key), base_url=github.url, auto_retry=False, http_cache=False
    )
    github.send_webhook(f"{github.url}/nowhere", "pull_request", webhook_payload(pull, "opened"))
    app = kit.rest.apps
    assert app.get_authenticated().parsed_data.slug == "kodiai"
    installation = app.get_repo_installation("octo", "demo").parsed_data
    assert [listed.id for listed in app.list_installations().parsed_data] == [installation.id]
    assert app.get_webhook_config_for_app().parsed_data.url == f"{github.url}/nowhere"
    token = app.create_installation_access_token(installation.id, repositories=["demo"]).parsed_data
    assert token.repositories[0].full_name == "octo/demo"
    [delivery] = app.list_webhook_deliveries().parsed_data
    assert app.redeliver_webhook_delivery(delivery.id).status_code == 202


def test_a_changed_base_matches_the_models(pull: PullRequest) -> None:
    old = pull.base_sha
    pull.repository.branches["dev"] = pull.repository.commit({"new.md": "x\n"})
    pull.retarget("dev")

    parsed = parse("pull_request", json.dumps(webhook_payload(pull, "edited")))
    assert (parsed.changes.base.ref.from_, parsed.changes.base.sha.from_) == ("main", old)
    assert parsed.pull_request.base.ref == "dev"


@pytest.mark.parametrize("action", ["checks_requested", "destroyed"])
def test_merge_group_payloads_match_the_models(pull: PullRequest, action: str) -> None:
    group = create_merge_group(pull)
    parsed = parse("merge_group", json.dumps(webhook_payload(group, action, "merge_group")))

    assert (parsed.action, parsed.merge_group.head_sha) == (action, group.head_sha)
    assert parsed.merge_group.head_ref == f"refs/heads/gh-readonly-queue/main/pr-1-{group.base_sha}"


@pytest.mark.parametrize("event", ["check_run", "check_suite"])
def test_check_payloads_of_a_merge_group_match_the_models(pull: PullRequest, event: str) -> None:
    group = create_merge_group(pull)
    add_check_run(pull.repository, "ci", group.head_sha)
    parsed = parse(event, json.dumps(webhook_payload(group, "rerequested", event)))

    assert getattr(parsed, event).head_sha == group.head_sha
    assert getattr(parsed, event).pull_requests == []


def test_payloads_match_the_models(client: httpx.Client, github: Sandbox, pull: PullRequest) -> None:
    """In one test, since the models of an event take seconds to be built, once in a process."""
    comments = [{"path": "helper.py", "line": 1, "body": "Hm."}]
    client.post(f"{pull.api_url}/reviews", json={"event": "COMMENT", "body": "Look.", "comments": comments})
    reply = add_reply(pull, "mona", "@kodiai explain", to=pull.threads[0].first["id"])
    add_check_run(pull.repository, "ci", pull.head_sha)
    bodies = [(event, webhook_payload(pull, action, event)) for event, action in PAYLOADS]
    bodies.append(
        ("pull_request_review_comment", webhook_payload(pull, "created", "pull_request_review_comment", comment=reply))
    )

    for event, body in bodies:
        assert getattr(parse(event, json.dumps(body)), "action", None) == body.get("action"), event
