"""Pull requests, their changed files and patches."""

from collections.abc import Callable

import httpx
import pytest

from sandbox import PullRequest, Repository, Sandbox, Symlink
from sandbox.state.diffs import patch_lines

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


def test_an_added_file_has_a_patch_that_starts_at_its_hunk(pull: PullRequest, files_of: FilesOf) -> None:
    file = files_of(pull)["helper.py"]
    assert file["status"] == "added"
    assert (file["additions"], file["deletions"], file["changes"]) == (1, 0, 1)
    assert file["patch"] == "@@ -0,0 +1 @@\n+import os"
    assert file["contents_url"].endswith(f"/contents/helper.py?ref={pull.head_sha}")
    assert "previous_filename" not in file


def test_a_removed_file_has_its_lines_in_the_patch(repo: Repository, files_of: FilesOf) -> None:
    file = files_of(repo.open_pull_request(changes={"app.py": None}))["app.py"]
    assert (file["status"], file["deletions"]) == ("removed", 3)
    assert file["patch"] == "@@ -1,3 +0,0 @@\n-a\n-b\n-c"
    assert len(file["sha"]) == 40
    assert set(file["sha"]) != {"0"}


def test_a_rename_without_changes_has_no_patch(repo: Repository, files_of: FilesOf) -> None:
    file = files_of(repo.open_pull_request(renames={"app.py": "lib/app.py"}))["lib/app.py"]
    assert (file["status"], file["previous_filename"], file["changes"]) == ("renamed", "app.py", 0)
    assert "patch" not in file


def test_a_rename_with_changes_has_a_patch(github: Sandbox, client: httpx.Client) -> None:
    lines = "".join(f"line {number}\n" for number in range(20))
    repo = github.create_repository("octo/renames", files={"a.py": lines})
    repo.open_pull_request(renames={"a.py": "b.py"}, changes={"b.py": lines.replace("line 9\n", "line nine\n")})
    [file] = client.get("/repos/octo/renames/pulls/1/files").json()
    assert (file["status"], file["previous_filename"]) == ("renamed", "a.py")
    assert (file["additions"], file["deletions"]) == (1, 1)
    assert "-line 9\n+line nine" in file["patch"]


def test_binary_and_empty_files_have_no_patch(repo: Repository, files_of: FilesOf) -> None:
    files = files_of(repo.open_pull_request(changes={"image.bin": b"\0\1\2", "empty.txt": "", "gone.md": "x\n"}))
    assert [files[name]["changes"] for name in ("image.bin", "empty.txt", "gone.md")] == [0, 0, 1]
    assert "patch" not in files["image.bin"]
    assert "patch" not in files["empty.txt"]
    assert "patch" in files["gone.md"]


def test_a_missing_newline_at_the_end_is_in_the_patch(repo: Repository, files_of: FilesOf) -> None:
    file = files_of(repo.open_pull_request(changes={"app.py": "a\nb\nC"}))["app.py"]
    assert file["patch"] == "@@ -1,3 +1,3 @@\n a\n b\n-c\n+C\n\\ No newline at end of file"


def test_carriage_returns_are_kept(repo: Repository, files_of: FilesOf) -> None:
    file = files_of(repo.open_pull_request(changes={"dos.txt": "one\r\ntwo\r\n"}))["dos.txt"]
    assert file["patch"] == "@@ -0,0 +1,2 @@\n+one\r\n+two\r"


def test_bytes_that_are_not_utf8_are_replaced(repo: Repository, files_of: FilesOf) -> None:
    file = files_of(repo.open_pull_request(changes={"latin.txt": b"caf\xe9\n"}))["latin.txt"]
    assert file["patch"] == "@@ -0,0 +1 @@\n+caf\N{REPLACEMENT CHARACTER}"


def test_text_that_looks_like_a_diff_stays_in_its_file(repo: Repository, files_of: FilesOf) -> None:
    text = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-x\n+y\n"
    files = files_of(repo.open_pull_request(changes={"a.diff": text, "b.txt": "b\n"}))
    assert files["a.diff"]["patch"].startswith("@@ -0,0 +1,6 @@\n+diff --git a/x b/x\n+--- a/x\n")
    assert files["b.txt"]["patch"] == "@@ -0,0 +1 @@\n+b"


def test_a_symlinks_patch_is_its_target(repo: Repository, files_of: FilesOf) -> None:
    file = files_of(repo.open_pull_request(changes={"link": Symlink("app.py")}))["link"]
    assert file["patch"] == "@@ -0,0 +1 @@\n+app.py\n\\ No newline at end of file"


def test_unusual_paths_are_served(client: httpx.Client, repo: Repository, files_of: FilesOf) -> None:
    names = ['sp ace "quoted" ä\\.py', "tab\there.py", "new\nline.py", "-dash.py", "percent%20.py", "hash#.py"]
    files = files_of(repo.open_pull_request(changes=dict.fromkeys(names, "x\n")))
    assert set(files) == set(names)
    for name in names:
        assert client.get(files[name]["contents_url"]).json()["path"] == name


def test_a_file_with_a_large_patch_has_no_patch(repo: Repository, files_of: FilesOf) -> None:
    pull = repo.open_pull_request(changes={"long.py": "x\n" * 3001, "short.py": "x\n" * 10})
    files = files_of(pull)
    assert files["long.py"]["additions"] == 3001
    assert "patch" not in files["long.py"]
    pull.max_patch_lines = 5
    assert "patch" not in files_of(pull)["short.py"]


def test_files_are_listed_in_pages_with_links(client: httpx.Client, repo: Repository) -> None:
    pull = repo.open_pull_request(changes={f"f{number:03}.py": "x\n" for number in range(250)})
    first = client.get(f"{pull.api_url}/files", params={"per_page": 100})
    assert len(first.json()) == 100
    assert set(first.links) == {"next", "last"}
    last = client.get(first.links["last"]["url"])
    assert [len(last.json()), set(last.links)] == [50, {"prev", "first"}]
    second = client.get(first.links["next"]["url"])
    assert second.json()[0]["filename"] == "f100.py"
    assert client.get(f"{pull.api_url}/files", params={"per_page": 100, "page": 4}).json() == []


def test_pages_have_thirty_items_by_default_at_most_a_hundred(client: httpx.Client, repo: Repository) -> None:
    pull = repo.open_pull_request(changes={f"f{number:03}.py": "x\n" for number in range(120)})
    assert len(client.get(f"{pull.api_url}/files").json()) == 30
    assert len(client.get(f"{pull.api_url}/files?per_page=500").json()) == 100
    assert len(client.get(f"{pull.api_url}/files?per_page=nonsense").json()) == 30


def test_at_most_three_thousand_files_are_listed(client: httpx.Client, repo: Repository) -> None:
    pull = repo.open_pull_request(changes={f"f{number:04}": "" for number in range(3010)})
    links = client.get(f"{pull.api_url}/files?per_page=100").links
    assert "page=30" in links["last"]["url"]
    assert client.get(pull.api_url).json()["changed_files"] == 3010


def test_the_number_of_git_calls_does_not_grow_with_the_files(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    run = repo.store.run

    def counted(*arguments: str, stdin: bytes = b"") -> bytes:
        calls.append(arguments[0])
        return run(*arguments, stdin=stdin)

    monkeypatch.setattr(repo.store, "run", counted)
    pull = repo.open_pull_request(changes={f"{number}.py": "print('x')\n" * 50 for number in range(300)})
    assert len(pull.files()) == 300
    assert calls == ["fast-import", "merge-base", "diff-tree", "diff-tree"]


def test_renaming_a_missing_file_is_an_error(repo: Repository) -> None:
    with pytest.raises(RuntimeError, match="fast-import"):
        repo.open_pull_request(renames={"nothing.py": "x.py"})


def test_a_repository_exists_once(github: Sandbox, repo: Repository) -> None:
    with pytest.raises(ValueError, match="already"):
        github.create_repository("Octo/Demo")


def test_lines_of_a_patch_have_their_numbers_on_both_sides() -> None:
    patch = "@@ -1,2 +1,3 @@ def f():\n one\n-two\n+2\n+3\n@@ -10 +11 @@\n-ten\n\\ No newline at end of file\n+10"
    assert [(line.position, line.hunk, line.left, line.right) for line in patch_lines(patch)] == [
        (1, 0, 1, 1),
        (2, 0, 2, None),
        (3, 0, None, 2),
        (4, 0, None, 3),
        (6, 1, 10, None),
        (8, 1, None, 11),
    ]
