"""A repository of the sandbox: its files, its commits, its pull requests."""

import itertools
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox import payloads
from sandbox.app import App, Json, installation_id, timestamp
from sandbox.state.git import Changes, Content, GitStore
from sandbox.state.pulls import PullRequest

DEFAULT_BRANCH = "main"


class Repository:
    """A repository on which the App is installed. Made by `Sandbox.create_repository`."""

    def __init__(self, app: App, full_name: str, files: Mapping[str, Content], *, private: bool, folder: Path) -> None:
        self.app = app
        self.full_name = full_name
        self.owner, self.name = full_name.split("/")
        self.private = private
        self.id = app.next_id()
        self.installation_id = installation_id(self.owner)
        self.created_at = timestamp()
        self.pulls: dict[int, PullRequest] = {}
        self.check_runs: list[Json] = []
        """What was posted, oldest first: GitHub's fields, and `annotations` as they were posted."""
        self.roles: dict[str, str] = {}
        """Login in lower case to role (`admin`, `maintain`, `write`, `triage`, `read`); others may only read."""
        self._check_suites: dict[tuple[str, int], int] = {}
        self.lock = threading.RLock()
        self.store = GitStore(folder, folder.parent, label=full_name)
        first = self.store.commit(DEFAULT_BRANCH, dict(files), parent=None, message="First commit", author=self.owner)
        self.branches = {DEFAULT_BRANCH: first}
        self._numbers = itertools.count(1)

    @property
    def default_branch(self) -> str:
        """The branch that pull requests go to unless they say otherwise."""
        return DEFAULT_BRANCH

    @property
    def head_sha(self) -> str:
        """The newest commit of the default branch."""
        return self.branches[DEFAULT_BRANCH]

    def commit(self, changes: Changes, *, branch: str = DEFAULT_BRANCH, message: str = "Change files") -> str:
        """Commit to a branch (the default branch unless told) and return the new sha."""
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
        fork: bool = False,
    ) -> PullRequest:
        """Open a pull request whose head is one commit on top of the base branch.

        Content is str, bytes or Symlink, None deletes; `renames` come before the changes. `fork` says that the head
        lies in the author's own fork (its commits are kept here all the same, as GitHub keeps refs/pull).
        """
        with self.lock:
            number = next(self._numbers)
            base_sha = self.branches[base_ref]
            head_ref = head_ref or f"change-{number}"
            branch = f"pull-{number}-{head_ref}" if fork else head_ref
            head_sha = self.store.commit(
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
        """The sha of a branch, of HEAD or of a commit that this repository has; None if there is no such thing."""
        with self.lock:
            if ref == "HEAD":
                return self.head_sha
            ref = ref.removeprefix("refs/heads/").removeprefix("heads/")
            return self.branches.get(ref) or self.store.find_commit(ref)

    def check_suite_id(self, sha: str, app_id: int) -> int:
        """The id of the check suite of a commit and an App, of which there is one."""
        with self.lock:
            if (sha, app_id) not in self._check_suites:
                self._check_suites[sha, app_id] = self.app.next_id()
            return self._check_suites[sha, app_id]

    def role_of(self, login: str) -> str:
        """What somebody may do here. A stranger may read what is public, and nothing else."""
        if login.lower() == self.owner.lower():
            return "admin"
        return self.roles.get(login.lower(), "none" if self.private else "read")

    def payload(self, event: str, action: str | None = None, **overrides: Any) -> Json:
        """The body of a webhook about this repository (`installation`, `ping`)."""
        return payloads.payload(self.app, event, action, self, **overrides)
