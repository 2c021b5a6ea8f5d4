"""Reviews and their comments are made and changed with GitHub's own checks: all of it is stored, or nothing.

Source: GitHub REST docs, "REST API endpoints for pull request reviews" and "… for pull request review comments".
"""

from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from sandbox.app import Json, timestamp
from sandbox.http import ApiError
from sandbox.rest import comments as conversation
from sandbox.state.diffs import ChangedFile, PatchLine, Side
from sandbox.state.repository import PullRequest
from sandbox.state.threads import Thread

MAX_BODY_CHARACTERS = 65_536
"""Length of a review's or comment's body. Source: GitHub's error "Body is too long (maximum is 65536 characters)"."""

DOCUMENTATION_URL = "https://docs.github.com/rest/pulls/reviews#create-a-review-for-a-pull-request"

LINE_ERROR = "Line could not be resolved"
PATH_ERROR = "Path could not be resolved"

_STATES = {"COMMENT": "COMMENTED", "APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", None: "PENDING"}


@dataclass(frozen=True)
class _Place:
    posted: Json
    position: int
    diff_hunk: str


def create_review(pull: PullRequest, body: Json, author: str, refused: Set[tuple[str, int]]) -> Json:
    """Check and store a review of `author`; the kept review is returned (see `PullRequest.reviews`).

    `refused` are (path, line) which are refused though they are in the diff. Raises ApiError 422.
    """
    event, text = body.get("event"), body.get("body") or ""
    comments = body.get("comments") or []
    commit_id = body.get("commit_id") or pull.head_sha
    if event not in _STATES:
        raise _unprocessable("Variable $event of type PullRequestReviewEvent was provided invalid value")
    if not isinstance(text, str) or not isinstance(comments, list):
        raise ApiError(
            422, "Invalid request.\n\nFor 'properties/body', a string is expected.", documentation_url=DOCUMENTATION_URL
        )
    if len(text) > MAX_BODY_CHARACTERS:
        raise _unprocessable(f"Body is too long (maximum is {MAX_BODY_CHARACTERS} characters)")
    if (event == "COMMENT" and not text.strip() and not comments) or (event == "REQUEST_CHANGES" and not text.strip()):
        raise _unprocessable("Body can't be blank")
    if event == "APPROVE" and author == pull.author:
        raise _unprocessable("Can not approve your own pull request")
    if event is None and any(kept["state"] == "PENDING" and kept["user"]["login"] == author for kept in pull.reviews):
        raise _unprocessable("User can only have one pending review per pull request")
    if commit_id not in pull.commits:
        raise _unprocessable(f"The commit {commit_id} is not part of the pull request")
    # How GitHub takes a path that it had to replace bytes in is not documented; no file has that name.
    files = {file.path: file for file in pull.files(commit_id) if file.is_utf8}
    places = [_place(files, comment, refused) for comment in comments]
    review = conversation.review(
        pull, author=author, body=text, state=_STATES[event], commit_id=commit_id, event=event, comments=comments
    )
    pull.reviews.append(review)
    made = [
        conversation.review_comment(pull, review, place.posted, position=place.position, diff_hunk=place.diff_hunk)
        for place in places
    ]
    pull.review_comments += made
    pull.threads += [Thread([comment], is_published=event is not None) for comment in made]
    return review


def update_review(kept: Json, body: Json, author: str) -> None:
    """Change the body of a review. Raises ApiError 422 for one that is blank or too long, 403 for somebody else's."""
    if kept["user"]["login"] != author:
        raise ApiError(403, "Resource not accessible by integration")
    kept["body"] = _new_body(body)


def update_comment(comment: Json, body: Json, author: str) -> None:
    """Change the body of a comment on lines. Raises ApiError as `update_review`."""
    if comment["user"]["login"] != author:
        raise ApiError(403, "Resource not accessible by integration")
    comment["body"], comment["updated_at"] = _new_body(body), timestamp()


def _new_body(body: Json) -> str:
    text = body.get("body")
    if not isinstance(text, str):
        wrong = '"body" wasn\'t supplied.' if text is None else "For 'properties/body', a string is expected."
        raise ApiError(422, f"Invalid request.\n\n{wrong}")
    if not text.strip():
        raise _unprocessable("Body can't be blank")
    if len(text) > MAX_BODY_CHARACTERS:
        raise _unprocessable(f"Body is too long (maximum is {MAX_BODY_CHARACTERS} characters)")
    return text


def _place(files: dict[str, ChangedFile], comment: Any, refused: Set[tuple[str, int]]) -> _Place:
    if not isinstance(comment, dict) or not isinstance(comment.get("path"), str):
        raise _unprocessable(PATH_ERROR)
    text = comment.get("body")
    if not isinstance(text, str) or not text.strip():
        raise _unprocessable("Body can't be blank")
    if len(text) > MAX_BODY_CHARACTERS:
        raise _unprocessable(f"Body is too long (maximum is {MAX_BODY_CHARACTERS} characters)")
    file = files.get(comment["path"])
    if file is None:
        raise _unprocessable(PATH_ERROR)
    line = _end(file, comment)
    if (file.path, comment.get("line")) in refused:
        raise _unprocessable(LINE_ERROR)
    _check_start(file, comment, line)
    return _Place(comment, line.position, _hunk_up_to(file, line.position))


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


def _hunk_up_to(file: ChangedFile, position: int) -> str:
    """What GitHub calls `diff_hunk`: the patch from the hunk's header down to the commented line."""
    lines = (file.patch or "").split("\n")[: position + 1]
    start = max(index for index, text in enumerate(lines) if text.startswith("@@"))
    return "\n".join(lines[start:])


def _unprocessable(error: str) -> ApiError:
    return ApiError(422, "Unprocessable Entity", [error], documentation_url=DOCUMENTATION_URL)
