"""What is read of a repository: contents, comparisons, changed files, and branches that move."""

import base64
import os
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sandbox import Executable, PullRequest, Repository, Sandbox, Submodule, Symlink

PATH = "/repos/octo/demo/contents"


def test_a_symlink_has_its_file_or_out_of_there_its_target(client: httpx.Client, repo: Repository) -> None:
    repo.commit({"lib/link.py": Symlink("../app.py"), "link": Symlink("/etc/passwd")})
    body = client.get(f"{PATH}/lib/link.py").json()
    assert (body["type"], base64.b64decode(body["content"])) == ("file", b"a\nb\nc\n")
    body = client.get(f"{PATH}/link").json()
    assert (body["type"], body["target"], "content" in body) == ("symlink", "/etc/passwd", False)


def test_a_file_over_a_megabyte_has_no_content(client: httpx.Client, repo: Repository) -> None:
    repo.commit({"large.txt": "x" * (1024 * 1024 + 1)})
    body = client.get(f"{PATH}/large.txt").json()
    assert (body["content"], body["encoding"], body["size"]) == ("", "none", 1024 * 1024 + 1)


# Comparisons


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


# Many files with one query


BLOB = "{...on Blob{text isBinary isTruncated byteSize}}"


def ask(client: httpx.Client, *expressions: str, owner: str = "octo", name: str = "demo") -> dict:
    declared = "".join(f",$e{number}:String!" for number in range(len(expressions)))
    requested = " ".join(f"f{number}:object(expression:$e{number}){BLOB}" for number in range(len(expressions)))
    query = f"query($owner:String!,$name:String!{declared}){{repository(owner:$owner,name:$name){{{requested}}}}}"
    variables = {"owner": owner, "name": name} | {f"e{number}": text for number, text in enumerate(expressions)}
    response = client.post("/graphql", json={"query": query, "variables": variables})
    assert response.status_code == 200
    return response.json()


def test_long_texts_are_truncated(client: httpx.Client, repo: Repository) -> None:
    repo.commit({"long.txt": "é" * 300_000})
    file = ask(client, "main:long.txt")["data"]["repository"]["f0"]
    assert (file["isTruncated"], file["byteSize"]) == (True, 600_000)
    assert file["text"] == "é" * (512 * 1024 // 2)


@pytest.mark.parametrize("owner", ["octo", "mona"])
def test_an_inaccessible_repository_is_null_and_an_error(client: httpx.Client, github: Sandbox, owner: str) -> None:
    github.create_repository("mona/demo")
    response = ask(client, "main:app.py", owner=owner, name="demo" if owner == "mona" else "nothing")
    assert response["data"] == {"repository": None}
    assert response["errors"][0]["type"] == "NOT_FOUND"


# Changed files


FilesOf = Callable[[PullRequest], dict[str, dict]]

COMMIT = "5f3d1c0b9a8e7d6c5b4a39281706f5e4d3c2b1a0"
OTHER_COMMIT = "0123456789abcdef0123456789abcdef01234567"
UNKNOWN = "\N{REPLACEMENT CHARACTER}"
TEXT = "a\nb\nc\n"
DIFF = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-x\n+y\n"
NO_NEWLINE = "\\ No newline at end of file"

CHANGES: list[tuple[str, Any, Any, dict[str, Any]]] = [
    # Name, content before and after (None is no file), and what the entry has (None is no such key).
    ("added", None, "import os\n", {"status": "added", "additions": 1, "deletions": 0, "changes": 1,
        "patch": "@@ -0,0 +1 @@\n+import os", "previous_filename": None}),
    ("removed", "1\n2\n3\n", None, {"status": "removed", "deletions": 3, "patch": "@@ -1,3 +0,0 @@\n-1\n-2\n-3"}),
    ("no newline", TEXT, "a\nb\nC", {"patch": f"@@ -1,3 +1,3 @@\n a\n b\n-c\n+C\n{NO_NEWLINE}"}),
    ("carriage returns", None, "one\r\ntwo\r\n", {"patch": "@@ -0,0 +1,2 @@\n+one\r\n+two\r"}),
    ("latin", None, b"caf\xe9\n", {"patch": f"@@ -0,0 +1 @@\n+caf{UNKNOWN}"}),
    ("a diff", None, DIFF, {"patch": "@@ -0,0 +1,6 @@\n" + "".join(f"+{line}\n" for line in DIFF.splitlines())[:-1]}),
    ("binary", None, b"\0\1\2", {"changes": 0, "patch": None}),
    ("empty", None, "", {"changes": 0, "patch": None}),
    ("long", None, "x\n" * 3001, {"additions": 3001, "patch": None}),
    ("mode", TEXT, Executable(TEXT), {"status": "modified", "changes": 0, "patch": None}),
    ("mode and text", TEXT, Executable(b"a\nb\nC\n"), {"patch": "@@ -1,3 +1,3 @@\n a\n b\n-c\n+C"}),
    ("executable", None, Executable("ls\n"), {"patch": "@@ -0,0 +1 @@\n+ls"}),
    ("symlink", None, Symlink("app.py"), {"patch": f"@@ -0,0 +1 @@\n+app.py\n{NO_NEWLINE}"}),
    ("other target", Symlink("app.py"), Symlink("/etc"), {"status": "modified", "additions": 1, "deletions": 1}),
    ("submodule", None, Submodule(COMMIT), {"status": "added", "sha": COMMIT, "additions": 1,
        "patch": f"@@ -0,0 +1 @@\n+Subproject commit {COMMIT}"}),
    ("other commit", Submodule(COMMIT), Submodule(OTHER_COMMIT), {"status": "modified",
        "patch": f"@@ -1 +1 @@\n-Subproject commit {COMMIT}\n+Subproject commit {OTHER_COMMIT}"}),
    ("file to link", TEXT, Symlink("README.md"), {"status": "changed", "patch": None}),
    ("file to submodule", TEXT, Submodule(COMMIT), {"status": "changed", "patch": None}),
    (os.fsdecode(b"caf\xe9.py"), None, "x = 1\n", {"filename": f"caf{UNKNOWN}.py", "patch": "@@ -0,0 +1 @@\n+x = 1"}),
]  # fmt: skip


def test_every_kind_of_change_has_its_entry(github: Sandbox, files_of: FilesOf) -> None:
    before = {name: content for name, content, _, _ in CHANGES if content is not None}
    repo = github.create_repository("octo/changes", files=before)
    files = files_of(repo.open_pull_request(changes={name: content for name, _, content, _ in CHANGES}))

    expected = {entry.get("filename", name): entry for name, _, _, entry in CHANGES}
    assert {name: {key: file.get(key) for key in expected[name]} for name, file in files.items()} == expected
    assert all(len(file["sha"]) == 40 and set(file["sha"]) != {"0"} for file in files.values())


def test_a_renamed_file_has_a_patch_of_its_edits_alone(github: Sandbox, files_of: FilesOf) -> None:
    lines = "".join(f"line {number}\n" for number in range(20))
    repo = github.create_repository("octo/renames", files={"a.py": lines, "app.py": TEXT})
    edited = {"b.py": lines.replace("line 9\n", "line nine\n")}
    files = files_of(repo.open_pull_request(renames={"a.py": "b.py", "app.py": "lib/app.py"}, changes=edited))

    assert [(file["status"], file["previous_filename"], file["changes"]) for file in files.values()] == [
        ("renamed", "a.py", 2), ("renamed", "app.py", 0),
    ]  # fmt: skip
    assert "-line 9\n+line nine" in files["b.py"]["patch"]
    assert "patch" not in files["lib/app.py"]


# Names that are not UTF-8, merges and rebases


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
