"""Pull requests: their state, commits and size."""

from collections.abc import Callable

import httpx
import pytest

from sandbox import PullRequest, Repository, Sandbox

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


def test_unknown_pull_requests_and_repositories_are_404(client: httpx.Client, pull: PullRequest) -> None:
    for path in ("/repos/octo/demo/pulls/99", "/repos/octo/none/pulls/1", "/repos/octo/demo/pulls/99/files"):
        response = client.get(path)
        assert (response.status_code, response.json()["message"]) == (404, "Not Found")


def test_names_of_repositories_are_case_insensitive(client: httpx.Client, pull: PullRequest) -> None:
    assert client.get("/repos/OCTO/Demo/pulls/1").json()["base"]["repo"]["full_name"] == "octo/demo"


def test_a_push_adds_a_commit_to_the_head(client: httpx.Client, pull: PullRequest) -> None:
    first = pull.head_sha
    second = pull.push({"more.py": "x = 1\n"})
    body = client.get(pull.api_url).json()
    assert pull.head_sha == second != first
    assert pull.before_sha == first
    assert (body["head"]["sha"], body["commits"], body["changed_files"]) == (second, 2, 2)


def test_a_force_push_replaces_the_head_commit(client: httpx.Client, pull: PullRequest, files_of: FilesOf) -> None:
    first = pull.head_sha
    second = pull.force_push({"other.py": "x = 1\n"})
    assert second != first
    assert client.get(pull.api_url).json()["commits"] == 1
    assert list(files_of(pull)) == ["other.py"]


def test_a_pull_request_can_be_closed_reopened_and_made_ready(client: httpx.Client, repo: Repository) -> None:
    pull = repo.open_pull_request(changes={"x": "x\n"}, draft=True)
    pull.ready_for_review()
    assert client.get(pull.api_url).json()["draft"] is False
    pull.close(merged=True)
    closed = client.get(pull.api_url).json()
    assert (closed["state"], closed["merged"], closed["closed_at"] is None) == ("closed", True, False)
    pull.reopen()
    assert client.get(pull.api_url).json()["state"] == "open"


def test_commits_on_the_base_branch_are_not_in_the_diff(repo: Repository, files_of: FilesOf) -> None:
    pull = repo.open_pull_request(changes={"helper.py": "x = 1\n"})
    repo.commit({"app.py": "changed\n"})
    pull.push({"helper.py": "x = 2\n"})
    assert list(files_of(pull)) == ["helper.py"]


def test_renaming_a_missing_file_is_an_error(repo: Repository) -> None:
    with pytest.raises(RuntimeError, match="fast-import"):
        repo.open_pull_request(renames={"nothing.py": "x.py"})


def test_a_repository_exists_once(github: Sandbox, repo: Repository) -> None:
    with pytest.raises(ValueError, match="already"):
        github.create_repository("Octo/Demo")
