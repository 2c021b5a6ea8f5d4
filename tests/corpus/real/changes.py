"""Select the changes of the sets by the rule of docs/verification/precision.md, and find them in git.

A directory of mirrors has a bare repository for each of repositories.tsv: `owner+name`, or `repo` below it.
"""

import csv
import re
import subprocess
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from itertools import islice
from pathlib import Path

from reviews.engines import readers

HERE = Path(__file__).parent
REPOSITORIES = HERE / "repositories.tsv"
SETS = (
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
)
EVERY = 7
"""One of as many eligible changes is taken."""
CHANGES = {"first": 20, "fifth": 0, "eighth": 20, "ninth": 20, "tenth": 20, "eleventh": 20, "twelfth": 20}
"""Changes of a repository in its set, at most, if they are not `MOST`."""
MOST = 40
SHARED, OFFSET = {"second": ("first", 10), "fifth": ("fourth", 15)}, 3
"""Changes in a set of a repository of an earlier one, from another position."""
LOOK_BACK = 2000
"""Commits of a repository that are looked at."""
MAX_FILES = 40

_ANY_TEXT = {"typos", "secrets"}
"""Analyzers that read nearly every file."""
_BOT = re.compile(r"\bbot\b", re.IGNORECASE)


class NoMirror(Exception):
    """A repository of the sets is not below the directory of mirrors."""


@dataclass(frozen=True, order=True)
class Change:
    """A commit of a repository, compared with its first parent."""

    repository: str
    commit: str

    @property
    def key(self) -> str:
        """Identifies the change in labels."""
        return f"{self.repository}@{self.commit[:12]}"


def of_set(name: str) -> list[Change]:
    """Return the changes of a set, as they are in its file."""
    with (HERE / f"{name}.tsv").open(encoding="utf-8", newline="") as file:
        return [Change(**row) for row in csv.DictReader(file, delimiter="\t")]


def write_set(name: str, changes: list[Change]) -> None:
    """Write the file of a set."""
    with (HERE / f"{name}.tsv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerows([[field.name for field in fields(Change)], *map(astuple, changes)])


def select(mirrors: Path, name: str) -> list[Change]:
    """Select the changes of a set. Raises `NoMirror`."""
    selected: list[Change] = []
    if name in SHARED:
        earlier, count = SHARED[name]
        for repository, head in heads(earlier):
            selected += _of_repository(mirrors, repository, head, count)[OFFSET::EVERY][:count]
    for repository, head in heads(name):
        selected += _of_repository(mirrors, repository, head, CHANGES.get(name, MOST))[::EVERY]
    return selected


def _of_repository(mirrors: Path, repository: str, head: str, count: int) -> list[Change]:
    """The newest eligible changes of a repository, enough to take `count`."""
    commits = islice(_eligible(mirror(mirrors, repository), head), EVERY * count)
    return [Change(repository, commit) for commit in commits]


def heads(name: str) -> list[tuple[str, str]]:
    """Return the repositories of a set, each with the newest commit that was seen."""
    with REPOSITORIES.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return [(row["repository"], row["head"]) for row in rows if row["set"] == name]


def mirror(mirrors: Path, repository: str) -> Path:
    """Return the git directory of a repository. Raises `NoMirror`."""
    folder = mirrors / repository.replace("/", "+")
    found = next(
        (place for place in (folder / "repo", folder / "repo" / ".git", folder) if (place / "HEAD").is_file()), None
    )
    if found is None:
        raise NoMirror(f"there is no {folder}: git clone --bare https://github.com/{repository} {folder}")
    return found


def git(directory: Path, *arguments: str) -> str:
    """Run git in a repository and return its output."""
    done = subprocess.run(["git", "-C", str(directory), *arguments], capture_output=True, check=True)
    return done.stdout.decode("utf-8", "replace")


def _eligible(directory: Path, head: str) -> Iterator[str]:
    """Return the eligible commits, newest first."""
    log = git(directory, "log", "--first-parent", "--format=%H%x09%P%x09%an <%ae>", f"-{LOOK_BACK}", head)
    for line in log.splitlines():
        commit, parents, author = line.split("\t", 2)
        if not parents:
            continue
        base, *merged = parents.split()
        if merged:
            author = git(directory, "log", "-1", "--format=%an <%ae>", merged[-1])
        if not _BOT.search(author) and _is_readable(directory, base, commit):
            yield commit


def _is_readable(directory: Path, base: str, commit: str) -> bool:
    try:
        listed = git(directory, "diff", "--name-status", "--find-renames", "-z", base, commit).split("\0")[:-1]
    except subprocess.CalledProcessError:  # A mirror can lack huge files.
        return False
    present, pieces = [], iter(listed)
    count = 0
    for status in pieces:
        path = next(pieces)
        if status[0] in "RC":
            path = next(pieces)
        count += 1
        if status != "D":
            present.append(path)
    return 1 <= count <= MAX_FILES and any(set(readers(path, "", ())) - _ANY_TEXT for path in present)
