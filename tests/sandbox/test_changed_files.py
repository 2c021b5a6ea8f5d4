"""Changed files of a pull request: their entries, patches and pages."""

import os
from collections.abc import Callable
from typing import Any

from sandbox import Executable, PullRequest, Sandbox, Submodule, Symlink

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
