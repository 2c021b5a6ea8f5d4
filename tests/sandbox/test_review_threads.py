"""Review threads: read and resolved by GraphQL, edited by REST."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sandbox import PullRequest, Repository, Sandbox, add_review

THREADS = (
    "query($owner:String!,$name:String!,$number:Int!,$after:String){repository(owner:$owner,name:$name)"
    "{pullRequest(number:$number){reviewThreads(first:2,after:$after){nodes{id isResolved isOutdated resolvedBy{login} "
    "path line comments(first:1){nodes{fullDatabaseId body author{__typename login}}}} "
    "pageInfo{hasNextPage endCursor}}}}}"
)
RESOLVE = "mutation($id:ID!){resolveReviewThread(input:{threadId:$id}){thread{id isResolved resolvedBy{login}}}}"
UNRESOLVE = RESOLVE.replace("resolveReviewThread", "unresolveReviewThread")
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


@pytest.fixture
def writer(github: Sandbox, client: httpx.Client, headers_of: Callable[..., Any]) -> httpx.Client:
    """A client whose token has `contents: write`."""
    github.permissions["contents"] = "write"
    client.headers.update(headers_of())
    return client


def test_threads_are_listed_in_pages_with_a_first_comment(client: httpx.Client, pull: PullRequest) -> None:
    comment(client, pull, 1, 3, 5)
    first = page(client)
    rest = page(client, first["pageInfo"]["endCursor"])
    assert [thread["line"] for thread in first["nodes"] + rest["nodes"]] == [1, 3, 5]
    assert (first["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasNextPage"]) == (True, False)
    thread = first["nodes"][0]
    assert (thread["isResolved"], thread["resolvedBy"], thread["path"]) == (False, None, "new.py")
    assert thread["comments"]["nodes"] == [
        {
            "fullDatabaseId": str(pull.review_comments[0]["id"]),
            "body": "About line 1.",
            "author": {"__typename": "Bot", "login": "kodiai"},
        }
    ]


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


def test_threads_are_resolved_and_reopened(writer: httpx.Client, pull: PullRequest) -> None:
    comment(writer, pull, 1)
    (thread,) = page(writer)["nodes"]

    response = ask(writer, RESOLVE, id=thread["id"])
    assert response["data"]["resolveReviewThread"]["thread"] == {
        "id": thread["id"],
        "isResolved": True,
        "resolvedBy": {"login": "kodiai"},
    }
    assert page(writer)["nodes"][0]["isResolved"] is True

    ask(writer, UNRESOLVE, id=thread["id"])
    assert page(writer)["nodes"][0]["isResolved"] is False


def test_resolving_a_thread_needs_contents_write(client: httpx.Client, pull: PullRequest) -> None:
    comment(client, pull, 1)
    (thread,) = page(client)["nodes"]
    response = ask(client, RESOLVE, id=thread["id"])
    assert response["data"] == {"resolveReviewThread": None}
    (error,) = response["errors"]
    assert (error["type"], error["path"]) == ("FORBIDDEN", ["resolveReviewThread"])
    assert error["message"] == "Resource not accessible by integration"
    assert page(client)["nodes"][0]["isResolved"] is False


def test_an_unknown_thread_does_not_affect_the_others(writer: httpx.Client, pull: PullRequest) -> None:
    comment(writer, pull, 1)
    (thread,) = page(writer)["nodes"]
    both = (
        "mutation($a:ID!,$b:ID!){a:resolveReviewThread(input:{threadId:$a}){thread{id}} "
        "b:resolveReviewThread(input:{threadId:$b}){thread{id}}}"
    )
    response = ask(writer, both, a="PRRT_nothing", b=thread["id"])
    assert response["data"] == {"a": None, "b": {"thread": {"id": thread["id"]}}}
    assert [error["type"] for error in response["errors"]] == ["NOT_FOUND"]


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


@pytest.mark.parametrize(
    ("declared", "given"),
    [("$number:Int!", {}), ("$number:Int!", {"number": "1"}), ("$number:Int!,$more:Int", {"number": 1})],
)
def test_variables_must_have_their_type_and_be_used(
    client: httpx.Client, pull: PullRequest, declared: str, given: dict[str, Any]
) -> None:
    query = f'query({declared}){{repository(owner:"octo",name:"demo"){{pullRequest(number:$number){{number}}}}}}'
    assert "Variable $" in ask(client, query, **given)["errors"][0]["message"]


def test_reviews_have_their_authors(client: httpx.Client, pull: PullRequest) -> None:
    add_review(pull, "mona", "Fine.")
    comment(client, pull, 1)
    query = (
        '{repository(owner:"octo",name:"demo"){pullRequest(number:1){reviews(first:100)'
        "{totalCount nodes{fullDatabaseId body state author{__typename login}}}}}}"
    )
    reviews = ask(client, query)["data"]["repository"]["pullRequest"]["reviews"]
    assert reviews["totalCount"] == 2
    assert [(review["body"], review["author"]) for review in reviews["nodes"]] == [
        ("Fine.", {"__typename": "User", "login": "mona"}),
        ("Look.", {"__typename": "Bot", "login": "kodiai"}),
    ]


def test_the_app_can_edit_its_review(client: httpx.Client, pull: PullRequest) -> None:
    review = comment(client, pull, 1)
    response = client.put(f"{pull.api_url}/reviews/{review['id']}", json={"body": "All is well."})
    assert response.status_code == 200
    assert response.json() == review | {"body": "All is well."}
    assert [stored["body"] for stored in pull.reviews] == ["All is well."]


def test_the_app_can_edit_its_review_comment(client: httpx.Client, pull: PullRequest) -> None:
    comment(client, pull, 1)
    path = f"/repos/octo/demo/pulls/comments/{pull.review_comments[0]['id']}"
    response = client.patch(path, json={"body": "Gone."})
    assert (response.status_code, response.json()["body"]) == (200, "Gone.")
    assert client.get(path).json() == response.json() == pull.review_comments[0]
    assert page(client)["nodes"][0]["comments"]["nodes"][0]["body"] == "Gone."


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
