"""What ends or interrupts a run, raised where it is known and caught where it is decided."""

from datetime import datetime

from telemetry.models import Conclusion


class LeaseLost(Exception):
    """Another worker has taken over the run: whoever hears this must leave it alone."""


class PostPending(Exception):
    """Another run of the pull request may just have posted: what it said is seen on GitHub from `until` on."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"another run may have posted, which is seen from {until:%H:%M:%S} UTC on")
        self.until = until


class RunFinished(Exception):
    """The run is over before its review was published: with which conclusion, and why.

    `pull_head` is the head commit that the pull request still has, where the run is skipped for another reason.
    """

    def __init__(self, conclusion: Conclusion, reason: str, pull_head: str = "") -> None:
        super().__init__(reason)
        self.conclusion = conclusion
        self.reason = reason
        self.pull_head = pull_head
