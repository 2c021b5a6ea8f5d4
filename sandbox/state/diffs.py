"""The changed files of a pull request: status, counts, patches, and the lines that can have comments."""

import re
from dataclasses import dataclass
from enum import StrEnum

from sandbox.state.git import GitStore

MAX_PATCH_LINES = 3_000
"""A file whose patch has more lines has no `patch`.

GitHub leaves out the patch of large files, and does not document from which size on. The documented limit of one
file's diff is 20,000 lines (GitHub docs, repository limits). This one is an assumption.
"""

MAX_PAGE_LINES = 20_000
"""Lines of patches on one page of the list of files, about; files beyond have no `patch`, and their numbers are 0.

GitHub does not document it: it was seen with `per_page=100`, where smaller pages show the same patches.
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
    """The side of a diff: LEFT is the base, RIGHT is the head."""

    LEFT = "LEFT"
    RIGHT = "RIGHT"


@dataclass(frozen=True)
class PatchLine:
    """A line that can have comments. `left` and `right` are its numbers on each side, None if it is not there.

    `hunk` counts from 0. `position` is the number of lines from the first @@, GitHub's older address of a line.
    """

    position: int
    hunk: int
    left: int | None
    right: int | None

    def number(self, side: Side) -> int | None:
        """Return the line's number on a side, or None."""
        return self.left if side is Side.LEFT else self.right


@dataclass(frozen=True)
class ChangedFile:
    """An entry of "List pull requests files". `patch` is None for binary, empty, only renamed and too large files.

    `oid` is the blob of the head, or of the base if the file was removed. `is_utf8` is false where bytes of `path` that
    are not UTF-8 were replaced, as in all of GitHub's JSON; such a path finds no file.
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
        """The lines of the patch that can have review comments."""
        return patch_lines(self.patch or "")


def changed_files(store: GitStore, base: str, head: str, max_patch_lines: int = MAX_PATCH_LINES) -> list[ChangedFile]:
    """Return the changed files between two commits, by path, with renames detected."""
    options = ("-r", "--no-color", "--no-ext-diff", "--no-textconv", "--find-renames", "--no-abbrev", base, head)
    # The output has a record of --raw per file, with one path or two, then one of --numstat per file in that order.
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
    """Return the lines of a patch that starts at its first @@, with their numbers on both sides."""
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
    # GitHub guesses other encodings and converts them to UTF-8. Here their bytes are replaced.
    text = section[start + 1 :].decode("utf-8", "replace").removesuffix("\n")
    return text if text.count("\n") < max_lines else None
