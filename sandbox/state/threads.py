"""Threads on the lines of a pull request: their comments, their state, and where they stand after a push."""

import re
from dataclasses import dataclass, field

from sandbox.app import Json, node_id
from sandbox.state.git import GitError, GitStore

_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


@dataclass
class Thread:
    """A thread. `comments` are as the REST API lists them, the first begins it; `resolved_by` is a login, or None."""

    comments: list[Json] = field(default_factory=list)
    resolved_by: str | None = None
    is_published: bool = True

    @property
    def first(self) -> Json:
        """The comment that began it."""
        return self.comments[0]

    @property
    def id(self) -> str:
        """Its name in GraphQL; REST has none for it."""
        return node_id("PRRT", int(self.first["id"]))


def moved_line(store: GitStore, old: str, new: str, path: str, line: int) -> int | None:
    """The number in commit `new` of a line of commit `old`; None where it was changed or removed."""
    if old == new:
        return line
    try:
        patch = store.run("diff-tree", "-p", "-U0", "--no-color", "--no-ext-diff", "--no-renames", old, new, "--", path)
    except GitError:
        return None
    moved = line
    for found in _HUNK.finditer(patch):
        start, length = int(found[1]), int(found[2] or 1)
        if length and start <= line < start + length:
            return None
        # A hunk that only adds stands after the line that it names.
        if (start + length if length else start + 1) <= line:
            moved += int(found[4] or 1) - length
    return moved if path in store.tree(new) else None
