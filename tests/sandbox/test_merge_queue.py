"""Merge groups and comparisons, and what the App is answered about what it lost."""

import httpx

from sandbox import PullRequest, Sandbox, create_merge_group


def compare(client: httpx.Client, pull: PullRequest, base: str, head: str, **params: int) -> httpx.Response:
    return client.get(f"/repos/{pull.repository.full_name}/compare/{base}...{head}", params=params)


def test_a_group_contains_the_base_and_the_pull_request(client: httpx.Client, pull: PullRequest) -> None:
    base = pull.repository.commit({"base.md": "x\n"})
    first = create_merge_group(pull)
    other = pull.repository.open_pull_request(changes={"other.md": "y\n"})
    second = create_merge_group(other, after=first)

    assert (first.base_sha, second.base_sha) == (base, first.head_sha)
    body = compare(client, pull, second.base_sha, second.head_sha).json()
    assert [file["filename"] for file in body["files"]] == ["other.md"]
    assert (body["status"], body["merge_base_commit"]["sha"]) == ("ahead", first.head_sha)
    assert pull.repository.head_sha == base, "nothing is merged yet"


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


def test_a_removed_repository_is_not_there(github: Sandbox, app: httpx.Client, pull: PullRequest) -> None:
    installation = pull.repository.installation_id
    tokens = f"/app/installations/{installation}/access_tokens"
    github.remove_repository("octo/demo")

    assert app.get("/repos/octo/demo/installation").status_code == 404
    assert app.post(tokens, json={"repositories": ["demo"]}).status_code == 422


def test_a_suspended_installation_gets_no_token(github: Sandbox, app: httpx.Client, client: httpx.Client,
                                                pull: PullRequest) -> None:  # fmt: skip
    github.suspend_installation("octo")

    assert app.get("/repos/octo/demo/installation").json()["suspended_at"] is not None
    assert app.post(f"/app/installations/{pull.repository.installation_id}/access_tokens").status_code == 403
    assert client.get(pull.api_url).status_code == 403
