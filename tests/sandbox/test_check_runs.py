"""Check runs: storing, validation, listing, and the webhooks of a re-run."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sandbox import PullRequest, Repository, add_check_run, webhook_payload

PATH = "/repos/octo/demo/check-runs"
ANNOTATION = {
    "path": "helper.py",
    "start_line": 1,
    "end_line": 1,
    "annotation_level": "warning",
    "title": "F401",
    "message": "`os` imported but unused",
}


def check_run(pull: PullRequest, **fields: Any) -> dict[str, Any]:
    return {
        "name": "Kodiai",
        "head_sha": pull.head_sha,
        "external_id": "1:abc",
        "status": "completed",
        "conclusion": "neutral",
        "started_at": "2026-01-01T10:00:00Z",
        "completed_at": "2026-01-01T10:00:05Z",
        "output": {"title": "1 finding", "summary": "Look.", "annotations": [ANNOTATION]},
    } | fields


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"head_sha": "0" * 40},
        {"status": "done"},
        {"conclusion": None},
        {"conclusion": "fine"},
        {"started_at": "yesterday"},
        {"completed_at": "2026-01-01T10:00:05"},
        {"details_url": "javascript:alert(1)"},
        {"output": {"title": "No summary"}},
        {"output": {"summary": "No title"}},
        {"output": {"title": "t", "summary": " "}},
        {"output": {"title": "t", "summary": "x" * 65_536}},
        {"output": {"title": "t", "summary": "s", "text": "x" * 65_536}},
        {"output": {"title": "t", "summary": "s", "annotations": [ANNOTATION] * 51}},
    ],
)
def test_invalid_check_runs_are_422_and_not_stored(client: httpx.Client, pull: PullRequest, fields: dict) -> None:
    assert client.post(PATH, json=check_run(pull, **fields)).status_code == 422
    assert pull.repository.check_runs == []


@pytest.mark.parametrize(
    "fields",
    [
        {"path": ""},
        {"message": ""},
        {"annotation_level": "critical"},
        {"start_line": 0},
        {"start_line": 2, "end_line": 1},
        {"end_line": 2, "start_column": 1},
        {"title": "x" * 256},
        {"message": "ä" * 32_769},
    ],
)
def test_invalid_annotations_are_422(client: httpx.Client, pull: PullRequest, fields: dict) -> None:
    output = {"title": "t", "summary": "s", "annotations": [ANNOTATION, ANNOTATION | fields]}

    assert client.post(PATH, json=check_run(pull, output=output)).status_code == 422
    assert pull.repository.check_runs == []


def test_a_conclusion_completes_a_check_run(client: httpx.Client, pull: PullRequest) -> None:
    body = {"name": "Kodiai", "head_sha": pull.head_sha, "status": "in_progress"}
    made = client.post(PATH, json=body).json()
    assert (made["status"], made["conclusion"], made["completed_at"]) == ("in_progress", None, None)

    output = {"summary": "More.", "annotations": [ANNOTATION]}
    for _ in range(2):
        response = client.patch(f"{PATH}/{made['id']}", json={"conclusion": "success", "output": output})

    assert (response.status_code, response.json()["status"], response.json()["conclusion"]) == (
        200,
        "completed",
        "success",
    )
    assert response.json()["completed_at"]
    assert response.json()["output"]["annotations_count"] == 2, "annotations of each request are appended"
    assert client.patch(f"{PATH}/{made['id']}", json={"conclusion": "fine"}).status_code == 422
    assert client.patch(f"{PATH}/{made['id'] + 1}", json={"conclusion": "success"}).status_code == 404


def test_a_check_run_of_another_app_cannot_be_changed(client: httpx.Client, pull: PullRequest) -> None:
    other = add_check_run(pull.repository, "ci", pull.head_sha)

    assert client.patch(f"{PATH}/{other['id']}", json={"conclusion": "failure"}).status_code == 403
    assert other["conclusion"] == "success"


def test_check_runs_of_a_commit_are_listed_newest_first(client: httpx.Client, pull: PullRequest) -> None:
    add_check_run(pull.repository, "ci", pull.head_sha)
    made = [client.post(PATH, json=check_run(pull, external_id=str(number))).json()["id"] for number in range(3)]
    earlier = pull.head_sha
    pull.push({"helper.py": "import sys\n"})
    client.post(PATH, json=check_run(pull))
    path = f"/repos/octo/demo/commits/{earlier}/check-runs"

    def ids(**query: Any) -> list[int]:
        return [run["id"] for run in client.get(path, params=query).json()["check_runs"]]

    assert ids(check_name="Kodiai", filter="all") == made[::-1]
    assert ids(check_name="Kodiai") == [made[-1]]
    assert len(ids()) == 2
    assert len(ids(filter="all")) == 4
    first = client.get(path, params={"filter": "all", "per_page": 3})
    assert (first.json()["total_count"], len(first.json()["check_runs"])) == (4, 3)
    assert len(client.get(first.links["next"]["url"]).json()["check_runs"]) == 1
    assert client.get(f"/repos/octo/demo/commits/{'0' * 40}/check-runs").status_code == 422


def test_check_runs_need_the_permission_checks(
    app: httpx.Client, pull: PullRequest, headers_of: Callable[..., Any]
) -> None:
    def status(method: str, path: str, permissions: dict[str, str]) -> int:
        headers = headers_of(permissions=permissions)
        return app.request(method, path, headers=headers, json=check_run(pull)).status_code

    commits = f"/repos/octo/demo/commits/{pull.head_sha}/check-runs"
    assert status("POST", PATH, {"pull_requests": "write"}) == 403
    assert status("POST", PATH, {"checks": "read"}) == 403
    assert status("POST", PATH, {"checks": "write"}) == 201
    assert status("GET", commits, {"pull_requests": "write"}) == 403
    assert status("GET", commits, {"checks": "read"}) == 200


def test_checks_of_a_fork_name_no_pull_request(client: httpx.Client, repo: Repository) -> None:
    pull = repo.open_pull_request(changes={"helper.py": "import os\n"}, fork=True)
    client.post(PATH, json=check_run(pull))

    assert webhook_payload(pull, "rerequested", "check_run")["check_run"]["pull_requests"] == []
    assert webhook_payload(pull, "rerequested", "check_suite")["check_suite"]["pull_requests"] == []
