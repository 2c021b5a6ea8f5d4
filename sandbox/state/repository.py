"""Repositories and their pull requests: names, branches, commits, and what was posted."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from pathlib import Path

from sandbox.app import WEB_URL, App, Json, installation_id, timestamp
from sandbox.state.diffs import MAX_PAGE_LINES, MAX_PATCH_LINES, ChangedFile, Side, changed_files
from sandbox.state.git import Changes, Content, GitError, GitStore
from sandbox.state.threads import Thread, moved_line

DEFAULT_BRANCH = "main"


class Repository:
    """A repository on which the App is installed. Made by `Sandbox.create_repository`."""

    def __init__(self, app: App, full_name: str, files: Mapping[str, Content], *, private: bool, folder: Path) -> None:
        self.app = app
        self.move(full_name)
        self.private = private
        self.id = app.next_id()
        self.created_at = timestamp()
        self.pulls: dict[int, PullRequest] = {}
        self.check_runs: list[Json] = []
        """Posted check runs, oldest first: GitHub's fields, and `annotations` as posted."""
        self.roles: dict[str, str] = {}
        """Login in lower case to role: `admin`, `maintain`, `write`, `triage`, `read`. See `role_of`."""
        self._check_suites: dict[tuple[str, int], int] = {}
        self.lock = threading.RLock()
        self.store = GitStore(folder, folder.parent, label=full_name)
        first = self.store.commit(DEFAULT_BRANCH, dict(files), parent=None, message="First commit", author=self.owner)
        self.branches = {DEFAULT_BRANCH: first}
        self._numbers = itertools.count(1)

    def move(self, full_name: str) -> None:
        """Give the repository its name, and its owner's installation; the id stays."""
        self.full_name = full_name
        self.owner, self.name = full_name.split("/")
        self.installation_id = installation_id(self.owner)

    @property
    def default_branch(self) -> str:
        """The default base of pull requests."""
        return DEFAULT_BRANCH

    @property
    def head_sha(self) -> str:
        """The newest commit of the default branch."""
        return self.branches[DEFAULT_BRANCH]

    def commit(self, changes: Changes, *, branch: str = DEFAULT_BRANCH, message: str = "Change files") -> str:
        """Commit to a branch, by default to the default branch, and return the new sha."""
        with self.lock:
            sha = self.store.commit(branch, changes, parent=self.branches[branch], message=message, author=self.owner)
            self.branches[branch] = sha
            return sha

    def open_pull_request(
        self,
        title: str = "Change files",
        body: str | None = "",
        author: str = "mona",
        author_association: str = "CONTRIBUTOR",
        draft: bool = False,
        changes: Changes | None = None,
        renames: Mapping[str, str] | None = None,
        base_ref: str = DEFAULT_BRANCH,
        head_ref: str | None = None,
        head_sha: str | None = None,
        fork: bool = False,
    ) -> PullRequest:
        """Open a pull request whose head is one commit on top of the base branch, or the existing commit `head_sha`.

        `renames` (old path to new path) apply before `changes`. With `fork` the head is in the author's fork; its
        commits are stored here all the same, as in GitHub's refs/pull.
        """
        with self.lock:
            number = next(self._numbers)
            base_sha = self.branches[base_ref]
            head_ref = head_ref or f"change-{number}"
            branch = f"pull-{number}-{head_ref}" if fork else head_ref
            head_sha = head_sha or self.store.commit(
                branch, changes or {}, parent=base_sha, message=title, author=author, renames=renames
            )
            if not fork:
                self.branches[branch] = head_sha
            pull = PullRequest(
                repository=self,
                number=number,
                title=title,
                body=body,
                author=author,
                author_association=author_association,
                draft=draft,
                base_ref=base_ref,
                base_sha=base_sha,
                head_ref=head_ref,
                head_sha=head_sha,
                branch=branch,
                fork=fork,
            )
            self.pulls[number] = pull
            return pull

    def resolve(self, ref: str) -> str | None:
        """Return the sha of a branch, of HEAD or of a commit; None if the repository has none of that name."""
        with self.lock:
            if ref == "HEAD":
                return self.head_sha
            ref = ref.removeprefix("refs/heads/").removeprefix("heads/")
            return self.branches.get(ref) or self.store.find_commit(ref)

    def check_suite_id(self, sha: str, app_id: int) -> int:
        """Return the id of the check suite of a commit and an App; there is one for each pair."""
        with self.lock:
            if (sha, app_id) not in self._check_suites:
                self._check_suites[sha, app_id] = self.app.next_id()
            return self._check_suites[sha, app_id]

    def role_of(self, login: str) -> str:
        """Return an account's role: by default `read` in a public repository, and `none` in a private one."""
        if login.lower() == self.owner.lower():
            return "admin"
        return self.roles.get(login.lower(), "none" if self.private else "read")


class PullRequest:
    """A pull request. Made by `Repository.open_pull_request`.

    `reviews`, `review_comments` and `comments` hold GitHub's JSON of what was posted, oldest first. A review also has
    `event` and `comments` as posted.
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
        self.locked = False
        """Whether the conversation is locked: the App may then post and edit nothing in it."""
        self.created_at = self.updated_at = timestamp()
        self.closed_at: str | None = None
        self.before_sha = base_sha
        """The head before the last push."""
        self.changes: Json = {}
        """What the last edit changed, as the webhook `edited` shows it."""
        self.commits = [head_sha]
        """Every commit that the pull request has had, oldest first, those that a force push dropped included."""
        self.reviews: list[Json] = []
        self.review_comments: list[Json] = []
        self.threads: list[Thread] = []
        self.comments: list[Json] = []
        self.requested_reviewers: list[str] = []
        self.labels: list[str] = []
        self.max_patch_lines = MAX_PATCH_LINES
        """Files with a longer patch have no patch; see `sandbox.state.diffs.MAX_PATCH_LINES`."""
        self.max_page_lines = MAX_PAGE_LINES
        """Lines of patches on a page of the list of files; files beyond have no patch, and `changes: 0`."""
        self._branch = branch
        self._files: dict[tuple[str, str, int], list[ChangedFile]] = {}

    @property
    def app(self) -> App:
        """The App of this sandbox."""
        return self.repository.app

    @property
    def html_url(self) -> str:
        """The page of the pull request on github.com."""
        return f"{WEB_URL}/{self.repository.full_name}/pull/{self.number}"

    @property
    def api_url(self) -> str:
        """The pull request's URL in the API of this sandbox."""
        return f"{self.app.api_url}/repos/{self.repository.full_name}/pulls/{self.number}"

    def push(
        self, changes: Changes | None = None, renames: Mapping[str, str] | None = None, message: str = "Change more"
    ) -> str:
        """Add a commit to the head branch and return its sha."""
        return self._move_head(self.head_sha, changes or {}, renames, message)

    def force_push(
        self, changes: Changes | None = None, renames: Mapping[str, str] | None = None, message: str = "Change again"
    ) -> str:
        """Replace the head commit, and drop its changes; return the new sha."""
        return self._move_head(self.repository.store.parent(self.head_sha), changes or {}, renames, message)

    def merge_base_branch(self, message: str = "Merge the base branch") -> str:
        """Merge the base branch into the head branch, and return the new sha.

        Raises GitError if they conflict; nothing is changed then.
        """
        with self.repository.lock:
            base = self.repository.branches[self.base_ref]
            tree = self.repository.store.merge(self.head_sha, base)
            return self._move_head(self.head_sha, {}, None, message, merged=base, tree=tree, base=base)

    def rebase(self, message: str = "Rebase") -> str:
        """Rebase the head branch onto the base branch, and return the new sha. New commits have `message`.

        Raises GitError for a merge and if a commit conflicts; nothing is changed then.
        """
        with self.repository.lock:
            store, base = self.repository.store, self.repository.branches[self.base_ref]
            onto, commits = base, []
            own = store.commits_between(self.base_sha, self.head_sha)
            if any(store.is_merge(sha) for sha in own):
                raise GitError("the sandbox rebases no merges")
            for sha in reversed(own):
                tree = store.cherry_pick(sha, onto)
                onto = store.commit("rebase", {}, parent=onto, message=message, author=self.author, tree=tree)
                commits.append(onto)
            self.commits += commits[:-1]
            return self._point_head_at(onto, base)

    def close(self, *, merged: bool = False) -> None:
        """Close the pull request. `merged` sets the state only; the base branch does not change."""
        with self.repository.lock:
            self.state, self.merged = "closed", merged
            self.closed_at = self.updated_at = timestamp()

    def reopen(self) -> None:
        """Reopen the pull request."""
        with self.repository.lock:
            self.state, self.merged, self.closed_at, self.updated_at = "open", False, None, timestamp()

    def ready_for_review(self) -> None:
        """End the draft."""
        with self.repository.lock:
            self.draft, self.updated_at = False, timestamp()

    def convert_to_draft(self) -> None:
        """Make the pull request a draft."""
        with self.repository.lock:
            self.draft, self.updated_at = True, timestamp()

    def retarget(self, base_ref: str) -> None:
        """Change the base branch; the head stays."""
        with self.repository.lock:
            self.changes = {"base": {"ref": {"from": self.base_ref}, "sha": {"from": self.base_sha}}}
            self.base_ref, self.base_sha = base_ref, self.repository.branches[base_ref]
            self.updated_at = timestamp()

    def files(self, head_sha: str | None = None) -> list[ChangedFile]:
        """Return the changed files at the head, or at an earlier commit of the pull request."""
        head = head_sha or self.head_sha
        with self.repository.lock:
            key = (self.base_sha, head, self.max_patch_lines)
            if key not in self._files:
                store = self.repository.store
                base = store.merge_base(self.base_sha, head)
                self._files[key] = changed_files(store, base, head, self.max_patch_lines)
            return self._files[key]

    def line_of(self, thread: Thread) -> int | None:
        """Return the line of a thread in the head commit; None if it was changed, removed or left the diff."""
        first = thread.first
        path, line = first["path"], first["original_line"]
        if line is None or first["side"] != Side.RIGHT:
            return line if first["original_commit_id"] == self.head_sha else None
        moved = moved_line(self.repository.store, first["original_commit_id"], self.head_sha, path, line)
        in_diff = {changed.right for file in self.files() if file.path == path for changed in file.lines}
        return moved if moved in in_diff else None

    def thread(self, comment_id: int) -> Thread:
        """Return the thread that a comment began. Raises KeyError if it began none."""
        for thread in self.threads:
            if thread.first["id"] == comment_id:
                return thread
        raise KeyError(comment_id)

    def resolve_thread(self, comment_id: int, by: str) -> None:
        """Resolve the thread that a comment began. Raises KeyError if it began none."""
        self.thread(comment_id).resolved_by = by

    def unresolve_thread(self, comment_id: int) -> None:
        """Reopen the thread that a comment began. Raises KeyError if it began none."""
        self.thread(comment_id).resolved_by = None

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
