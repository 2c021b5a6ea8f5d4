"""Exceptions that end or interrupt a run."""

from datetime import datetime

from telemetry.models import Conclusion


class LeaseLost(Exception):
    """Another worker has taken over the run; leave it alone."""


class ConversationLocked(Exception):
    """GitHub refuses the review because the conversation of the pull request is locked; a check run is not refused."""


class PostPending(Exception):
    """Another run of the pull request may just have posted; from `until` on its post is visible on GitHub."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"another run may have posted; its post is visible from {until:%H:%M:%S} UTC on")
        self.until = until


class RunFinished(Exception):
    """The run ends before its review is published, with a conclusion and a reason.

    `pull_head` is the current head commit of the pull request, if the run is skipped for another reason.
    """

    def __init__(self, conclusion: Conclusion, reason: str, pull_head: str = "") -> None:
        super().__init__(reason)
        self.conclusion = conclusion
        self.reason = reason
        self.pull_head = pull_head


class PullRequestClosed(RunFinished):
    """The pull request is closed or merged: nothing of it is reviewed."""

    def __init__(self, *, merged: bool, pull_head: str) -> None:
        reason = f"the pull request is {'merged' if merged else 'closed'}"
        super().__init__(Conclusion.SKIPPED, reason, pull_head)
