"""Endpoints of review comments, issue comments and reactions."""

from sandbox.app import Json, timestamp
from sandbox.http import ApiError, Request, Response, list_response
from sandbox.rest import lookups, posts
from sandbox.rest.resources import REACTIONS
from sandbox.rest.reviews import MAX_BODY_CHARACTERS, new_body
from sandbox.state.repository import PullRequest
from sandbox.state.state import State


def list_review_comments(state: State, request: Request) -> Response:
    """List the comments of submitted reviews of a pull request."""
    comments = _submitted_comments(lookups.pull_request(state, request))
    return list_response(request, state.app.api_url, [posts.public_comment(comment) for comment in comments])


def review_comment(state: State, request: Request) -> Response:
    """Answer one review comment."""
    return Response(body=posts.public_comment(_review_comment(state, request)))


def update_review_comment(state: State, request: Request) -> Response:
    """Change the body of a review comment of the App itself."""
    comment = _review_comment(state, request)
    if comment["user"]["login"] != state.app.bot_login:
        raise ApiError(403, "Resource not accessible by integration")
    comment["body"], comment["updated_at"] = new_body(request.json_object()), timestamp()
    return Response(body=posts.public_comment(comment))


def reply(state: State, request: Request) -> Response:
    """Reply in a thread. A thread begins with a review only: this endpoint refuses a comment that begins one."""
    pull, body = lookups.unlocked_pull_request(state, request), _comment_body(request)
    to = int(request.json_object().get("in_reply_to") or 0)
    try:
        return Response(201, posts.add_reply(pull, state.app.bot_login, body, to))
    except KeyError as error:
        # A reply to a reply is refused. Source: GitHub REST docs, "Create a reply for a review comment".
        wrong = {"resource": "PullRequestReviewComment", "code": "invalid", "field": "in_reply_to"}
        raise ApiError(422, "Validation Failed", [wrong]) from error


def list_issue_comments(state: State, request: Request) -> Response:
    """List the comments of a pull request outside its diff."""
    comments = lookups.pull_request(state, request).comments
    return list_response(request, state.app.api_url, [posts.public_comment(comment) for comment in comments])


def create_issue_comment(state: State, request: Request) -> Response:
    """Post a comment on a pull request outside its diff."""
    pull, body = lookups.unlocked_pull_request(state, request), _comment_body(request)
    return Response(201, posts.add_comment(pull, state.app.bot_login, body))


def react_to_issue_comment(state: State, request: Request) -> Response:
    """React to an issue comment."""
    pulls = lookups.repository(state, request).pulls.values()
    return _react(state, request, lookups.with_id([comment for pull in pulls for comment in pull.comments], request))


def react_to_review_comment(state: State, request: Request) -> Response:
    """React to a review comment."""
    return _react(state, request, _review_comment(state, request))


def _react(state: State, request: Request, comment: Json) -> Response:
    content = request.json_object().get("content")
    if content not in REACTIONS:
        raise ApiError(422, "Validation Failed", [{"resource": "Reaction", "code": "invalid", "field": "content"}])
    is_new = posts.react(comment, state.app.bot_login, content)
    return Response(201 if is_new else 200, posts.reaction(state.app, state.app.bot_login, content))


def _comment_body(request: Request) -> str:
    body = request.json_object().get("body")
    if not isinstance(body, str) or not body.strip():
        raise ApiError(
            422, "Validation Failed", [{"resource": "IssueComment", "code": "missing_field", "field": "body"}]
        )
    if len(body) > MAX_BODY_CHARACTERS:
        detail = f"body is too long (maximum is {MAX_BODY_CHARACTERS} characters)"
        error = {"resource": "IssueComment", "code": "unprocessable", "field": "data", "message": detail}
        raise ApiError(422, "Validation Failed", [error])
    return body


def _submitted_comments(pull: PullRequest) -> list[Json]:
    submitted = {review["id"] for review in pull.reviews if review["state"] != "PENDING"}
    return [comment for comment in pull.review_comments if comment["pull_request_review_id"] in submitted]


def _review_comment(state: State, request: Request) -> Json:
    pulls = lookups.repository(state, request).pulls.values()
    return lookups.with_id([comment for pull in pulls for comment in _submitted_comments(pull)], request)
