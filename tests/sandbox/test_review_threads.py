"""Review threads: where they stand, and what is refused."""

from typing import Any

import httpx
import pytest

from sandbox import PullRequest, Repository, add_reply, add_review

THREADS = (
    "query($owner:String!,$name:String!,$number:Int!,$after:String){repository(owner:$owner,name:$name)"
    "{pullRequest(number:$number){reviewThreads(first:2,after:$after){nodes{id isResolved isOutdated resolvedBy{login} "
    "path line comments(first:1){nodes{fullDatabaseId body author{__typename login}}}} "
    "pageInfo{hasNextPage endCursor}}}}}"
)
RESOLVE = "mutation($id:ID!){resolveReviewThread(input:{threadId:$id}){thread{id isResolved resolvedBy{login}}}}"
LINES = [f"line {number}\n" for number in range(1, 9)]


@pytest.fixture
def pull(repo: Repository) -> PullRequest:
    return repo.open_pull_request(changes={"new.py": "".join(LINES), "app.py": "a\nB\nc\n"})


def comment(client: httpx.Client, pull: PullRequest, *lines: int, path: str = "new.py") -> dict[str, Any]:
    """Post a review with a comment on each line."""
    comments = [{"path": path, "line": line, "body": f"About line {line}."} for line in lines]
    body = {"event": "COMMENT", "body": "Look.", "comments": comments}
    response = client.post(f"{pull.api_url}/reviews", json=body)
    assert response.status_code == 200
    return response.json()


def ask(client: httpx.Client, query: str, **variables: Any) -> dict[str, Any]:
    response = client.post("/graphql", json={"query": query, "variables": variables})
    assert response.status_code == 200
    return response.json()


def page(client: httpx.Client, after: str | None = None) -> dict[str, Any]:
    response = ask(client, THREADS, owner="octo", name="demo", number=1, after=after)
    return response["data"]["repository"]["pullRequest"]["reviewThreads"]


def lines(client: httpx.Client) -> list[int | None]:
    return [thread["line"] for thread in page(client)["nodes"]]


def test_a_thread_follows_its_line_until_the_line_changes(client: httpx.Client, pull: PullRequest) -> None:
    comment(client, pull, 2, 6)
    pull.push({"new.py": "".join(["first\n", *LINES])})
    assert lines(client) == [3, 7]
    pull.push({"new.py": "".join(["first\n", LINES[0], *LINES[2:5], "changed\n", *LINES[6:]])})
    assert lines(client) == [None, None]
    assert [thread["isOutdated"] for thread in page(client)["nodes"]] == [True, True]
    pull.force_push({"new.py": "".join(LINES[1:])})
    assert lines(client) == [1, 5]


def test_a_thread_on_a_line_outside_the_diff_is_outdated(
    client: httpx.Client, pull: PullRequest, repo: Repository
) -> None:
    comment(client, pull, 2, path="app.py")
    repo.commit({"app.py": "a\nB\nc\n"})
    pull.merge_base_branch()
    assert lines(client) == [None]


def test_resolving_a_thread_needs_contents_write(client: httpx.Client, pull: PullRequest) -> None:
    comment(client, pull, 1)
    (thread,) = page(client)["nodes"]
    response = ask(client, RESOLVE, id=thread["id"])
    assert response["data"] == {"resolveReviewThread": None}
    (error,) = response["errors"]
    assert (error["type"], error["path"]) == ("FORBIDDEN", ["resolveReviewThread"])
    assert error["message"] == "Resource not accessible by integration"
    assert page(client)["nodes"][0]["isResolved"] is False


@pytest.mark.parametrize(
    "threads",
    [
        "reviewThreads{nodes{id}}",
        "reviewThreads(first:101){nodes{id}}",
        "reviewThreads(first:0){nodes{id}}",
        "reviewThreads(first:1){nodes{databaseNumber}}",
        "reviewThreads(first:1){nodes}",
        "reviewThreads(first:1){nodes{id{login}}}",
        'reviewThreads(first:1,after:"nonsense"){nodes{id}}',
        "reviewThreads(first:$many){nodes{id}}",
        "reviewThreads(first:1){nodes{id}",
        "reviewThread(first:1){nodes{id}}",
    ],
)
def test_an_invalid_query_returns_errors_only(client: httpx.Client, pull: PullRequest, threads: str) -> None:
    comment(client, pull, 1)
    query = f'{{repository(owner:"octo",name:"demo"){{pullRequest(number:1){{{threads}}}}}}}'
    response = ask(client, query)
    assert response["errors"][0]["message"]
    assert "data" not in response


@pytest.mark.parametrize("body", [{}, {"body": None}, {"body": " "}, {"body": 1}, {"body": "x" * 65_537}])
def test_a_blank_or_too_long_edit_is_422(client: httpx.Client, pull: PullRequest, body: dict[str, Any]) -> None:
    review = comment(client, pull, 1)
    stored = pull.review_comments[0]
    assert client.put(f"{pull.api_url}/reviews/{review['id']}", json=body).status_code == 422
    assert client.patch(f"/repos/octo/demo/pulls/comments/{stored['id']}", json=body).status_code == 422
    assert (pull.reviews[0]["body"], stored["body"]) == ("Look.", "About line 1.")


def test_edits_of_others_are_403_and_of_nothing_404(client: httpx.Client, pull: PullRequest) -> None:
    theirs = add_review(pull, "mona", "Fine.")
    body = {"body": "Mine now."}
    assert client.put(f"{pull.api_url}/reviews/{theirs['id']}", json=body).status_code == 403
    assert client.put(f"{pull.api_url}/reviews/1", json=body).status_code == 404
    assert client.patch("/repos/octo/demo/pulls/comments/1", json=body).status_code == 404
    assert client.get("/repos/octo/demo/pulls/comments/1").status_code == 404
    assert pull.reviews[0]["body"] == "Fine."


def test_replies_to_replies_and_empty_replies_are_422(client: httpx.Client, pull: PullRequest) -> None:
    comment(client, pull, 1)
    first = pull.threads[0].first["id"]
    reply = add_reply(pull, "mona", "Why?", first)["id"]

    for body in ({"body": "So.", "in_reply_to": reply}, {"body": " ", "in_reply_to": first}, {"body": "So."}):
        assert client.post(f"{pull.api_url}/comments", json=body).status_code == 422
    assert len(pull.threads[0].comments) == 2
