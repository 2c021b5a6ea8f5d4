"""Submodules, names that are not UTF-8, merges and rebases."""

import base64
import os
from collections.abc import Callable

import httpx

from sandbox import PullRequest, Repository, Submodule

FilesOf = Callable[[PullRequest], dict[str, dict]]

COMMIT = "5f3d1c0b9a8e7d6c5b4a39281706f5e4d3c2b1a0"
OTHER_COMMIT = "0123456789abcdef0123456789abcdef01234567"
LATIN = os.fsdecode(b"caf\xe9.py")
SHOWN = "caf\N{REPLACEMENT CHARACTER}.py"


# Submodules


def test_the_content_of_a_submodule_is_its_url(client: httpx.Client, repo: Repository) -> None:
    modules = '[submodule "lib"]\n\tpath = lib\n\turl = https://example.com/lib.git\n'
    repo.commit({"lib": Submodule(COMMIT), "other": Submodule(COMMIT), ".gitmodules": modules})
    body = client.get("/repos/octo/demo/contents/lib").json()
    assert (body["type"], body["sha"], body["size"]) == ("submodule", COMMIT, 0)
    assert body["submodule_git_url"] == "https://example.com/lib.git"
    assert "content" not in body
    assert client.get("/repos/octo/demo/contents/other").json()["submodule_git_url"] is None
    listed = {entry["path"]: entry["type"] for entry in client.get("/repos/octo/demo/contents").json()}
    assert listed["lib"] == "file"


def test_a_submodule_is_null_in_graphql(client: httpx.Client, repo: Repository) -> None:
    repo.commit({"lib": Submodule(COMMIT)})
    query = '{repository(owner:"octo",name:"demo"){object(expression:"HEAD:lib"){...on Blob{text}}}}'
    assert client.post("/graphql", json={"query": query}).json() == {"data": {"repository": {"object": None}}}


# Names that are not UTF-8


def test_a_replaced_name_finds_no_file(client: httpx.Client, repo: Repository) -> None:
    repo.commit({LATIN: "x = 1\n"})
    assert client.get(f"/repos/octo/demo/contents/{SHOWN}").status_code == 404
    assert client.get("/repos/octo/demo/contents").json()[-1]["path"] == SHOWN
    query = f'{{repository(owner:"octo",name:"demo"){{object(expression:"HEAD:{SHOWN}"){{...on Blob{{text}}}}}}}}'
    assert client.post("/graphql", json={"query": query}).json()["data"]["repository"]["object"] is None


def test_a_file_with_a_replaced_name_gets_no_comment(client: httpx.Client, repo: Repository) -> None:
    pull = repo.open_pull_request(changes={LATIN: "x = 1\n"})
    comment = {"path": SHOWN, "line": 1, "side": "RIGHT", "body": "x"}
    response = client.post(f"{pull.api_url}/reviews", json={"event": "COMMENT", "body": "x", "comments": [comment]})
    assert (response.status_code, response.json()["errors"]) == (422, ["Path could not be resolved"])


# Merges and rebases


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
