"""Reviews, comments, replies and reactions: how they are stored, and how GitHub shows them.

Source of the fields: GitHub's OpenAPI description of its REST API.
"""

from typing import Any

from sandbox.app import App, Json, account, node_id, timestamp
from sandbox.rest.resources import no_reactions
from sandbox.state.repository import PullRequest


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
    """Make a review as `PullRequest.reviews` stores it: GitHub's fields, and `event` and `comments` as posted."""
    number = pull.app.next_id()
    html_url = f"{pull.html_url}#pullrequestreview-{number}"
    return {
        "id": number,
        "node_id": node_id("PRR", number),
        "user": account(author, pull.app.api_url),
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


def public_review(stored: Json) -> Json:
    """Return a stored review as GitHub shows it; a pending one has no `submitted_at`."""
    hidden = {"event", "comments"} | ({"submitted_at"} if stored["submitted_at"] is None else set())
    return {name: value for name, value in stored.items() if name not in hidden}


def review_comment(pull: PullRequest, stored_review: Json, posted: Json, *, position: int, diff_hunk: str) -> Json:
    """Make a review comment as "List review comments on a pull request" shows it."""
    repo = pull.repository
    number = repo.app.next_id()
    url = f"{repo.app.api_url}/repos/{repo.full_name}/pulls/comments/{number}"
    html_url = f"{pull.html_url}#discussion_r{number}"
    line, start_line = posted.get("line"), posted.get("start_line")
    side = posted.get("side", "RIGHT")
    return {
        "url": url,
        "pull_request_review_id": stored_review["id"],
        "id": number,
        "node_id": node_id("PRRC", number),
        "diff_hunk": diff_hunk,
        "path": posted["path"],
        "position": position,
        "original_position": position,
        "commit_id": stored_review["commit_id"],
        "original_commit_id": stored_review["commit_id"],
        "user": stored_review["user"],
        "body": posted["body"],
        "created_at": stored_review["submitted_at"] or timestamp(),
        "updated_at": stored_review["submitted_at"] or timestamp(),
        "html_url": html_url,
        "pull_request_url": pull.api_url,
        "author_association": stored_review["author_association"],
        "_links": {"self": {"href": url}, "html": {"href": html_url}, "pull_request": {"href": pull.api_url}},
        "start_line": start_line,
        "original_start_line": start_line,
        "start_side": None if start_line is None else posted.get("start_side", side),
        "line": line,
        "original_line": line,
        "side": side,
        "subject_type": "line",
        "reactions": no_reactions(url),
    }


def reply(pull: PullRequest, first: Json, *, author: str, body: str) -> Json:
    """Make a reply in the thread that `first` began, on the same lines."""
    stored_review = {
        "id": first["pull_request_review_id"],
        "commit_id": first["commit_id"],
        "submitted_at": timestamp(),
        "user": account(author, pull.app.api_url),
        "author_association": _association(pull, author),
    }
    comment = review_comment(
        pull, stored_review, first | {"body": body}, position=first["position"], diff_hunk=first["diff_hunk"]
    )
    return comment | {"in_reply_to_id": first["id"]}


def react(comment: Json, author: str, content: str) -> bool:
    """Add a reaction to a comment; return False if this account has reacted the same way before."""
    reactions = comment.setdefault("reacted", [])
    if [author, content] in reactions:
        return False
    reactions.append([author, content])
    comment["reactions"][content] += 1
    comment["reactions"]["total_count"] += 1
    return True


def reaction(app: App, author: str, content: str) -> Json:
    """Make a reaction as GitHub shows it."""
    number = app.next_id()
    return {
        "id": number,
        "node_id": node_id("REA", number),
        "user": account(author, app.api_url),
        "content": content,
        "created_at": timestamp(),
    }


def public_comment(stored: Json) -> Json:
    """Return a stored comment as GitHub shows it."""
    return {name: value for name, value in stored.items() if name != "reacted"}


def issue_comment(pull: PullRequest, *, author: str, body: str) -> Json:
    """Make a comment on a pull request outside its diff, which GitHub calls an issue comment."""
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
        "reactions": no_reactions(f"{issues_url}/comments/{number}"),
        "performed_via_github_app": None,
    }


def _association(pull: PullRequest, login: str) -> Any:
    if login == pull.repository.owner:
        return "OWNER"
    return pull.author_association if login == pull.author else "NONE"


def add_review(
    pull: PullRequest, author: str, body: str, *, state: str = "COMMENTED", commit_id: str | None = None
) -> Json:
    """Store a review by any account, without GitHub's checks, and return it."""
    with pull.repository.lock:
        stored = review(pull, author=author, body=body, state=state, commit_id=commit_id or pull.head_sha)
        pull.reviews.append(stored)
        return stored


def add_reply(pull: PullRequest, author: str, body: str, to: int) -> Json:
    """Store a reply in the thread that comment `to` began, and return it. Raises KeyError if it began none.

    GitHub also makes a review without a body for each reply. Here a reply is part of the review of the first comment.
    """
    with pull.repository.lock:
        thread = pull.thread(to)
        stored = reply(pull, thread.first, author=author, body=body)
        thread.comments.append(stored)
        pull.review_comments.append(stored)
        return stored


def add_comment(pull: PullRequest, author: str, body: str) -> Json:
    """Store a comment on a pull request, and return it."""
    with pull.repository.lock:
        stored = issue_comment(pull, author=author, body=body)
        pull.comments.append(stored)
        return stored
