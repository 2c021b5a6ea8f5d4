"""GET /repos/{owner}/{repo}/contents/{path}."""

import base64

import httpx

from sandbox import Repository, Symlink

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
