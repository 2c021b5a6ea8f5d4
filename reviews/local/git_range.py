"""Review a git range of a local repository, without GitHub."""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reviews.analysis.analyse import analyse_files
from reviews.config import repository
from reviews.engines import llm
from reviews.findings import Report
from reviews.github.schemas import SUBMODULE_MODE, Blob, ChangedFile
from reviews.local.actions import EventBase
from reviews.local.git import NotAReview, run_git

__all__ = ["GitRepository", "NotAReview", "Range", "UnlimitedBudget", "review"]

MAX_BYTES = 1024 * 1024
"""Size of an analysed file in bytes. GitHub shows no diff of a larger one either."""
MAX_UNTRACKED = 3000
"""Untracked files. GitHub lists no more files of a pull request either."""
_DIFF = ("--no-ext-diff", "--no-textconv", "--no-color", "--find-renames", "--unified=3", "--submodule=short")
# git would run in the submodules, with their configuration.
_RAW = ("diff", "--raw", "-z", "--no-abbrev", "--ignore-submodules=dirty", *_DIFF)
# Without submodules: git shows none whose checkout is that of the base, though the commit has another.
_PATCH = ("diff", "--patch", "--ignore-submodules=all", *_DIFF)
_REGULAR, _SUBMODULE, _ABSENT = ("100644", "100755"), "160000", "000000"
_STATUS = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "C": "copied", "T": "changed"}
_DEFAULTS = ("refs/remotes/origin/HEAD", "refs/heads/main", "refs/heads/master")
_REMOTE_DEFAULTS = ("refs/remotes/origin/main", "refs/remotes/origin/master")
WORKING_TREE = "(working tree)"


@dataclass(frozen=True)
class Range:
    """A range: `base`, a commit, and `head`, a commit or None for the working tree."""

    base: str
    head: str | None
    name: str
    """For people: `main...feature`."""
    untracked: bool = False
    """Whether files that git does not know yet are part of it."""


@dataclass(frozen=True)
class _Entry:
    """A changed file of `git diff --raw`: modes are octal, `_ABSENT` if the file is absent on that side."""

    path: str
    previous_path: str | None
    old_mode: str
    mode: str
    status: str

    @property
    def sections(self) -> int:
        """Number of its parts in a patch: git shows a changed type (file, link, submodule) as removed and added."""
        if self.status == "U" or {self.old_mode, self.mode} <= {_SUBMODULE, _ABSENT}:
            return 0
        both = _ABSENT not in (self.old_mode, self.mode)
        return 2 if both and self.old_mode[:3] != self.mode[:3] else 1


class GitRepository:
    """The git repository that contains `directory`. Raises `NotAReview`."""

    def __init__(self, directory: Path) -> None:
        if not directory.is_dir():
            what = "is a file; name the folder of a repository" if directory.exists() else "does not exist"
            raise NotAReview(f"{directory} {what}")
        self._paths: dict[str, str] = {}
        """The paths of changed files in the repository, by the names that reports have for them."""
        self._root = directory
        where = directory.absolute()
        facts = self._git("rev-parse", "--is-bare-repository", "--is-inside-work-tree").split()
        if facts[0] == b"true":
            raise NotAReview(f"{where} is a bare repository, without files; review a clone of it: git clone {where}")
        if facts[1] != b"true":
            raise NotAReview(f"{where} is inside the .git folder of a repository; name the repository itself")
        self._root = Path(os.fsdecode(self._git("rev-parse", "--show-toplevel").removesuffix(b"\n")))

    def range(self, text: str | None, event: EventBase | None = None) -> Range:
        """Parse a range as `git diff` does: `A...B` from the merge base, `A..B`, or `A` up to the working tree.

        None compares the working tree with its merge base with the base of `event`, else with the default branch.
        """
        if text is None:
            found = self._default_range() if event is None else self._event_range(event)
        elif not text.strip():
            raise NotAReview("the range is empty; name one, such as main...HEAD, or leave it out")
        elif "..." in text:
            base, _, head = text.partition("...")
            base, head = base or "HEAD", head or "HEAD"
            found = Range(self._merge_base(base, head), self._commit(head), text)
            if found.base == found.head:
                # Perhaps the ends are in the wrong order.
                found = replace(found, name=f"{text} ({head} is part of {base})")
        elif ".." in text:
            base, _, head = text.partition("..")
            found = Range(self._commit(base or "HEAD"), self._commit(head or "HEAD"), text)
        else:
            return Range(self._commit(text), None, f"{text}..{WORKING_TREE}", untracked=True)
        if found.base == (found.head or self._commit("HEAD")) and self._is_shallow():
            raise NotAReview(f"{found.name} has no commits to compare.{self._shallow_hint()}")
        return found

    def changed_files(self, revisions: Range) -> list[ChangedFile]:
        """Return the changed files with their hunks, as GitHub shows them."""
        ends = [revisions.base] if revisions.head is None else [revisions.base, revisions.head]
        raw = self._git(*_RAW, *ends, "--").decode("utf-8", "surrogateescape")
        patches = self._git(*_PATCH, *ends, "--").decode("utf-8", "replace")
        sections = iter([_hunks(patch) for patch in ("\n" + patches).split("\ndiff --git ")[1:]])
        untracked = dict.fromkeys(self.untracked(revisions))
        files = []
        try:
            for entry in _entries(raw):
                # Of a changed type the last part counts: what the file is now.
                hunks = [next(sections) for _ in range(entry.sections)]
                # git lists a file as removed that was only taken out of its index.
                if entry.status != "U" and entry.path not in untracked:
                    files.append(self._changed_file(entry, hunks[-1] if hunks else None))
        except StopIteration:
            raise NotAReview("the working tree changed during the review; try again") from None
        if next(sections, ...) is not ...:
            raise NotAReview("the working tree changed during the review; try again")
        return files + [self._added(path) for path in untracked]

    def untracked(self, revisions: Range) -> list[str]:
        """Return the files of the range that git neither knows nor ignores; at most `MAX_UNTRACKED`."""
        if not revisions.untracked:
            return []
        listed = self._git("ls-files", "--others", "--exclude-standard", "-z").decode("utf-8", "surrogateescape")
        # With a slash at its end: another repository.
        return [path for path in listed.split("\0") if path and not path.endswith("/")][:MAX_UNTRACKED]

    def contents(self, commit: str | None, paths: Sequence[str]) -> Mapping[str, Blob]:
        """Return the files at `paths` of a commit, or of the working tree (None); links and submodules without text."""
        names = {self._paths.get(name, name): name for name in paths}
        if commit is None:
            found = {name: blob for path, name in names.items() if (blob := self._read(path)[0]) is not None}
            return found | self._outside_checkout({path: name for path, name in names.items() if name not in found})
        if not paths:
            return {}
        output = self._git("ls-tree", "-z", "--long", "--full-tree", commit, "--", *names)
        blobs: dict[str, Blob] = {}
        wanted: dict[str, str] = {}
        for entry in filter(None, output.decode("utf-8", "surrogateescape").split("\0")):
            facts, _, path = entry.partition("\t")
            mode, _, oid, size = facts.split()
            name = names.get(path, path)
            blobs[name] = Blob(mode=int(mode, 8), oid=oid, byteSize=int(size) if size.isdecimal() else None)
            if mode in _REGULAR and int(size) > MAX_BYTES:
                blobs[name] = blobs[name].model_copy(update={"truncated": True})
            elif mode in _REGULAR:
                wanted[name] = oid
        texts = self._blobs(list(dict.fromkeys(wanted.values())))
        read = {name: texts[oid] for name, oid in wanted.items() if oid in texts}
        same = {name: {"text": blob.text, "binary": blob.binary} for name, blob in read.items()}
        return {name: blob.model_copy(update=same.get(name, {})) for name, blob in blobs.items()}

    def config(self, revisions: Range) -> repository.RepositoryConfig:
        """Return the configuration of the base."""
        blob = self.contents(revisions.base, [repository.PATH]).get(repository.PATH)
        if blob and blob.text is None:
            return repository.RepositoryConfig(
                problems=(f"`{repository.PATH}` could not be read; the defaults were used.",)
            )
        return repository.parse(blob.text if blob else None)

    def _default_range(self, default: str = "") -> Range:
        """Compare the working tree with the default branch, of which the name may be known."""
        known = (f"refs/remotes/origin/{default}", f"refs/heads/{default}") if default else ()
        name = next((name for name in (*known, *_DEFAULTS, *_REMOTE_DEFAULTS) if self._is_commit(name)), None)
        if not self._is_commit("HEAD"):
            missing = "the repository has no commits yet" if name is None else "this branch has no commits yet"
            raise NotAReview(f"{missing}, so there is nothing to compare with; make the first one (git commit)")
        if name is None:
            raise NotAReview(
                "found no branch main or master to compare with; name a range, such as develop...HEAD."
                f"{self._shallow_hint()}"
            )
        if name == self._git("rev-parse", "--symbolic-full-name", "HEAD").decode().strip():
            # The default branch itself is checked out: what is new in it was not pushed yet.
            pushed = f"refs/remotes/origin/{name.removeprefix('refs/heads/')}"
            name = pushed if self._is_commit(pushed) else name
        short = name.removeprefix("refs/heads/").removeprefix("refs/remotes/")
        return Range(self._merge_base(name, "HEAD"), None, f"{short}...{WORKING_TREE}", untracked=True)

    def _event_range(self, event: EventBase) -> Range:
        """Compare with the base of an event. Untracked files are not part of it: earlier steps of the job make them."""
        head = self._commit("HEAD")
        found = None if event.is_named else replace(self._default_range(event.ref), untracked=False)
        if found and found.base != head:
            return found
        if found or not (event.ref or event.sha):
            raise NotAReview("the event names no base; name a range, such as main...HEAD")
        label = event.ref or event.sha[:12]
        if event.head_sha and self._is_commit("HEAD^2") and self._commit("HEAD^2") == event.head_sha:
            # GitHub's merge of the pull request: the first parent is the base as it is now.
            return Range(self._commit("HEAD^1"), None, f"{label}...{WORKING_TREE}")
        branches = [f"refs/remotes/origin/{event.ref}", f"refs/heads/{event.ref}"] if event.ref else []
        # The branch may be ahead of the commit in the event, and the head may contain its newer commits.
        names = [*branches[:1], event.sha, *branches[1:]] if event.head_sha else [event.sha, *branches]
        if event.is_push:
            names = [event.sha]
        name = next((name for name in names if name and self._is_commit(name)), None)
        if name is None:
            what = f"commit {event.sha[:12]}" if event.is_push else f"branch {event.ref}" if event.ref else label
            hint = self._shallow_hint() or f" Run git fetch origin {label}."
            raise NotAReview(f"the base of this event, {what}, was not fetched.{hint}")
        base = self._merge_base(name, "HEAD", label)
        if base == head and not event.is_push and (event.head_sha or event.sha):
            raise NotAReview(
                f"HEAD is part of the base {label}, not the head of the event. "
                f"Check out the head first.{self._shallow_hint()}"
            )
        return Range(base, None, f"{label}...{WORKING_TREE}")

    def _changed_file(self, entry: _Entry, hunks: str | None) -> ChangedFile:
        return ChangedFile(
            filename=self._name(entry.path),
            previous_filename=self._name(entry.previous_path) if entry.previous_path else None,
            status=_STATUS.get(entry.status, "modified"),
            # Of a link too, as GitHub does: its target may be a secret.
            patch=hunks if entry.mode != _SUBMODULE else None,
        )

    def _name(self, path: str) -> str:
        """Return the name of a path in reports: a sign stands for what is not UTF-8, and no two paths have one name."""
        name = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        while self._paths.setdefault(name, path) != path:
            folder, slash, last = name.rpartition("/")
            name = f"{folder}{slash}\N{REPLACEMENT CHARACTER}{last}"
        return name

    def _added(self, path: str) -> ChangedFile:
        """Return an untracked file as an added one."""
        blob, content = self._read(path)
        # As git shows it once it is added: its bytes that are not UTF-8 keep nothing from the search for secrets.
        text = "" if blob is None or blob.binary else content.decode("utf-8", "replace")
        return ChangedFile(filename=self._name(path), status="added", patch=_patch_of_added(text))

    def _read(self, path: str) -> tuple[Blob | None, bytes]:
        """Return a file of the working tree and its content, empty for a file that is too large, and for links.

        A directory at the path of a file is a submodule.
        """
        file = self._root / path
        try:
            # Never follow a link out of the repository, be it the file or a directory above it.
            facts = file.lstat()
            if not file.parent.resolve().is_relative_to(self._root.resolve()):
                return None, b""
            if stat.S_ISDIR(facts.st_mode):
                return Blob(mode=SUBMODULE_MODE), b""
            if not stat.S_ISREG(facts.st_mode):
                return Blob(mode=facts.st_mode) if stat.S_ISLNK(facts.st_mode) else None, b""
            known = {"mode": facts.st_mode, "size": facts.st_size, "truncated": facts.st_size > MAX_BYTES}
            content = b"" if known["truncated"] else file.read_bytes()
            return _blob(content).model_copy(update=known), content
        except OSError:
            return None, b""

    def _outside_checkout(self, names: Mapping[str, str]) -> dict[str, Blob]:
        """Return files (path → name) that a sparse checkout leaves out, as the head commit has them, unless staged."""
        if not names:
            return {}
        listed = self._git("ls-files", "-t", "--stage", "-z", "--", *names).decode("utf-8", "surrogateescape")
        left_out = {}
        for entry in filter(None, listed.split("\0")):
            facts, _, path = entry.partition("\t")
            tag, _, oid, _ = facts.split()
            if tag == "S":
                left_out[names.get(path, path)] = oid
        blobs = self.contents("HEAD", list(left_out))
        return {name: blob for name, blob in blobs.items() if blob.oid == left_out[name]}

    def _blobs(self, names: Sequence[str]) -> dict[str, Blob]:
        """Return the blobs with these object names, in one process."""
        if not names:
            return {}
        output = self._git("cat-file", "--batch", stdin="".join(f"{name}\n" for name in names).encode())
        blobs = {}
        at = 0
        for name in names:
            end = output.index(b"\n", at)
            _, kind, *size = output[at:end].decode().split()
            at = end + 1
            if kind == "blob" and size:
                blobs[name] = _blob(output[at : at + int(size[0])])
                at += int(size[0]) + 1
        return blobs

    def _merge_base(self, base: str, head: str, label: str = "") -> str:
        commits = self._commit(base), self._commit(head)
        problem = f"{label or base} and {head} have no common ancestor.{self._shallow_hint()}"
        return self._git("merge-base", *commits, problem=problem).decode().strip()

    def _commit(self, name: str) -> str:
        if name.startswith(("-", "^")):
            raise NotAReview(f"not a valid revision: {name}")
        if commit := self._commit_or_none(name):
            return commit
        if name == "HEAD":
            raise NotAReview("HEAD has no commits yet; make the first one (git commit)")
        if self._is_commit(f"refs/remotes/origin/{name}"):
            raise NotAReview(f"unknown revision {name}; there is origin/{name}")
        hint = self._shallow_hint()
        raise NotAReview(f"unknown revision {name}{'.' if hint else ''}{hint}")

    def _commit_or_none(self, name: str) -> str | None:
        try:
            return self._git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").decode().strip() or None
        except NotAReview:
            return None

    def _is_commit(self, name: str) -> bool:
        return self._commit_or_none(name) is not None

    def _is_shallow(self) -> bool:
        return self._git("rev-parse", "--is-shallow-repository").strip() == b"true"

    def _shallow_hint(self) -> str:
        """Say how to complete a shallow clone, as the end of a sentence; empty for a complete one."""
        if not self._is_shallow():
            return ""
        return (
            " This is a shallow clone, without older commits: in GitHub Actions set `fetch-depth: 0` for "
            "actions/checkout, elsewhere run git fetch --unshallow."
        )

    def _git(self, *arguments: str, problem: str = "", stdin: bytes = b"") -> bytes:
        return run_git(self._root, *arguments, problem=problem, stdin=stdin)


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
    repository: GitRepository,
    revisions: Range,
    files: Sequence[ChangedFile],
    budget: UnlimitedBudget | None = None,
    fail_on: str = "never",
) -> Report:
    """Review the changed files of a range like a pull request; `budget` limits the language model.

    With `fail_on`, a severity, nothing of the range hides a finding, as with `check.fail_on` in `.kodiai.yml`.
    """
    config = repository.config(revisions)
    if fail_on != "never":
        config = config.model_copy(update={"check": config.check.model_copy(update={"fail_on": fail_on})})
    report = analyse_files(
        files,
        contents=lambda at_head, in_base: (
            repository.contents(revisions.head, list(at_head)),
            repository.contents(revisions.base, list(in_base)),
        ),
        config=config,
        ask=None if budget is None else lambda changes: llm.analyse(changes, budget),
    )
    return replace(report, config_problems=config.problems)


def _entries(raw: str) -> Iterator[_Entry]:
    """Yield the files of `git diff --raw -z`. Source: git-diff(1)."""
    pieces = iter(raw.split("\0"))
    for head in pieces:
        if not head:
            break
        old_mode, mode, _, _, status = head.removeprefix(":").split(" ")
        path, previous = next(pieces), None
        if status[0] in "RC":
            path, previous = next(pieces), path
        yield _Entry(path, previous, old_mode, mode, status[0])


def _hunks(patch: str) -> str | None:
    """Return the hunks of one file's part of a diff; None if it has none."""
    start = patch.find("\n@@ ")
    return None if start < 0 else patch[start + 1 :]


def _patch_of_added(text: str) -> str | None:
    """Return the patch that adds a file with this text; None for an empty one."""
    if not text:
        return None
    lines = text.removesuffix("\n").split("\n")
    end = "" if text.endswith("\n") else "\n\\ No newline at end of file"
    return f"@@ -0,0 +1,{len(lines)} @@\n" + "\n".join(f"+{line}" for line in lines) + end


def _blob(raw: bytes) -> Blob:
    try:
        return Blob(isBinary=True) if b"\0" in raw else Blob(text=raw.decode(), isBinary=False)
    except UnicodeDecodeError:
        return Blob(isBinary=False)
