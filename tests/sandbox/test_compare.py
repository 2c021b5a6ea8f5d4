"""Comparisons of two commits."""

import httpx

from sandbox import PullRequest


def compare(client: httpx.Client, pull: PullRequest, base: str, head: str, **params: int) -> httpx.Response:
    return client.get(f"/repos/{pull.repository.full_name}/compare/{base}...{head}", params=params)


def test_a_comparison_starts_at_the_merge_base(client: httpx.Client, pull: PullRequest) -> None:
    pull.repository.commit({"base.md": "x\n"})
    body = compare(client, pull, "main", pull.head_sha).json()

    assert (body["status"], body["ahead_by"], body["behind_by"]) == ("diverged", 1, 1)
    assert [file["filename"] for file in body["files"]] == [file.path for file in pull.files()]
    assert compare(client, pull, "main", "main").json()["status"] == "identical"
    assert compare(client, pull, "nowhere", pull.head_sha).status_code == 404


def test_pages_are_of_commits_and_the_first_has_300_files(client: httpx.Client, pull: PullRequest) -> None:
    base = pull.base_sha
    pull.push({f"pages/{number}.txt": "x\n" for number in range(301)})
    first, second = (compare(client, pull, base, pull.head_sha, per_page=1, page=page).json() for page in (1, 2))

    assert (len(first["files"]), len(second["files"])) == (300, 0)
    assert [commit["sha"] for commit in first["commits"] + second["commits"]] == pull.commits
    assert first["total_commits"] == 2
