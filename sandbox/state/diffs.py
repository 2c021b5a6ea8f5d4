"""What a pull request changes, as GitHub tells it: files, counts, patches, and the lines one can comment on."""

import re
from dataclasses import dataclass
from enum import StrEnum

from sandbox.state.git import GitStore

MAX_PATCH_LINES = 3_000
"""A file whose patch has more lines comes without `patch`.

GitHub leaves the patch of large files out and does not document where it draws the line for this endpoint; the
documented ceiling for one file's diff is 20,000 lines (GitHub docs, repository limits). Ours is a guess to test with.
"""

_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


class FileStatus(StrEnum):
    """Source: GitHub REST docs, "List pull requests files", field `status`."""

    ADDED = "added"
    REMOVED = "removed"
    MODIFIED = "modified"
    RENAMED = "renamed"
    CHANGED = "changed"


class Side(StrEnum):
    """The side of a diff that a review comment is on: LEFT is the base, RIGHT is the head."""

    LEFT = "LEFT"
    RIGHT = "RIGHT"


@dataclass(frozen=True)
class PatchLine:
    """A line one can comment on. `left` and `right` are line numbers, None where the line is not on that side.

    `hunk` counts from 0; `position` is GitHub's older address of a line: how many lines below the first @@ it is.
    """

    position: int
    hunk: int
    left: int | None
    right: int | None

    def number(self, side: Side) -> int | None:
        """The line's number on a side, or None."""
        return self.left if side is Side.LEFT else self.right


@dataclass(frozen=True)
class ChangedFile:
    """One entry of "List pull requests files". `patch` is None for binary, empty, merely renamed and too large files.

    `oid` is the blob of the head, or of the base where the file was removed. Bytes of `path` that are not UTF-8 are
    replaced, as in all of GitHub's JSON; by such a path the file is not found again, and `is_utf8` is false.
    """

    path: str
    status: FileStatus
    oid: str
    additions: int
    deletions: int
    patch: str | None
    previous_path: str | None = None
    is_utf8: bool = True

    @property
    def lines(self) -> list[PatchLine]:
        """The lines of the patch that a review comment can stand on."""
        return patch_lines(self.patch or "")


def changed_files(store: GitStore, base: str, head: str, max_patch_lines: int = MAX_PATCH_LINES) -> list[ChangedFile]:
    """The difference between two commits with renames found, in git's order (by path)."""
    options = ("-r", "--no-color", "--no-ext-diff", "--no-textconv", "--find-renames", "--no-abbrev", base, head)
    # First a record per file of --raw, each with one path or two; then one of --numstat per file, in the same order.
    fields = iter(store.run("diff-tree", "-z", "--raw", "--numstat", *options).split(b"\0")[:-1])
    raw = []
    field = next(fields, b"")
    while field.startswith(b":"):
        _old_mode, _new_mode, old_oid, new_oid, letter = field.decode("ascii").split(" ")
        paths = [next(fields) for _ in range(2 if letter[0] == "R" else 1)]
        raw.append((letter[0], old_oid if letter[0] == "D" else new_oid, paths))
        field = next(fields, b"")
    patches = iter(_sections(store.run("diff-tree", "--patch", *options)))
    files = []
    for letter, oid, paths in raw:
        added, deleted, _path = field.split(b"\t", 2)
        patch = _patch(next(patches), max_patch_lines)
        if letter == "R":
            next(fields), next(fields)
        if letter == "T":
            # git prints a file that became a symlink (or back) as a removal and an addition.
            next(patches)
            patch = None
        files.append(
            ChangedFile(
                path=paths[-1].decode("utf-8", "replace"),
                status=_STATUSES[letter],
                oid=oid,
                additions=_count(added),
                deletions=_count(deleted),
                patch=patch,
                previous_path=paths[0].decode("utf-8", "replace") if letter == "R" else None,
                is_utf8=_is_utf8(paths[-1]),
            )
        )
        field = next(fields, b"")
    return files


_STATUSES = {
    "A": FileStatus.ADDED,
    "D": FileStatus.REMOVED,
    "M": FileStatus.MODIFIED,
    "R": FileStatus.RENAMED,
    "T": FileStatus.CHANGED,
}


def patch_lines(patch: str) -> list[PatchLine]:
    """The lines of a patch that starts at its first @@, with their numbers on both sides."""
    lines: list[PatchLine] = []
    hunk, left, right = -1, 0, 0
    for position, text in enumerate(patch.split("\n")):
        if header := _HUNK.match(text):
            hunk, left, right = hunk + 1, int(header[1]), int(header[2])
            continue
        sign = text[:1]
        if sign == "+":
            lines.append(PatchLine(position, hunk, None, right))
            right += 1
        elif sign == "-":
            lines.append(PatchLine(position, hunk, left, None))
            left += 1
        elif sign == " ":
            lines.append(PatchLine(position, hunk, left, right))
            left, right = left + 1, right + 1
    return lines


def _is_utf8(path: bytes) -> bool:
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _count(number: bytes) -> int:
    return 0 if number == b"-" else int(number)


def _sections(output: bytes) -> list[bytes]:
    # Within a hunk every line begins with a sign, so a line that begins with "diff --git " starts a file.
    parts = re.split(rb"^diff --git ", output, flags=re.MULTILINE)
    return parts[1:]


def _patch(section: bytes, max_lines: int) -> str | None:
    start = section.find(b"\n@@ ")
    if start < 0:
        return None
    # GitHub converts to UTF-8 what it takes for another encoding; replacing is what we can promise.
    text = section[start + 1 :].decode("utf-8", "replace").removesuffix("\n")
    return text if text.count("\n") < max_lines else None
