"""Names that are not UTF-8, merges and rebases."""

import base64
import os
from collections.abc import Callable

import httpx

from sandbox import PullRequest, Repository

FilesOf = Callable[[PullRequest], dict[str, dict]]

LATIN = os.fsdecode(b"caf\xe9.py")
SHOWN = "caf\N{REPLACEMENT CHARACTER}.py"


def test_a_file_with_a_replaced_name_gets_no_comment(client: httpx.Client, repo: Repository) -> None:
    pull = repo.open_pull_request(changes={LATIN: "x = 1\n"})
    comment = {"path": SHOWN, "line": 1, "side": "RIGHT", "body": "x"}
    response = client.post(f"{pull.api_url}/reviews", json={"event": "COMMENT", "body": "x", "comments": [comment]})
    assert (response.status_code, response.json()["errors"]) == (422, ["Path could not be resolved"])


def test_merging_the_base_branch_keeps_the_diff(client: httpx.Client, repo: Repository, files_of: FilesOf) -> None:
    pull = repo.open_pull_request(changes={"app.py": "A\nb\nc\n"})
    first = pull.head_sha
    base = repo.commit({"app.py": "a\nb\nC\n", "theirs.py": "x\n"})
    merged = pull.merge_base_branch()

    body = client.get(pull.api_url).json()
    assert (body["head"]["sha"], body["base"]["sha"], body["commits"]) == (merged, base, 2)
    assert repo.store.run("rev-parse", f"{merged}^1", f"{merged}^2").decode().split() == [first, base]
    assert {name: file["patch"] for name, file in files_of(pull).items()} == {
        "app.py": "@@ -1,3 +1,3 @@\n-a\n+A\n b\n C"
    }
    assert [file.path for file in pull.files(first)] == ["app.py"], "since the commits parted, not since the new base"


def test_a_rebase_replaces_every_commit(client: httpx.Client, repo: Repository, files_of: FilesOf) -> None:
    pull = repo.open_pull_request(changes={"app.py": "A\nb\nc\n"})
    pull.push({"more.py": "more\n", "README.md": None}, renames={})
    before, commits = pull.head_sha, list(pull.commits)
    base = repo.commit({"app.py": "a\nb\nC\n"})
    rebased = pull.rebase()

    body = client.get(pull.api_url).json()
    assert (body["head"]["sha"], body["base"]["sha"], body["commits"]) == (rebased, base, 2)
    assert repo.store.merge_base(base, rebased) == base
    assert pull.before_sha == before
    assert len(pull.commits) == 4
    assert set(commits).isdisjoint(pull.commits[2:])
    assert set(files_of(pull)) == {"app.py", "more.py", "README.md"}
    assert base64.b64decode(client.get(f"/repos/octo/demo/contents/app.py?ref={rebased}").json()["content"]) == (
        b"A\nb\nC\n"
    )
