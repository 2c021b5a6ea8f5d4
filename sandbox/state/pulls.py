"""A pull request of the sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sandbox import payloads
from sandbox.app import WEB_URL, Json, timestamp
from sandbox.state.diffs import MAX_PATCH_LINES, ChangedFile, changed_files
from sandbox.state.git import Changes, GitError
from sandbox.state.threads import Thread

if TYPE_CHECKING:
    from sandbox.state.repository import Repository


class PullRequest:
    """A pull request. Made by `Repository.open_pull_request`.

    `reviews` and `comments` hold what was posted, as dicts, oldest first; a review's dict has id, node_id, user, body,
    event, state, commit_id, comments (as posted), html_url, pull_request_url, submitted_at.
    """

    def __init__(
        self,
        *,
        repository: Repository,
        number: int,
        title: str,
        body: str | None,
        author: str,
        author_association: str,
        draft: bool,
        base_ref: str,
        base_sha: str,
        head_ref: str,
        head_sha: str,
        branch: str,
        fork: bool,
    ) -> None:
        self.repository = repository
        self.number = number
        self.id = repository.app.next_id()
        self.title = title
        self.body = body
        self.author = author
        self.author_association = author_association
        self.draft = draft
        self.base_ref = base_ref
        self.base_sha = base_sha
        self.head_ref = head_ref
        self.head_sha = head_sha
        self.fork = fork
        self.state = "open"
        self.merged = False
        self.created_at = self.updated_at = timestamp()
        self.closed_at: str | None = None
        self.before_sha = base_sha
        """The head before the last push, for the `synchronize` payload."""
        self.commits = [head_sha]
        """Every head and commit this pull request ever had, oldest first, those that a force push dropped included."""
        self.reviews: list[Json] = []
        self.review_comments: list[Json] = []
        self.threads: list[Thread] = []
        self.comments: list[Json] = []
        self.requested_reviewers: list[str] = []
        self.max_patch_lines = MAX_PATCH_LINES
        """Files whose patch is longer come without one; see `sandbox.state.diffs.MAX_PATCH_LINES`."""
        self._branch = branch
        self._files: dict[tuple[str, str, int], list[ChangedFile]] = {}

    @property
    def html_url(self) -> str:
        """The page of the pull request on github.com."""
        return f"{WEB_URL}/{self.repository.full_name}/pull/{self.number}"

    @property
    def api_url(self) -> str:
        """The address of the pull request in the API of this sandbox."""
        return f"{self.repository.app.api_url}/repos/{self.repository.full_name}/pulls/{self.number}"

    def push(
        self, changes: Changes | None = None, renames: Mapping[str, str] | None = None, message: str = "Change more"
    ) -> str:
        """Add a commit to the head branch and return its sha."""
        return self._move_head(self.head_sha, changes or {}, renames, message)

    def force_push(
        self, changes: Changes | None = None, renames: Mapping[str, str] | None = None, message: str = "Change again"
    ) -> str:
        """Put a new commit in place of the head commit, whose changes are gone with it, and return the new sha."""
        return self._move_head(self.repository.store.parent(self.head_sha), changes or {}, renames, message)

    def merge_base_branch(self, message: str = "Merge the base branch") -> str:
        """Merge the base branch as it is now into the head branch, and return the new sha.

        Raises GitError, with nothing moved, where they conflict.
        """
        with self.repository.lock:
            base = self.repository.branches[self.base_ref]
            tree = self.repository.store.merge(self.head_sha, base)
            return self._move_head(self.head_sha, {}, None, message, merged=base, tree=tree, base=base)

    def rebase(self, message: str = "Rebase") -> str:
        """Force-push the head branch with its commits made anew on the base branch as it is now; return the new sha.

        The last of them gets `message`. Raises GitError, with nothing moved, where they conflict, and for a merge.
        """
        with self.repository.lock:
            store, base = self.repository.store, self.repository.branches[self.base_ref]
            onto, made = base, []
            mine = store.commits_between(self.base_sha, self.head_sha)
            if any(store.has_two_parents(sha) for sha in mine):
                raise GitError("the sandbox rebases no merges")
            for sha in reversed(mine):
                tree = store.applied(sha, onto)
                onto = store.commit("rebase", {}, parent=onto, message=message, author=self.author, tree=tree)
                made.append(onto)
            self.commits += made[:-1]
            return self._point_head_at(onto, base)

    def close(self, *, merged: bool = False) -> None:
        """Close the pull request. `merged` only sets the state; the base branch stays as it is."""
        with self.repository.lock:
            self.state, self.merged = "closed", merged
            self.closed_at = self.updated_at = timestamp()

    def reopen(self) -> None:
        """Open the pull request again."""
        with self.repository.lock:
            self.state, self.merged, self.closed_at, self.updated_at = "open", False, None, timestamp()

    def ready_for_review(self) -> None:
        """A draft no more."""
        with self.repository.lock:
            self.draft, self.updated_at = False, timestamp()

    def files(self, head_sha: str | None = None) -> list[ChangedFile]:
        """What the pull request changes, at its head or at an earlier commit of it."""
        head = head_sha or self.head_sha
        with self.repository.lock:
            key = (self.base_sha, head, self.max_patch_lines)
            if key not in self._files:
                store = self.repository.store
                base = store.merge_base(self.base_sha, head)
                self._files[key] = changed_files(store, base, head, self.max_patch_lines)
            return self._files[key]

    def thread(self, comment_id: int) -> Thread:
        """The thread that a comment began. Raises KeyError for a comment that began none."""
        for thread in self.threads:
            if thread.first["id"] == comment_id:
                return thread
        raise KeyError(comment_id)

    def resolve_thread(self, comment_id: int, by: str) -> None:
        """Let somebody resolve the thread that a comment began. Raises KeyError where it began none."""
        self.thread(comment_id).resolved_by = by

    def unresolve_thread(self, comment_id: int) -> None:
        """Open a thread again. Raises KeyError for a comment that began none."""
        self.thread(comment_id).resolved_by = None

    def payload(self, action: str, event: str = "pull_request", **overrides: Any) -> Json:
        """The body of a webhook about this pull request; see `Sandbox.payload`."""
        return payloads.payload(self.repository.app, event, action, self, **overrides)

    def _move_head(
        self,
        parent: str,
        changes: Changes,
        renames: Mapping[str, str] | None,
        message: str,
        merged: str | None = None,
        tree: str | None = None,
        base: str | None = None,
    ) -> str:
        store = self.repository.store
        with self.repository.lock:
            sha = store.commit(
                self._branch,
                changes,
                parent=parent,
                message=message,
                author=self.author,
                renames=renames,
                merged=merged,
                tree=tree,
            )
            return self._point_head_at(sha, base or self.base_sha)

    def _point_head_at(self, sha: str, base: str) -> str:
        repository = self.repository
        with repository.lock:
            self.base_sha = base
            if not self.fork:
                repository.branches[self._branch] = sha
            self.before_sha, self.head_sha, self.updated_at = self.head_sha, sha, timestamp()
            self.commits.append(sha)
            return sha
