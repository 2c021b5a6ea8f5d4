"""Review a git range of a local repository, without GitHub.

git runs no hook, no pager, no external diff and no text conversion.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reviews.analysis.analyse import analyse_files
from reviews.config import repository
from reviews.engines import llm
from reviews.findings import Report
from reviews.github.schemas import Blob, ChangedFile

MAX_BYTES = 1024 * 1024
"""Size of an analysed file in bytes. GitHub shows no diff of a larger one either."""
_DIFF = ("--no-ext-diff", "--no-textconv", "--no-color", "--find-renames", "--unified=3", "--submodule=short")
_NO_FILE = {"120000": "a symbolic link", "160000": "a submodule"}
_STATUS = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "C": "copied", "T": "changed"}


class NotAReview(Exception):
    """The range cannot be reviewed; the text says why, and what to do."""


@dataclass(frozen=True)
class Range:
    """A range: `base`, a commit, and `head`, a commit or None for the working tree."""

    base: str
    head: str | None
    name: str
    """For people: `main...feature`."""


class GitRepository:
    """The git repository that contains `directory`. Raises `NotAReview`."""

    def __init__(self, directory: Path) -> None:
        self._root = directory
        top = self._git(
            "rev-parse", "--show-toplevel", problem=f"{directory.absolute()} is not inside a git repository"
        )
        self._root = Path(top.decode().rstrip("\n"))

    def range(self, text: str | None) -> Range:
        """Parse a range as `git diff` does: `A...B` from the merge base, `A..B`, or `A` up to the working tree.

        None compares the working tree with its merge base with the default branch.
        """
        if text is None:
            default = self._default_branch()
            return Range(self._merge_base(default, "HEAD"), None, f"{default}...(working tree)")
        if "..." in text:
            base, _, head = text.partition("...")
            base, head = base or "HEAD", head or "HEAD"
            return Range(self._merge_base(base, head), self._commit(head), text)
        if ".." in text:
            base, _, head = text.partition("..")
            return Range(self._commit(base or "HEAD"), self._commit(head or "HEAD"), text)
        return Range(self._commit(text), None, f"{text}..(working tree)")

    def changed_files(self, revisions: Range) -> list[ChangedFile]:
        """Return the changed files with their hunks, as GitHub shows them."""
        ends = [revisions.base] if revisions.head is None else [revisions.base, revisions.head]
        raw = self._git("diff", "--raw", "-z", "--no-abbrev", *_DIFF, *ends, "--").decode("utf-8", "replace")
        patches = self._git("diff", "--patch", *_DIFF, *ends, "--").decode("utf-8", "replace")
        hunks = [_hunks(patch) for patch in ("\n" + patches).split("\ndiff --git ")[1:]]
        entries = list(_entries(raw))
        if len(entries) != len(hunks):
            raise NotAReview("the working tree changed during the review; try again")
        return [
            ChangedFile(
                filename=path, status=_STATUS.get(status, "modified"), patch=None if mode in _NO_FILE else patch
            )
            for (path, status, mode), patch in zip(entries, hunks, strict=True)
        ]

    def contents(self, commit: str | None, paths: Sequence[str]) -> Mapping[str, Blob]:
        """Return the files at `paths` of a commit, or of the working tree (None)."""
        return {path: blob for path in paths if (blob := self._blob(commit, path)) is not None}

    def config(self, revisions: Range) -> repository.RepositoryConfig:
        """Return the configuration of the base."""
        blob = self._blob(revisions.base, repository.PATH)
        return repository.parse(blob.text if blob else None)

    def _blob(self, commit: str | None, path: str) -> Blob | None:
        if commit is None:
            file = self._root / path
            # Never follow a link out of the repository, be it the file or a directory above it.
            if not file.is_file() or file.is_symlink() or not file.resolve().is_relative_to(self._root.resolve()):
                return None
            size = file.stat().st_size
            raw = file.read_bytes() if size <= MAX_BYTES else b""
        else:
            name = f"{commit}:{path}"
            try:
                size = int(self._git("cat-file", "-s", name))
                raw = self._git("cat-file", "blob", name) if size <= MAX_BYTES else b""
            except NotAReview:
                return None
        if size > MAX_BYTES:
            return Blob(isTruncated=True)
        try:
            return Blob(text=None if b"\0" in raw else raw.decode())
        except UnicodeDecodeError:
            return Blob()

    def _default_branch(self) -> str:
        for name in ("origin/HEAD", "main", "master", "origin/main", "origin/master"):
            if self._is_commit(name):
                return name
        raise NotAReview("found no branch main or master to compare with; name a range, such as develop...HEAD")

    def _merge_base(self, base: str, head: str) -> str:
        found = self._git(
            "merge-base",
            self._commit(base),
            self._commit(head),
            problem=f"{base} and {head} have no common ancestor",
        )
        return found.decode().strip()

    def _commit(self, name: str) -> str:
        if name.startswith("-"):
            raise NotAReview(f"not a valid revision: {name}")
        found = self._git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", problem=f"unknown revision {name}")
        return found.decode().strip()

    def _is_commit(self, name: str) -> bool:
        try:
            return bool(self._commit(name))
        except NotAReview:
            return False

    def _git(self, *arguments: str, problem: str = "") -> bytes:
        command = ["git", "-c", "core.quotepath=off", "-c", "core.fsmonitor=false", *arguments]
        environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C.UTF-8"}
        try:
            done = subprocess.run(
                command, cwd=self._root, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
            )
        except FileNotFoundError as missing:
            raise NotAReview("git is not installed, or the directory does not exist") from missing
        if done.returncode:
            error = done.stderr.decode(errors="replace").strip().splitlines()
            raise NotAReview(problem or f"git {arguments[0]} failed: {error[-1] if error else done.returncode}")
        return done.stdout


class UnlimitedBudget:
    """A budget without a database: only the token limit of one run applies."""

    def __init__(self) -> None:
        self.usage: llm.Usage | None = None
        """Usage of the language model; None if it was not called or reported none."""

    def reserve(self, cost_usd: float) -> None:
        """Accept any cost."""

    def settle(self, reserved_usd: float, usage: llm.Usage) -> None:
        """Keep what the run has used."""
        self.usage = usage


def review(
    repository: GitRepository, revisions: Range, files: Sequence[ChangedFile], budget: UnlimitedBudget | None = None
) -> Report:
    """Review the changed files of a range like a pull request; `budget` limits the language model."""
    return analyse_files(
        files,
        contents=lambda paths, in_base: (
            repository.contents(revisions.head, paths),
            repository.contents(revisions.base, in_base),
        ),
        config=repository.config(revisions),
        ask=None if budget is None else lambda changes: llm.analyse(changes, budget),
    )


def _entries(raw: str) -> list[tuple[str, str, str]]:
    """Return path, status letter and mode of each file in `git diff --raw -z`. Source: git-diff(1)."""
    pieces = iter(raw.split("\0"))
    entries = []
    for head in pieces:
        if not head:
            break
        _, mode, _, _, status = head.split(" ")
        path = next(pieces)
        if status[0] in "RC":
            path = next(pieces)
        entries.append((path, status[0], mode))
    return entries


def _hunks(patch: str) -> str | None:
    """Return the hunks of one file's part of a diff; None if it has none."""
    start = patch.find("\n@@ ")
    return None if start < 0 else patch[start + 1 :]
