"""The bodies of webhooks. Source of the shapes: GitHub docs, "Webhook events and payloads"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.app import EVENTS, App, Json, account, installation_json, node_id, timestamp
from sandbox.rest import check_runs as checks
from sandbox.rest import comments as conversation
from sandbox.rest import resources as shapes

if TYPE_CHECKING:
    from sandbox.state.pulls import PullRequest
    from sandbox.state.repository import Repository

WEBHOOK_URL = "https://example.com/webhooks/github"
"""What a ping says the App's webhook address is; the sandbox sends where it is told to."""


def payload(
    app: App,
    event: str,
    action: str | None,
    subject: PullRequest | Repository | None,
    *,
    sender: str | None = None,
    requested_reviewer: str | None = None,
    comment_body: str | None = None,
    commenter: str | None = None,
    comment: Json | None = None,
    before: str | None = None,
    check_run: Json | None = None,
    **overrides: Any,
) -> Json:
    """The body of `event` with `action` about a pull request or a repository.

    Events: `pull_request` (any action), `issue_comment` (about a pull request), `pull_request_review_comment`,
    `check_run` and `check_suite` (of the head commit of a pull request), `installation`, `installation_repositories`,
    `ping` (which needs no subject).
    `sender`, `requested_reviewer` and `commenter` are logins; `comment` is one that the pull request keeps, else one is
    made of `comment_body`, which only `issue_comment` does; `check_run` is one that the repository keeps, by default
    the newest of the head commit. Anything else in `overrides` is put in at the top of the body as it is. Raises
    ValueError for another event.
    """
    builders = {
        "pull_request": _pull_request,
        "issue_comment": _issue_comment,
        "pull_request_review_comment": _review_comment,
        "check_run": _check_run,
        "check_suite": _check_suite,
        "installation": _installation,
        "installation_repositories": _installation_repositories,
        "ping": _ping,
    }
    if event not in builders:
        raise ValueError(f"no payload for {event!r}; there are {', '.join(sorted(builders))}")
    details = {
        "requested_reviewer": requested_reviewer,
        "comment_body": comment_body,
        "commenter": commenter,
        "comment": comment,
        "before": before,
        "check_run": check_run,
    }
    body: Json = {"action": action} if action else {}
    body.update(builders[event](app, action, subject, details))
    if sender:
        body["sender"] = account(sender, app.api_url)
    return body | overrides


def _surroundings(app: App, repo: Repository, sender: str) -> Json:
    return {
        "repository": shapes.repository(repo),
        "installation": {
            "id": repo.installation_id,
            "node_id": node_id("MDIzOkludGVncmF0aW9uSW5zdGFsbGF0aW9u", repo.installation_id),
        },
        "sender": account(sender, app.api_url),
    }


def _pull_request(app: App, action: str | None, subject: Any, details: Json) -> Json:
    pull: PullRequest = subject
    body: Json = {"number": pull.number, "pull_request": shapes.pull_request(pull)}
    sender = pull.author
    if action == "synchronize":
        body |= {"before": details["before"] or pull.before_sha, "after": pull.head_sha}
    elif action == "edited":
        body["changes"] = {}
    elif action in ("review_requested", "review_request_removed"):
        reviewer = details["requested_reviewer"] or app.bot_login
        body["requested_reviewer"] = account(reviewer, app.api_url)
        if action == "review_requested":
            body["pull_request"]["requested_reviewers"] = [account(reviewer, app.api_url)]
    return body | _surroundings(app, pull.repository, sender)


def _issue_comment(app: App, action: str | None, subject: Any, details: Json) -> Json:
    pull: PullRequest = subject
    commenter = details["commenter"] or pull.author
    comment = details["comment"] or conversation.issue_comment(
        pull, author=commenter, body=details["comment_body"] or f"@{app.slug} review"
    )
    about = {"issue": shapes.issue(pull), "comment": conversation.public_comment(comment)}
    return about | _surroundings(app, pull.repository, comment["user"]["login"])


def _review_comment(app: App, action: str | None, subject: Any, details: Json) -> Json:
    pull: PullRequest = subject
    comment: Json = details["comment"]
    about = {"pull_request": shapes.pull_request(pull), "comment": conversation.public_comment(comment)}
    return about | _surroundings(app, pull.repository, comment["user"]["login"])


def _check_run(app: App, action: str | None, subject: Any, details: Json) -> Json:
    pull: PullRequest = subject
    repo = pull.repository
    kept = details["check_run"] or next(run for run in reversed(repo.check_runs) if run["head_sha"] == pull.head_sha)
    return {"check_run": checks.in_webhook(repo, kept)} | _surroundings(app, repo, pull.author)


def _check_suite(app: App, action: str | None, subject: Any, details: Json) -> Json:
    pull: PullRequest = subject
    repo = pull.repository
    return {"check_suite": checks.suite(repo, pull.head_sha)} | _surroundings(app, repo, pull.author)


def _installation(app: App, action: str | None, subject: Any, details: Json) -> Json:
    repo: Repository = getattr(subject, "repository", subject)
    return {
        "installation": installation_json(app, repo.owner),
        "repositories": [_short(repo)],
        "requester": None,
        "sender": account(repo.owner, app.api_url),
    }


def _installation_repositories(app: App, action: str | None, subject: Any, details: Json) -> Json:
    repo: Repository = getattr(subject, "repository", subject)
    return {
        "installation": installation_json(app, repo.owner),
        "repository_selection": "selected",
        "repositories_added": [_short(repo)] if action == "added" else [],
        "repositories_removed": [_short(repo)] if action == "removed" else [],
        "requester": None,
        "sender": account(repo.owner, app.api_url),
    }


def _ping(app: App, action: str | None, subject: Any, details: Json) -> Json:
    return {
        "zen": "Keep it logically awesome.",
        "hook_id": app.id,
        "hook": {
            "type": "App",
            "id": app.id,
            "name": "web",
            "active": True,
            "app_id": app.id,
            "events": EVENTS,
            "config": {"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": WEBHOOK_URL},
            "created_at": timestamp(),
            "updated_at": timestamp(),
            "deliveries_url": f"{app.api_url}/app/hook/deliveries",
        },
    }


def _short(repo: Repository) -> Json:
    return {
        "id": repo.id,
        "node_id": node_id("R", repo.id),
        "name": repo.name,
        "full_name": repo.full_name,
        "private": repo.private,
    }
