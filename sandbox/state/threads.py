"""Review threads: their comments, their state, and their line after a push."""

import re
from dataclasses import dataclass, field

from sandbox.app import Json, node_id
from sandbox.state.git import GitError, GitStore

_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


@dataclass
class Thread:
    """A review thread. `comments` are stored review comments; `resolved_by` is a login, None if it is open."""

    comments: list[Json] = field(default_factory=list)
    resolved_by: str | None = None
    is_published: bool = True

    @property
    def first(self) -> Json:
        """The comment that began the thread."""
        return self.comments[0]

    @property
    def id(self) -> str:
        """The thread's id in GraphQL. REST has none."""
        return node_id("PRRT", int(self.first["id"]))


def moved_line(store: GitStore, old: str, new: str, path: str, line: int) -> int | None:
    """Return the number in commit `new` of a line of commit `old`; None if it was changed or removed."""
    if old == new:
        return line
    try:
        patch = store.read(
            "diff-tree", "-p", "-U0", "--no-color", "--no-ext-diff", "--no-renames", old, new, "--", path
        )
    except GitError:
        return None
    moved = line
    for found in _HUNK.finditer(patch):
        start, length = int(found[1]), int(found[2] or 1)
        if length and start <= line < start + length:
            return None
        # The header of a hunk that only adds names the line before it.
        if (start + length if length else start + 1) <= line:
            moved += int(found[4] or 1) - length
    return moved if path in store.tree(new) else None
