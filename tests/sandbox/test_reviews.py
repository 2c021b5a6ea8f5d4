"""Reviews: storing, validation and listing."""

from typing import Any

import httpx
import pytest

from sandbox import PullRequest, Repository, Sandbox, add_comment, add_review


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


def test_a_review_is_stored_as_posted(client: httpx.Client, pull: PullRequest) -> None:
    comment = {"path": "new.py", "line": 2, "side": "RIGHT", "body": "Why b?"}
    response = post(client, pull, comment)
    assert response.status_code == 200
    [stored] = pull.reviews
    assert (stored["body"], stored["event"], stored["state"]) == ("Looks good.", "COMMENT", "COMMENTED")
    assert (stored["commit_id"], stored["comments"]) == (pull.head_sha, [comment])
    body = response.json()
    assert (body["id"], body["state"], body["user"]["login"]) == (stored["id"], "COMMENTED", "kodiai[bot]")
    assert body["user"]["type"] == "Bot"
    assert body["submitted_at"].endswith("Z")
    assert body["html_url"] == f"https://github.com/octo/demo/pull/1#pullrequestreview-{stored['id']}"
    assert body["pull_request_url"] == pull.api_url
    assert not {"comments", "event"} & set(body)


def test_reviews_of_every_author_are_listed_in_pages(client: httpx.Client, pull: PullRequest) -> None:
    add_review(pull, "mona", "I am kodiai, believe me")
    for number in range(3):
        post(client, pull, body=f"Review {number}")
    response = client.get(f"{pull.api_url}/reviews", params={"per_page": 2})
    assert [review["user"]["login"] for review in response.json()] == ["mona", "kodiai[bot]"]
    rest = client.get(response.links["next"]["url"]).json()
    assert [review["body"] for review in rest] == ["Review 1", "Review 2"]


@pytest.mark.parametrize(
    "location",
    [
        {"line": 2},
        {"line": 2, "side": "RIGHT"},
        {"line": 1},
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
        {"line": -1},
        {},
        {"line": None},
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
        {"body": None},
        {"body": "x" * 65_537},
        {"event": "REQUEST_CHANGES", "body": ""},
        {"event": "PRAISE"},
        {"commit_id": "0" * 40},
        {"comments": "none"},
        {"comments": [{"path": "new.py", "line": 1}]},
        {"comments": [{"path": "new.py", "line": 1, "body": "x" * 65_537}]},
        {"comments": [{"path": "new.py", "line": 1, "body": "x", "side": "MIDDLE"}]},
        {"comments": ["new.py"]},
    ],
)
def test_invalid_reviews_are_422(client: httpx.Client, pull: PullRequest, fields: dict) -> None:
    assert post(client, pull, **fields).status_code == 422
    assert pull.reviews == []


@pytest.mark.parametrize(
    ("event", "state"), [("APPROVE", "APPROVED"), ("REQUEST_CHANGES", "CHANGES_REQUESTED"), ("COMMENT", "COMMENTED")]
)
def test_the_event_becomes_the_state(client: httpx.Client, pull: PullRequest, event: str, state: str) -> None:
    assert post(client, pull, event=event).json()["state"] == state


def test_a_review_without_an_event_is_the_one_pending_review(client: httpx.Client, pull: PullRequest) -> None:
    comment = {"path": "new.py", "line": 1, "body": "Hm."}
    response = client.post(f"{pull.api_url}/reviews", json={"comments": [comment]})
    assert response.json()["state"] == "PENDING"
    assert "submitted_at" not in response.json()
    assert client.get(f"{pull.api_url}/comments").json() == []
    assert client.post(f"{pull.api_url}/reviews", json={"comments": [comment]}).status_code == 422


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


def test_review_comments_are_listed_in_pages(client: httpx.Client, pull: PullRequest) -> None:
    comments = [
        {"path": "new.py", "line": 3, "start_line": 1, "side": "RIGHT", "start_side": "RIGHT", "body": "All of it."},
        {"path": "app.py", "line": 3, "side": "LEFT", "body": "Good riddance."},
    ]
    review = post(client, pull, *comments).json()
    response = client.get(f"{pull.api_url}/comments", params={"per_page": 1})
    [first] = response.json()
    [second] = client.get(response.links["next"]["url"]).json()
    assert first["pull_request_review_id"] == second["pull_request_review_id"] == review["id"]
    assert (first["path"], first["start_line"], first["line"], first["side"]) == ("new.py", 1, 3, "RIGHT")
    assert first["diff_hunk"] == "@@ -0,0 +1,3 @@\n+a\n+b\n+c"
    assert (second["path"], second["line"], second["side"], second["start_line"]) == ("app.py", 3, "LEFT", None)
    assert second["user"]["login"] == "kodiai[bot]"


def test_issue_comments_are_stored_and_listed(client: httpx.Client, pull: PullRequest) -> None:
    path = "/repos/octo/demo/issues/1/comments"
    add_comment(pull, "mona", "@kodiai review")
    response = client.post(path, json={"body": "On it."})
    assert (response.status_code, response.json()["user"]["login"]) == (201, "kodiai[bot]")
    assert [comment["body"] for comment in pull.comments] == ["@kodiai review", "On it."]
    assert client.get(path).json() == pull.comments


@pytest.mark.parametrize("body", [{}, {"body": " "}, {"body": "x" * 65_537}])
def test_an_empty_or_too_long_comment_is_422(client: httpx.Client, pull: PullRequest, body: dict) -> None:
    assert client.post("/repos/octo/demo/issues/1/comments", json=body).status_code == 422
    assert pull.comments == []


@pytest.mark.parametrize("content", [b"{", b"[]", b"3"])
def test_a_body_that_is_not_a_json_object_is_400(client: httpx.Client, pull: PullRequest, content: bytes) -> None:
    assert client.post(f"{pull.api_url}/reviews", content=content).status_code == 400
