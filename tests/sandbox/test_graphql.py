"""POST /graphql: many files with one query."""

import httpx
import pytest

from sandbox import Repository, Sandbox

BLOB = "{...on Blob{text isBinary isTruncated byteSize}}"


def ask(client: httpx.Client, *expressions: str, owner: str = "octo", name: str = "demo") -> dict:
    declared = "".join(f",$e{number}:String!" for number in range(len(expressions)))
    requested = " ".join(f"f{number}:object(expression:$e{number}){BLOB}" for number in range(len(expressions)))
    query = f"query($owner:String!,$name:String!{declared}){{repository(owner:$owner,name:$name){{{requested}}}}}"
    variables = {"owner": owner, "name": name} | {f"e{number}": text for number, text in enumerate(expressions)}
    response = client.post("/graphql", json={"query": query, "variables": variables})
    assert response.status_code == 200
    return response.json()


def test_binary_files_have_no_text(client: httpx.Client, repo: Repository) -> None:
    repo.commit({"image.bin": b"\0\1", "latin.txt": b"caf\xe9\n", "empty.txt": b""})
    files = ask(client, "main:image.bin", "main:latin.txt", "main:empty.txt")["data"]["repository"]
    assert [(file["text"], file["isBinary"], file["byteSize"]) for file in files.values()] == [
        (None, True, 2),
        (None, True, 5),
        ("", False, 0),
    ]


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
