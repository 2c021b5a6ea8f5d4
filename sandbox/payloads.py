"""The bodies of webhooks. Source of the shapes: GitHub docs, "Webhook events and payloads"."""

from collections.abc import Callable
from typing import Any

from sandbox.app import EVENTS, App, Json, account, installation_json, node_id, timestamp
from sandbox.rest import check_runs, posts, resources
from sandbox.state.merge_queue import MergeGroup
from sandbox.state.repository import PullRequest, Repository

WEBHOOK_URL = "https://example.com/webhooks/github"
"""The App's webhook URL in the body of a ping. Webhooks are sent to the URL that the caller gives."""


def webhook_payload(
    subject: PullRequest | MergeGroup | Repository | App,
    action: str | None,
    event: str = "pull_request",
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
    """Build the body of a webhook, `installation` and `sender` included.

    Events about a pull request: `pull_request` with any action, `issue_comment`, `pull_request_review_comment` (with
    `comment`), `check_run`, `check_suite`. About a merge group: `merge_group`, `check_run`, `check_suite`. About a
    repository, or the one of a pull request: `installation`, `installation_repositories`. About the App: `ping`, whose
    action is None.

    `sender`, `requested_reviewer` and `commenter` are logins. `comment` is a stored comment; without one,
    `issue_comment` makes one of `comment_body`. `check_run` is a stored check run, by default the newest of the head
    commit. `before` is the previous head of `synchronize`. `overrides` replace keys of the body. Raises ValueError for
    any other event.
    """
    details = {
        "requested_reviewer": requested_reviewer,
        "comment_body": comment_body,
        "commenter": commenter,
        "comment": comment,
        "before": before,
        "check_run": check_run,
    }
    app = subject if isinstance(subject, App) else subject.app
    body: Json = {"action": action} if action else {}
    if event in _ABOUT_PULL_REQUESTS and isinstance(subject, PullRequest):
        body |= _ABOUT_PULL_REQUESTS[event](subject, action, details)
    elif event in _ABOUT_MERGE_GROUPS and isinstance(subject, MergeGroup):
        body |= _ABOUT_MERGE_GROUPS[event](subject, action, details)
    elif event in _ABOUT_REPOSITORIES and isinstance(subject, PullRequest | Repository):
        repo = subject.repository if isinstance(subject, PullRequest) else subject
        body |= _ABOUT_REPOSITORIES[event](repo, action)
    elif event == "ping":
        body |= _ping(app)
    else:
        events = ", ".join(sorted({*_ABOUT_PULL_REQUESTS, *_ABOUT_MERGE_GROUPS, *_ABOUT_REPOSITORIES, "ping"}))
        raise ValueError(f"no payload for {event!r} about a {type(subject).__name__}; events are {events}")
    if sender:
        body["sender"] = account(sender, app.api_url)
    return body | overrides


def _context(repo: Repository, sender: str) -> Json:
    return {
        "repository": resources.repository(repo),
        "installation": {
            "id": repo.installation_id,
            "node_id": node_id("MDIzOkludGVncmF0aW9uSW5zdGFsbGF0aW9u", repo.installation_id),
        },
        "sender": account(sender, repo.app.api_url),
    }


def _pull_request(pull: PullRequest, action: str | None, details: Json) -> Json:
    app = pull.app
    body: Json = {"number": pull.number, "pull_request": resources.pull_request(pull)}
    if action == "synchronize":
        body |= {"before": details["before"] or pull.before_sha, "after": pull.head_sha}
    elif action == "edited":
        body["changes"] = pull.changes
    elif action in ("review_requested", "review_request_removed"):
        reviewer = details["requested_reviewer"] or app.bot_login
        body["requested_reviewer"] = account(reviewer, app.api_url)
        if action == "review_requested":
            body["pull_request"]["requested_reviewers"] = [account(reviewer, app.api_url)]
    return body | _context(pull.repository, pull.author)


def _issue_comment(pull: PullRequest, action: str | None, details: Json) -> Json:
    comment = details["comment"] or posts.issue_comment(
        pull,
        author=details["commenter"] or pull.author,
        body=details["comment_body"] or f"@{pull.app.slug} review",
    )
    body = {"issue": resources.issue(pull), "comment": posts.public_comment(comment)}
    return body | _context(pull.repository, comment["user"]["login"])


def _review_comment(pull: PullRequest, action: str | None, details: Json) -> Json:
    comment: Json = details["comment"]
    body = {"pull_request": resources.pull_request(pull), "comment": posts.public_comment(comment)}
    return body | _context(pull.repository, comment["user"]["login"])


def _check_run(subject: PullRequest | MergeGroup, action: str | None, details: Json) -> Json:
    repo, sha = subject.repository, subject.head_sha
    stored = details["check_run"] or next(run for run in reversed(repo.check_runs) if run["head_sha"] == sha)
    return {"check_run": check_runs.in_webhook(repo, stored)} | _context(repo, repo.owner)


def _check_suite(subject: PullRequest | MergeGroup, action: str | None, details: Json) -> Json:
    repo = subject.repository
    return {"check_suite": check_runs.suite(repo, subject.head_sha)} | _context(repo, repo.owner)


def _merge_group(group: MergeGroup, action: str | None, details: Json) -> Json:
    body: Json = {
        "merge_group": {
            "head_sha": group.head_sha,
            "head_ref": f"refs/heads/{group.branch}",
            "base_sha": group.base_sha,
            "base_ref": f"refs/heads/{group.base_ref}",
            "head_commit": check_runs.head_commit(group.repository, group.head_sha),
        }
    }
    if action == "destroyed":
        body["reason"] = "invalidated"
    return body | _context(group.repository, "github-merge-queue[bot]")


def _installation(repo: Repository, action: str | None) -> Json:
    return {
        "installation": installation_json(repo.app, repo.owner),
        "repositories": [_short(repo)],
        "requester": None,
        "sender": account(repo.owner, repo.app.api_url),
    }


def _installation_repositories(repo: Repository, action: str | None) -> Json:
    return {
        "installation": installation_json(repo.app, repo.owner),
        "repository_selection": "selected",
        "repositories_added": [_short(repo)] if action == "added" else [],
        "repositories_removed": [_short(repo)] if action == "removed" else [],
        "requester": None,
        "sender": account(repo.owner, repo.app.api_url),
    }


def _ping(app: App) -> Json:
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


_ABOUT_PULL_REQUESTS: dict[str, Callable[[PullRequest, str | None, Json], Json]] = {
    "pull_request": _pull_request,
    "issue_comment": _issue_comment,
    "pull_request_review_comment": _review_comment,
    "check_run": _check_run,
    "check_suite": _check_suite,
}

_ABOUT_MERGE_GROUPS: dict[str, Callable[[MergeGroup, str | None, Json], Json]] = {
    "merge_group": _merge_group,
    "check_run": _check_run,
    "check_suite": _check_suite,
}

_ABOUT_REPOSITORIES: dict[str, Callable[[Repository, str | None], Json]] = {
    "installation": _installation,
    "installation_repositories": _installation_repositories,
}
