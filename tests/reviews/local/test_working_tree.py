"""`kodiai review` of whatever a file has become, and of what git does not know yet."""

import subprocess
from typing import Any

import pytest

from tests.support.console_script import CLEAN, UNUSED, Kodiai
from tests.support.git import ENVIRONMENT, Git

# L3: what a file has become


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("rm a.py; ln -s /etc/passwd a.py", []),
        ("rm a.py; mkdir a.py; printf 'import os\\n' > a.py/b.py", [("a.py/b.py", 1, "F401")]),
        ("git rm -q a.py; git clone -q . a.py; git add a.py", []),
        ("rm a.py", []),
        ("rm link.py; printf 'import os\\n' > link.py", [("link.py", 1, "F401")]),
        ("git rm -q -r dir; printf 'import os\\n' > dir", []),
        ("git rm -q --cached a.py; printf 'import os\\n' > a.py", [("a.py", 1, "F401")]),
        ("git mv a.py 'b c.py'; printf 'import os\\n' >> 'b c.py'", [("b c.py", 3, "F401")]),
        ("printf 'import os\\n' > 'ü.py'; printf 'import os\\n' > -n.py", [("-n.py", 1, "F401"), ("ü.py", 1, "F401")]),
        ("git checkout -q -b other main; git merge -q conflict1; git merge -q conflict2", "conflict"),
    ],
)
@pytest.mark.parametrize(
    "committed", [pytest.param(True, marks=pytest.mark.slow), False], ids=["committed", "in the working tree"]
)
def test_whatever_a_file_became_the_others_are_reviewed(
    kodiai: Kodiai, git: Git, change: str, expected: list[Any] | str, committed: bool
) -> None:
    git("checkout", "--quiet", "main")
    (git.directory / "link.py").symlink_to("a.py")
    git.file("dir/x.txt", "x\n")
    git.commit()
    for name in ("conflict1", "conflict2"):
        git("checkout", "--quiet", "-B", name, "main")
        git.commit(a__py=f"{CLEAN}{name} = 1\n")
    git("checkout", "--quiet", "-B", "feature", "main")
    subprocess.run(["sh", "-c", change], cwd=git.directory, env=ENVIRONMENT, check=False, capture_output=True)
    git.write(other__py=UNUSED)
    other = ("other.py", 1, "F401")
    if expected == "conflict":
        found = kodiai.reviewed(git, "main")
        assert other in found
        assert ("a.py", 3, "invalid-syntax") in found, "the markers of the conflict"
        return
    if committed:
        git.commit()
    assert sorted(kodiai.reviewed(git)) == sorted([*expected, other])


# L6: untracked files


def test_files_that_git_does_not_know_yet_are_reviewed(kodiai: Kodiai, git: Git) -> None:
    git.file(".gitignore", "ignored.py\n")
    git.file("deep/new.py", UNUSED)
    git.file("ignored.py", UNUSED)
    git.file("no end.py", "import re")
    (git.directory / "link.py").symlink_to("no end.py")
    Git(git.directory / "nested").file("x.py", UNUSED)
    expected = [("deep/new.py", 1, "F401"), ("no end.py", 1, "F401")]
    assert kodiai.reviewed(git) == kodiai.reviewed(git, "main") == kodiai.reviewed(git, "HEAD") == expected
    assert kodiai.reviewed(git, "main..HEAD") == []
    assert kodiai.reviewed(git, "-C", "deep") == expected


@pytest.mark.parametrize("is_new", [True, False])
def test_the_target_of_a_link_is_searched_for_secrets(kodiai: Kodiai, git: Git, is_new: bool) -> None:
    """As on GitHub, whose patch of a link has its target."""
    path = "link" if is_new else "a.py"
    (git.directory / path).unlink(missing_ok=True)
    (git.directory / path).symlink_to("ghp_" + "0f3Kd9XwQz7LmN2pR5tV" + "8yB1cE4gH6jSaaab")
    git("add", "--all")
    assert kodiai.reviewed(git) == [(path, 1, "github-token")]
