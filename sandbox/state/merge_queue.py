"""Merge groups: the commits on which a merge queue asks for checks. Source: GitHub docs, "Managing a merge queue"."""

from dataclasses import dataclass

from sandbox.app import App
from sandbox.state.repository import PullRequest, Repository


@dataclass(frozen=True)
class MergeGroup:
    """A merge group of one pull request. `base_sha` is the parent: the base branch, or the group before it."""

    pull: PullRequest
    base_ref: str
    base_sha: str
    branch: str
    head_sha: str

    @property
    def repository(self) -> Repository:
        """The repository of the queue."""
        return self.pull.repository

    @property
    def app(self) -> App:
        """The App of this sandbox."""
        return self.repository.app


def create_merge_group(pull: PullRequest, after: MergeGroup | None = None) -> MergeGroup:
    """Merge a pull request into a new commit on top of the base branch, or of the group `after`.

    Raises GitError if they conflict.
    """
    repo = pull.repository
    with repo.lock:
        base_sha = after.head_sha if after else repo.branches[pull.base_ref]
        branch = f"gh-readonly-queue/{pull.base_ref}/pr-{pull.number}-{base_sha}"
        tree = repo.store.merge(base_sha, pull.head_sha)
        message = f"Merge pull request #{pull.number}"
        head_sha = repo.store.commit(
            branch, {}, parent=base_sha, message=message, author=repo.owner, merged=pull.head_sha, tree=tree
        )
        repo.branches[branch] = head_sha
        return MergeGroup(pull, pull.base_ref, base_sha, branch, head_sha)
