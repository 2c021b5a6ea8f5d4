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


def test_one_query_returns_a_hundred_files(client: httpx.Client, repo: Repository) -> None:
    names = [f"dir {number}/é.py" for number in range(100)]
    sha = repo.commit({name: f"{name}\n" for name in names})
    files = ask(client, *(f"{sha}:{name}" for name in names))["data"]["repository"]
    assert [file["text"] for file in files.values()] == [f"{name}\n" for name in names]


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


def test_a_directory_has_no_fields_of_a_blob(client: httpx.Client, repo: Repository) -> None:
    repo.commit({"lib/a.py": "a\n"})
    assert ask(client, "main:lib", "main:li")["data"]["repository"] == {"f0": {}, "f1": None}


def test_arguments_may_be_written_into_the_query(client: httpx.Client, repo: Repository) -> None:
    query = '{ repository(owner: "octo", name: "demo") { object(expression: "HEAD:app.py") { ... on Blob { text } } } }'
    assert client.post("/graphql", json={"query": query}).json() == {
        "data": {"repository": {"object": {"text": "a\nb\nc\n"}}}
    }


@pytest.mark.parametrize("owner", ["octo", "mona"])
def test_an_inaccessible_repository_is_null_and_an_error(client: httpx.Client, github: Sandbox, owner: str) -> None:
    github.create_repository("mona/demo")
    response = ask(client, "main:app.py", owner=owner, name="demo" if owner == "mona" else "nothing")
    assert response["data"] == {"repository": None}
    assert response["errors"][0]["type"] == "NOT_FOUND"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"query": "{ organization { login } }"},
        {"query": '{ repository(owner: "octo", name: "demo") { id } }'},
        {"query": '{ repository(owner: "octo", name: "demo") { object(expression: "HEAD:x") { id }'},
        {"query": "query($o:String!){repository(owner:$o,name:$o){object(expression:$o){id}}}"},
    ],
)
def test_unsupported_queries_are_200_with_errors(client: httpx.Client, body: dict) -> None:
    response = client.post("/graphql", json=body)
    assert response.status_code == 200
    assert response.json()["errors"][0]["message"]
    assert "data" not in response.json()


def test_who_asks_is_the_bot_of_the_app(github: Sandbox, client: httpx.Client) -> None:
    def viewer() -> dict:
        return client.post("/graphql", json={"query": "{viewer{login databaseId}}"}).json()["data"]["viewer"]

    before = viewer()
    github.rename_app("other")
    assert (before["login"], viewer()) == ("kodiai[bot]", {**before, "login": "other[bot]"})
