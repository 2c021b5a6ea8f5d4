"""GitHub's JSON for what is said about a pull request: reviews, their comments, comments, and its side as an issue.

Source of the fields: GitHub's OpenAPI description of its REST API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.app import App, Json, account, node_id, timestamp

if TYPE_CHECKING:
    from sandbox.state.pulls import PullRequest

REACTIONS = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")


def review(
    pull: PullRequest,
    *,
    author: str,
    body: str,
    state: str,
    commit_id: str,
    event: str | None = None,
    comments: list[Json] | None = None,
) -> Json:
    """A review as `PullRequest.reviews` keeps it: GitHub's fields, and `event` and `comments` as they were posted."""
    number = pull.repository.app.next_id()
    html_url = f"{pull.html_url}#pullrequestreview-{number}"
    return {
        "id": number,
        "node_id": node_id("PRR", number),
        "user": account(author, pull.repository.app.api_url),
        "body": body,
        "state": state,
        "html_url": html_url,
        "pull_request_url": pull.api_url,
        "author_association": _association(pull, author),
        "_links": {"html": {"href": html_url}, "pull_request": {"href": pull.api_url}},
        "submitted_at": timestamp() if state != "PENDING" else None,
        "commit_id": commit_id,
        "event": event,
        "comments": comments or [],
    }


def public_review(kept: Json) -> Json:
    """A review as GitHub answers it; a pending one has no `submitted_at`."""
    hidden = {"event", "comments"} | ({"submitted_at"} if kept["submitted_at"] is None else set())
    return {name: value for name, value in kept.items() if name not in hidden}


def review_comment(pull: PullRequest, kept_review: Json, posted: Json, *, position: int, diff_hunk: str) -> Json:
    """A review comment as "List review comments on a pull request" answers it."""
    repo = pull.repository
    number = repo.app.next_id()
    url = f"{repo.app.api_url}/repos/{repo.full_name}/pulls/comments/{number}"
    html_url = f"{pull.html_url}#discussion_r{number}"
    line, start_line = posted.get("line"), posted.get("start_line")
    side = posted.get("side", "RIGHT")
    return {
        "url": url,
        "pull_request_review_id": kept_review["id"],
        "id": number,
        "node_id": node_id("PRRC", number),
        "diff_hunk": diff_hunk,
        "path": posted["path"],
        "position": position,
        "original_position": position,
        "commit_id": kept_review["commit_id"],
        "original_commit_id": kept_review["commit_id"],
        "user": kept_review["user"],
        "body": posted["body"],
        "created_at": kept_review["submitted_at"] or timestamp(),
        "updated_at": kept_review["submitted_at"] or timestamp(),
        "html_url": html_url,
        "pull_request_url": pull.api_url,
        "author_association": kept_review["author_association"],
        "_links": {"self": {"href": url}, "html": {"href": html_url}, "pull_request": {"href": pull.api_url}},
        "start_line": start_line,
        "original_start_line": start_line,
        "start_side": None if start_line is None else posted.get("start_side", side),
        "line": line,
        "original_line": line,
        "side": side,
        "subject_type": "line",
        "reactions": _no_reactions(url),
    }


def reply(pull: PullRequest, first: Json, *, author: str, body: str) -> Json:
    """A reply in the thread that `first` began: on the same lines, and with the number of that comment."""
    kept_review = {
        "id": first["pull_request_review_id"],
        "commit_id": first["commit_id"],
        "submitted_at": timestamp(),
        "user": account(author, pull.repository.app.api_url),
        "author_association": _association(pull, author),
    }
    made = review_comment(
        pull, kept_review, first | {"body": body}, position=first["position"], diff_hunk=first["diff_hunk"]
    )
    return made | {"in_reply_to_id": first["id"]}


def react(comment: Json, author: str, content: str) -> bool:
    """Add a reaction to a comment; False where this account has reacted so already."""
    who = comment.setdefault("reacted", [])
    if [author, content] in who:
        return False
    who.append([author, content])
    comment["reactions"][content] += 1
    comment["reactions"]["total_count"] += 1
    return True


def reaction(app: App, author: str, content: str) -> Json:
    """A reaction as GitHub answers it."""
    number = app.next_id()
    return {
        "id": number,
        "node_id": node_id("REA", number),
        "user": account(author, app.api_url),
        "content": content,
        "created_at": timestamp(),
    }


def public_comment(kept: Json) -> Json:
    """A comment as GitHub answers it."""
    return {name: value for name, value in kept.items() if name != "reacted"}


def issue_comment(pull: PullRequest, *, author: str, body: str) -> Json:
    """A comment in the conversation of a pull request."""
    repo = pull.repository
    number = repo.app.next_id()
    issues_url = f"{repo.app.api_url}/repos/{repo.full_name}/issues"
    return {
        "id": number,
        "node_id": node_id("IC", number),
        "url": f"{issues_url}/comments/{number}",
        "html_url": f"{pull.html_url}#issuecomment-{number}",
        "issue_url": f"{issues_url}/{pull.number}",
        "user": account(author, repo.app.api_url),
        "body": body,
        "created_at": timestamp(),
        "updated_at": timestamp(),
        "author_association": _association(pull, author),
        "reactions": _no_reactions(f"{issues_url}/comments/{number}"),
        "performed_via_github_app": None,
    }


def issue(pull: PullRequest) -> Json:
    """The issue side of a pull request, as Search answers it and `issue_comment` carries it."""
    repo, api_url = pull.repository, pull.repository.app.api_url
    url = f"{api_url}/repos/{repo.full_name}/issues/{pull.number}"
    return {
        "url": url,
        "repository_url": f"{api_url}/repos/{repo.full_name}",
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "timeline_url": f"{url}/timeline",
        "html_url": pull.html_url,
        "id": pull.id,
        "node_id": node_id("PR", pull.id),
        "number": pull.number,
        "title": pull.title,
        "user": account(pull.author, api_url),
        "labels": [],
        "state": pull.state,
        "locked": False,
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "comments": len(pull.comments),
        "created_at": pull.created_at,
        "updated_at": pull.updated_at,
        "closed_at": pull.closed_at,
        "author_association": pull.author_association,
        "active_lock_reason": None,
        "draft": pull.draft,
        "pull_request": {
            "url": pull.api_url,
            "html_url": pull.html_url,
            "diff_url": f"{pull.html_url}.diff",
            "patch_url": f"{pull.html_url}.patch",
            "merged_at": pull.closed_at if pull.merged else None,
        },
        "body": pull.body,
        "reactions": _no_reactions(url),
        "performed_via_github_app": None,
        "state_reason": None,
    }


def _no_reactions(url: str) -> Json:
    return {"url": f"{url}/reactions", "total_count": 0, **dict.fromkeys(REACTIONS, 0)}


def _association(pull: PullRequest, login: str) -> Any:
    if login == pull.repository.owner:
        return "OWNER"
    return pull.author_association if login == pull.author else "NONE"
