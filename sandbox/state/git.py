"""Small, real git repositories, written with `git fast-import` and read with plumbing commands."""

import os
import re
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FIRST_COMMIT_AT = 1_700_000_000
"""Time of the first commit in seconds since the epoch. Each later one is a minute younger, so that all differ."""

FILE_MODE = "100644"
EXECUTABLE_MODE = "100755"
SYMLINK_MODE = "120000"
SUBMODULE_MODE = "160000"

_SHA = re.compile(r"[0-9a-f]{7,40}")
_OPTIONS = (
    *("-c", "core.autocrlf=false"),
    # Repositories last as long as a test: nothing has to survive a power cut, or be unpacked into a file per object.
    *("-c", "core.fsync=none", "-c", "fastimport.unpackLimit=1"),
)


@dataclass(frozen=True)
class Symlink:
    """A symbolic link, in place of a file's content."""

    target: str


@dataclass(frozen=True)
class Executable:
    """An executable file, in place of a file's content."""

    content: str | bytes


@dataclass(frozen=True)
class Submodule:
    """A commit of another repository, in place of a file's content. `.gitmodules` has its URL."""

    commit: str


@dataclass(frozen=True)
class TreeEntry:
    """A file in a commit's tree: git mode, object id and size in bytes. A submodule has size 0."""

    mode: str
    oid: str
    size: int


Content = str | bytes | Executable | Symlink | Submodule
Changes = Mapping[str, Content | None]
"""Path to new content; None deletes the path. A path that is not UTF-8 is decoded with `os.fsdecode`."""


class GitError(RuntimeError):
    """A git command failed. The message is git's."""


# Of all repositories of the process: what an object id, or a command that names only such, stands for never differs.
_COMMITS: dict[bytes, str] = {}
"""The input of `git fast-import` to the sha of the commit."""
_TREES: dict[str, dict[str, TreeEntry]] = {}
_BLOBS: dict[str, bytes] = {}
_OUTPUTS: dict[tuple[str, ...], bytes] = {}


class GitStore:
    """A bare repository in `folder`. What was read is cached: commits, trees and blobs never change.

    A commit whose sha is known from a repository with the same history is written only when git is needed.
    """

    def __init__(self, folder: Path, home: Path, *, label: str) -> None:
        self.folder = folder
        self._label = label
        self._commits = 0
        self._parents: dict[str, list[str]] = {}
        """Every commit with its parents, oldest first."""
        self._unwritten: list[bytes] = []
        """Input of `git fast-import` for commits that the repository does not have yet."""
        self._lock = threading.RLock()
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(home),
            "LC_ALL": "C",
            "GIT_DIR": str(folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
        }

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run a git command and return its output. Raises GitError if it fails."""
        with self._lock:
            self._write()
        return self._run(*arguments, stdin=stdin)

    def _write(self) -> None:
        """Make the repository what it should be."""
        if not self.folder.exists():
            # All that a bare repository needs (gitrepository-layout), without the time that `git init` takes.
            for part in ("objects", "refs"):
                (self.folder / part).mkdir(parents=True)
            (self.folder / "HEAD").write_text("ref: refs/heads/main\n", encoding="ascii")
        if self._unwritten:
            # Only what is in a finished pack can be a parent.
            self._import(b"checkpoint\n\n".join(self._unwritten))
            self._unwritten.clear()

    def _import(self, commits: bytes) -> bytes:
        return self._run("fast-import", "--quiet", "--force", "--done", stdin=commits + b"done\n")

    def _run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        command = ["git", *_OPTIONS, *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self._environment, input=stdin, capture_output=True, check=False
        )
        if done.returncode:
            # A merge reports its conflicts on standard output.
            message = (done.stderr.strip() or done.stdout.strip()).decode("utf-8", "replace")
            raise GitError(f"git {arguments[0]}: {message}")
        return done.stdout

    def read(self, *arguments: str) -> bytes:
        """Return the output of a command that reads objects by their ids: run once, as it stays the same."""
        with self._lock:
            if arguments not in _OUTPUTS:
                _OUTPUTS[arguments] = self.run(*arguments)
            return _OUTPUTS[arguments]

    def commit(
        self,
        branch: str,
        changes: Changes,
        *,
        parent: str | None,
        message: str,
        author: str,
        renames: Mapping[str, str] | None = None,
        merged: str | None = None,
        tree: str | None = None,
    ) -> str:
        """Commit on top of `parent`, point `branch` at the commit, and return its sha.

        `tree` replaces the tree of `parent`; then `renames` (old path to new path) apply, then `changes`. `merged` is
        the second parent. Raises GitError if a renamed path does not exist.
        """
        with self._lock:
            self._commits += 1
            signature = f"{author} <{author}@users.noreply.github.com> {FIRST_COMMIT_AT + 60 * self._commits} +0000"
            # The label makes equal commits in two repositories differ.
            text = f"{message}\n\n{self._label}\n".encode()
            lines = [
                f"commit refs/heads/{branch}\nmark :1\nauthor {signature}\ncommitter {signature}\n".encode(),
                _data(text),
            ]
            if parent:
                lines.append(f"from {parent}\n".encode())
            if merged:
                lines.append(f"merge {merged}\n".encode())
            if tree:
                lines.append(f'M 040000 {tree} ""\n'.encode())
            for old, new in (renames or {}).items():
                lines.append(b"R " + _quoted(old) + b" " + _quoted(new) + b"\n")
            for path, content in changes.items():
                lines.append(_file_command(path, content))
            lines.append(b"\nget-mark :1\n")
            commit = b"".join(lines)
            if commit in _COMMITS:
                self._unwritten.append(commit)
            else:
                self._write()
                _COMMITS[commit] = self._import(commit).decode("ascii").strip()
            sha = _COMMITS[commit]
            self._parents[sha] = [parent for parent in (parent, merged) if parent]
            return sha

    def parent(self, sha: str) -> str:
        """Return the first parent of a commit. Raises GitError for the first commit."""
        if not self._parents[sha]:
            raise GitError(f"{sha} is the first commit")
        return self._parents[sha][0]

    def merge(self, ours: str, theirs: str) -> str:
        """Merge two commits and return the tree. Raises GitError if they conflict."""
        return self.run("merge-tree", "--write-tree", ours, theirs).decode("ascii").strip()

    def cherry_pick(self, sha: str, onto: str) -> str:
        """Apply the change of a commit to `onto` and return the tree. Raises GitError if they conflict."""
        parent = self.parent(sha)
        # git takes the ancestor of a merge from the commits' own history: so `onto` becomes a child of that parent.
        stand_in = self.commit("stand-in", {}, parent=parent, message="", author="git", tree=self.tree_id(onto))
        return self.merge(stand_in, sha)

    def tree_id(self, sha: str) -> str:
        """Return the object id of a commit's tree."""
        return self.run("rev-parse", "--verify", "--quiet", f"{sha}^{{tree}}").decode("ascii").strip()

    def is_merge(self, sha: str) -> bool:
        """Return whether a commit is a merge."""
        return len(self._parents[sha]) > 1

    def find_commit(self, sha: str) -> str | None:
        """Return the full sha of a commit, given by at least seven digits; None if the repository does not have it."""
        if sha in self._parents:
            return sha
        if not _SHA.fullmatch(sha):
            return None
        try:
            output = self.run("rev-parse", "--verify", "--quiet", f"{sha}^{{commit}}")
        except GitError:
            return None
        return output.decode("ascii").strip()

    def merge_base(self, one: str, other: str) -> str:
        """Return the best common ancestor of two commits."""
        if one in self._history(other):
            return one
        return self.read("merge-base", one, other).decode("ascii").strip()

    def commits_between(self, base: str, head: str) -> list[str]:
        """Return the commits reachable from `head` and not from `base`, newest first."""
        between = self._history(head) - self._history(base)
        return [sha for sha in reversed(self._parents) if sha in between]

    def _history(self, sha: str) -> set[str]:
        """Return a commit and all commits before it."""
        found: set[str] = set()
        unread = [sha]
        while unread:
            sha = unread.pop()
            if sha not in found:
                found.add(sha)
                unread += self._parents[sha]
        return found

    def tree(self, sha: str) -> dict[str, TreeEntry]:
        """Return every file of a commit: path (see `Changes`) to entry."""
        with self._lock:
            if sha not in _TREES:
                _TREES[sha] = dict(_entries(self.run("ls-tree", "-r", "-l", "-z", sha)))
            return _TREES[sha]

    def blobs(self, oids: list[str]) -> dict[str, bytes]:
        """Return the contents of several blobs, read by one git process."""
        with self._lock:
            missing = [oid for oid in dict.fromkeys(oids) if oid not in _BLOBS]
            if missing:
                output = self.run("cat-file", "--batch", stdin="\n".join(missing).encode() + b"\n")
                _BLOBS.update(zip(missing, _batch(output), strict=True))
            return {oid: _BLOBS[oid] for oid in oids}

    def blob(self, oid: str) -> bytes:
        """Return the content of a blob."""
        return self.blobs([oid])[oid]


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def _quoted(path: str) -> bytes:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return b'"' + escaped.encode("utf-8", "surrogateescape") + b'"'


def _file_command(path: str, content: Content | None) -> bytes:
    if content is None:
        return b"D " + _quoted(path) + b"\n"
    if isinstance(content, Symlink):
        return f"M {SYMLINK_MODE} inline ".encode() + _quoted(path) + b"\n" + _data(content.target.encode())
    if isinstance(content, Submodule):
        return f"M {SUBMODULE_MODE} {content.commit} ".encode() + _quoted(path) + b"\n"
    mode, text = (EXECUTABLE_MODE, content.content) if isinstance(content, Executable) else (FILE_MODE, content)
    raw = text.encode() if isinstance(text, str) else text
    return f"M {mode} inline ".encode() + _quoted(path) + b"\n" + _data(raw)


def _entries(output: bytes) -> list[tuple[str, TreeEntry]]:
    entries = []
    for record in output.split(b"\0")[:-1]:
        fields, path = record.split(b"\t", 1)
        mode, _kind, oid, size = fields.decode("ascii").split()
        entries.append((path.decode("utf-8", "surrogateescape"), TreeEntry(mode, oid, 0 if size == "-" else int(size))))
    return entries


def _batch(output: bytes) -> list[bytes]:
    contents = []
    position = 0
    while position < len(output):
        end_of_header = output.index(b"\n", position)
        size = int(output[position:end_of_header].split()[2])
        start = end_of_header + 1
        contents.append(output[start : start + size])
        position = start + size + 1
    return contents
