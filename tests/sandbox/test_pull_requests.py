"""Pull requests: their state, commits and size."""

from collections.abc import Callable

import httpx

from sandbox import PullRequest, Repository

FilesOf = Callable[[PullRequest], dict[str, dict]]


def test_a_pull_request_has_its_commits_author_and_size(client: httpx.Client, repo: Repository) -> None:
    pull = repo.open_pull_request(
        title="Add a helper",
        body="It helps.",
        author="mona",
        author_association="FIRST_TIME_CONTRIBUTOR",
        draft=True,
        changes={"helper.py": "import os\nimport sys\n", "app.py": "a\nc\n"},
    )
    body = client.get("/repos/octo/demo/pulls/1").json()
    assert (body["number"], body["state"], body["draft"], body["merged"]) == (1, "open", True, False)
    assert (body["title"], body["body"]) == ("Add a helper", "It helps.")
    assert (body["user"]["login"], body["author_association"]) == ("mona", "FIRST_TIME_CONTRIBUTOR")
    assert (body["head"]["sha"], body["head"]["ref"]) == (pull.head_sha, pull.head_ref)
    assert (body["base"]["sha"], body["base"]["ref"]) == (repo.head_sha, "main")
    assert (body["commits"], body["changed_files"], body["additions"], body["deletions"]) == (1, 2, 2, 1)
    assert body["head"]["repo"]["full_name"] == body["base"]["repo"]["full_name"] == "octo/demo"


def test_the_head_of_a_pull_request_can_be_in_a_fork(client: httpx.Client, repo: Repository) -> None:
    pull = repo.open_pull_request(changes={"x": "x\n"}, fork=True)
    head = client.get(pull.api_url).json()["head"]
    assert (head["repo"]["full_name"], head["repo"]["fork"]) == ("mona/demo", True)
    assert head["label"] == f"mona:{pull.head_ref}"


def test_names_of_repositories_are_case_insensitive(client: httpx.Client, pull: PullRequest) -> None:
    assert client.get("/repos/OCTO/Demo/pulls/1").json()["base"]["repo"]["full_name"] == "octo/demo"
