"""Reviews: storing, validation and listing."""

from typing import Any

import httpx
import pytest

from sandbox import PullRequest, Repository, Sandbox


@pytest.fixture
def pull(github: Sandbox) -> PullRequest:
    """One file with two hunks: lines 2 and 18 of twenty are changed, line 3 is removed. And an added and a binary."""
    lines = [f"line {number}\n" for number in range(1, 21)]
    repo = github.create_repository("octo/demo", files={"app.py": "".join(lines), "untouched.py": "x\n"})
    lines[1], lines[17] = "line two\n", "line eighteen\n"
    del lines[2]
    return repo.open_pull_request(changes={"app.py": "".join(lines), "new.py": "a\nb\nc\n", "image.bin": b"\0\1"})


@pytest.fixture
def repo(pull: PullRequest) -> Repository:
    return pull.repository


def post(client: httpx.Client, pull: PullRequest, *comments: dict, **fields: Any) -> httpx.Response:
    body = {"event": "COMMENT", "body": "Looks good.", "commit_id": pull.head_sha, "comments": list(comments)}
    return client.post(f"{pull.api_url}/reviews", json=body | fields)


@pytest.mark.parametrize(
    "location",
    [
        {"line": 2},
        {"line": 2, "side": "RIGHT"},
        {"line": 3, "side": "LEFT"},
        {"line": 2, "side": "LEFT"},
        {"line": 1, "side": "LEFT"},
        {"line": 5, "start_line": 1},
        {"line": 2, "side": "RIGHT", "start_line": 2, "start_side": "LEFT"},
        {"line": 17, "start_line": 15, "start_side": "RIGHT", "side": "RIGHT"},
        {"position": 1},
    ],
)
def test_lines_of_the_diff_can_have_comments(client: httpx.Client, pull: PullRequest, location: dict) -> None:
    response = post(client, pull, {"path": "app.py", "body": "Hm."} | location)
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    "location",
    [
        {"line": 9},
        {"line": 20, "side": "RIGHT"},
        {"line": 0},
        {},
        {"line": 5, "start_line": 5},
        {"line": 2, "start_line": 5},
        {"line": 17, "start_line": 2},
        {"line": 2, "start_line": 9},
        {"line": 4, "side": "RIGHT", "start_line": 9, "start_side": "LEFT"},
        {"position": 0},
        {"position": 99},
    ],
)
def test_other_lines_are_422_and_nothing_is_stored(client: httpx.Client, pull: PullRequest, location: dict) -> None:
    good = {"path": "new.py", "line": 1, "body": "Fine."}
    response = post(client, pull, good, {"path": "app.py", "body": "Hm."} | location)
    assert response.status_code == 422
    assert response.json()["message"] == "Unprocessable Entity"
    assert response.json()["errors"] == ["Line could not be resolved"]
    assert response.json()["status"] == "422"
    assert (pull.reviews, pull.review_comments) == ([], [])


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("untouched.py", "Path could not be resolved"),
        ("nothing.py", "Path could not be resolved"),
        ("image.bin", "Line could not be resolved"),
    ],
)
def test_a_path_must_be_a_changed_file_with_a_patch(
    client: httpx.Client, pull: PullRequest, path: str, error: str
) -> None:
    response = post(client, pull, {"path": path, "line": 1, "body": "Hm."})
    assert (response.status_code, response.json()["errors"]) == (422, [error])


@pytest.mark.parametrize(
    "fields",
    [
        {"body": ""},
        {"body": "x" * 65_537},
        {"event": "PRAISE"},
        {"commit_id": "0" * 40},
        {"comments": [{"path": "new.py", "line": 1}]},
        {"comments": [{"path": "new.py", "line": 1, "body": "x" * 65_537}]},
        {"comments": [{"path": "new.py", "line": 1, "body": "x", "side": "MIDDLE"}]},
    ],
)
def test_invalid_reviews_are_422(client: httpx.Client, pull: PullRequest, fields: dict) -> None:
    assert post(client, pull, **fields).status_code == 422
    assert pull.reviews == []


def test_comments_on_an_earlier_commit_use_its_diff(client: httpx.Client, pull: PullRequest) -> None:
    earlier = pull.head_sha
    pull.push({"new.py": None})
    comment = {"path": "new.py", "line": 1, "body": "Hm."}
    assert post(client, pull, comment).status_code == 422
    assert post(client, pull, comment, commit_id=earlier).status_code == 200


def test_comments_on_a_renamed_file_use_its_new_name(client: httpx.Client, github: Sandbox) -> None:
    lines = "".join(f"line {number}\n" for number in range(20))
    repo = github.create_repository("octo/renames", files={"old.py": lines})
    renamed = repo.open_pull_request(renames={"old.py": "new.py"}, changes={"new.py": lines + "more\n"})
    assert post(client, renamed, {"path": "new.py", "line": 21, "body": "Hm."}).status_code == 200
    assert post(client, renamed, {"path": "old.py", "line": 21, "body": "Hm."}).status_code == 422


@pytest.mark.parametrize("body", [{}, {"body": " "}, {"body": "x" * 65_537}])
def test_an_empty_or_too_long_comment_is_422(client: httpx.Client, pull: PullRequest, body: dict) -> None:
    assert client.post("/repos/octo/demo/issues/1/comments", json=body).status_code == 422
    assert pull.comments == []
