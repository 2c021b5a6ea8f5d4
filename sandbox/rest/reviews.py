"""Endpoints of reviews, with GitHub's own checks. A review is stored with all of its comments, or not at all.

Source: GitHub REST docs, "REST API endpoints for pull request reviews" and "… for pull request review comments".
"""

from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from sandbox.app import Json
from sandbox.http import ApiError, Request, Response, list_response
from sandbox.rest import lookups, posts
from sandbox.state.diffs import ChangedFile, PatchLine, Side
from sandbox.state.repository import PullRequest
from sandbox.state.state import State
from sandbox.state.threads import Thread

MAX_BODY_CHARACTERS = 65_536
"""Length of a review's or comment's body. Source: GitHub's error "Body is too long (maximum is 65536 characters)"."""

DOCUMENTATION_URL = "https://docs.github.com/rest/pulls/reviews#create-a-review-for-a-pull-request"

LINE_ERROR = "Line could not be resolved"
PATH_ERROR = "Path could not be resolved"

_STATES = {"COMMENT": "COMMENTED", "APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", None: "PENDING"}


@dataclass(frozen=True)
class _CheckedComment:
    posted: Json
    position: int
    diff_hunk: str


def list_reviews(state: State, request: Request) -> Response:
    """List the reviews of a pull request."""
    reviews = lookups.pull_request(state, request).reviews
    return list_response(request, state.app.api_url, [posts.public_review(review) for review in reviews])


def create_review(state: State, request: Request) -> Response:
    """Check and store a review of the App."""
    pull, body, author = lookups.unlocked_pull_request(state, request), request.json_object(), state.app.bot_login
    _check_review(pull, body, author)
    event, commit_id, posted = body.get("event"), body.get("commit_id") or pull.head_sha, body.get("comments") or []
    # GitHub does not document how it treats a path whose bytes it had to replace; here no file has that name.
    files = {file.path: file for file in pull.files(commit_id) if file.is_utf8}
    checked = [_check_comment(files, comment, state.rejected_lines) for comment in posted]
    review = posts.review(
        pull,
        author=author,
        body=body.get("body") or "",
        state=_STATES[event],
        commit_id=commit_id,
        event=event,
        comments=posted,
    )
    pull.reviews.append(review)
    comments = [
        posts.review_comment(pull, review, comment.posted, position=comment.position, diff_hunk=comment.diff_hunk)
        for comment in checked
    ]
    pull.review_comments += comments
    pull.threads += [Thread([comment], is_published=event is not None) for comment in comments]
    return Response(body=posts.public_review(review))


def update_review(state: State, request: Request) -> Response:
    """Change the body of a review of the App itself."""
    review = lookups.with_id(lookups.unlocked_pull_request(state, request).reviews, request)
    if review["user"]["login"] != state.app.bot_login:
        raise ApiError(403, "Resource not accessible by integration")
    review["body"] = new_body(request.json_object())
    return Response(body=posts.public_review(review))


def new_body(body: Json) -> str:
    """Return the new text of a review or a review comment. Raises ApiError 422 if it is blank or too long."""
    text = body.get("body")
    if not isinstance(text, str):
        wrong = '"body" wasn\'t supplied.' if text is None else "For 'properties/body', a string is expected."
        raise ApiError(422, f"Invalid request.\n\n{wrong}")
    return _checked_text(text)


def _check_review(pull: PullRequest, body: Json, author: str) -> None:
    event, text, comments = body.get("event"), body.get("body") or "", body.get("comments") or []
    commit_id = body.get("commit_id") or pull.head_sha
    if event not in _STATES:
        raise _unprocessable("Variable $event of type PullRequestReviewEvent was provided invalid value")
    if not isinstance(text, str) or not isinstance(comments, list):
        raise ApiError(
            422, "Invalid request.\n\nFor 'properties/body', a string is expected.", documentation_url=DOCUMENTATION_URL
        )
    if len(text) > MAX_BODY_CHARACTERS:
        raise _unprocessable(f"Body is too long (maximum is {MAX_BODY_CHARACTERS} characters)")
    if not text.strip() and (event == "REQUEST_CHANGES" or (event == "COMMENT" and not comments)):
        raise _unprocessable("Body can't be blank")
    if event == "APPROVE" and author == pull.author:
        raise _unprocessable("Can not approve your own pull request")
    if event is None and any(
        review["state"] == "PENDING" and review["user"]["login"] == author for review in pull.reviews
    ):
        raise _unprocessable("User can only have one pending review per pull request")
    if commit_id not in pull.commits:
        raise _unprocessable(f"The commit {commit_id} is not part of the pull request")


def _check_comment(files: dict[str, ChangedFile], comment: Any, rejected: Set[tuple[str, int]]) -> _CheckedComment:
    if not isinstance(comment, dict) or not isinstance(comment.get("path"), str):
        raise _unprocessable(PATH_ERROR)
    text = comment.get("body")
    _checked_text(text if isinstance(text, str) else "")
    file = files.get(comment["path"])
    if file is None:
        raise _unprocessable(PATH_ERROR)
    line = _end(file, comment)
    if (file.path, comment.get("line")) in rejected:
        raise _unprocessable(LINE_ERROR)
    _check_start(file, comment, line)
    return _CheckedComment(comment, line.position, _diff_hunk(file, line.position))


def _checked_text(text: str) -> str:
    if not text.strip():
        raise _unprocessable("Body can't be blank")
    if len(text) > MAX_BODY_CHARACTERS:
        raise _unprocessable(f"Body is too long (maximum is {MAX_BODY_CHARACTERS} characters)")
    return text


def _end(file: ChangedFile, comment: Json) -> PatchLine:
    if comment.get("line") is None and isinstance(comment.get("position"), int):
        found = [line for line in file.lines if line.position == comment["position"]]
    else:
        found = [line for line in file.lines if line.number(_side(comment, "side")) == comment.get("line")]
    if not found or (comment.get("line") is None and comment.get("position") is None):
        raise _unprocessable(LINE_ERROR)
    return found[0]


def _check_start(file: ChangedFile, comment: Json, end: PatchLine) -> None:
    number = comment.get("start_line")
    if number is None:
        return
    side = _side(comment, "start_side" if comment.get("start_side") else "side")
    start = [line for line in file.lines if line.number(side) == number]
    if not start or start[0].hunk != end.hunk or start[0].position >= end.position:
        raise _unprocessable(LINE_ERROR)


def _side(comment: Json, name: str) -> Side:
    try:
        return Side(comment.get(name) or Side.RIGHT)
    except ValueError as error:
        raise _unprocessable("Variable $side of type DiffSide was provided invalid value") from error


def _diff_hunk(file: ChangedFile, position: int) -> str:
    """GitHub's `diff_hunk`: the patch from the header of the hunk to the commented line."""
    lines = (file.patch or "").split("\n")[: position + 1]
    start = max(index for index, text in enumerate(lines) if text.startswith("@@"))
    return "\n".join(lines[start:])


def _unprocessable(error: str) -> ApiError:
    return ApiError(422, "Unprocessable Entity", [error], documentation_url=DOCUMENTATION_URL)
