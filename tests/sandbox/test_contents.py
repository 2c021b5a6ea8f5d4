"""GET /repos/{owner}/{repo}/contents/{path}."""

import base64

import httpx

from sandbox import Repository, Symlink

PATH = "/repos/octo/demo/contents"


def test_base64_has_lines_of_sixty_characters(client: httpx.Client, repo: Repository) -> None:
    raw = bytes(range(256))
    repo.commit({"all.bin": raw})
    content = client.get(f"{PATH}/all.bin").json()["content"]
    assert {len(line) for line in content.splitlines()[:-1]} == {60}
    assert base64.b64decode(content) == raw


def test_the_ref_is_a_branch_a_commit_or_the_default_branch(client: httpx.Client, repo: Repository) -> None:
    old = repo.head_sha
    repo.commit({"app.py": "new\n"})
    pull = repo.open_pull_request(changes={"app.py": "newest\n"})

    def content(**query: str) -> bytes:
        return base64.b64decode(client.get(f"{PATH}/app.py", params=query).json()["content"])

    assert content(ref=old) == b"a\nb\nc\n"
    assert content() == content(ref="main") == b"new\n"
    assert content(ref=pull.head_ref) == content(ref=pull.head_sha) == b"newest\n"


def test_missing_files_and_refs_are_404(client: httpx.Client, repo: Repository) -> None:
    assert client.get(f"{PATH}/none.py").json()["message"] == "Not Found"
    response = client.get(f"{PATH}/app.py", params={"ref": "none"})
    assert (response.status_code, response.json()["message"]) == (404, "No commit found for the ref none")


def test_a_directory_is_a_list(client: httpx.Client, repo: Repository) -> None:
    repo.commit({"lib/a.py": "a\n", "lib/deep/b.py": "b\n", "lib/link": Symlink("nowhere")})
    entries = client.get(f"{PATH}/lib").json()
    assert [(entry["type"], entry["path"]) for entry in entries] == [
        ("file", "lib/a.py"),
        ("dir", "lib/deep"),
        ("symlink", "lib/link"),
    ]
    assert "README.md" in [entry["name"] for entry in client.get(PATH).json()]


def test_a_symlink_to_a_file_has_its_content(client: httpx.Client, repo: Repository) -> None:
    repo.commit({"lib/link.py": Symlink("../app.py")})
    body = client.get(f"{PATH}/lib/link.py").json()
    assert (body["type"], base64.b64decode(body["content"])) == ("file", b"a\nb\nc\n")


def test_a_symlink_out_of_the_repository_has_its_target(client: httpx.Client, repo: Repository) -> None:
    repo.commit({"link": Symlink("/etc/passwd")})
    body = client.get(f"{PATH}/link").json()
    assert (body["type"], body["target"]) == ("symlink", "/etc/passwd")
    assert "content" not in body


def test_a_file_over_a_megabyte_has_no_content(client: httpx.Client, repo: Repository) -> None:
    repo.commit({"large.txt": "x" * (1024 * 1024 + 1)})
    body = client.get(f"{PATH}/large.txt").json()
    assert (body["content"], body["encoding"], body["size"]) == ("", "none", 1024 * 1024 + 1)


def test_the_raw_media_type_gives_the_bytes(client: httpx.Client, repo: Repository) -> None:
    response = client.get(f"{PATH}/app.py", headers={"Accept": "application/vnd.github.raw+json"})
    assert response.content == b"a\nb\nc\n"
