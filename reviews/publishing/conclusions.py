"""What a check run says about a commit: the verdict of a run, and the worst one of the pull requests that share it.

docs/verification/conclusions.md is the table of `conclusion_of`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from reviews.config.repository import CheckSection, RepositoryConfig
from reviews.findings import Report, Severity
from reviews.github.client import Client
from reviews.github.errors import Refused
from reviews.models import Review
from reviews.publishing import author_tier
from reviews.publishing.markdown import check_title
from telemetry.models import Conclusion

WORST_FIRST = ("failure", "neutral", "success", "skipped")
"""GitHub's conclusions that Kodiai uses. Only a failure blocks a merge. Source: GitHub docs, "About status checks"."""
REVIEWED = (Conclusion.SUCCESS, Conclusion.PARTIAL)
MAX_SHARING = 10
"""Other pull requests with the same head commit that a check run speaks for, with one call each."""


def conclusion_of(conclusion: Conclusion, report: Report, check: CheckSection) -> str:
    """Return GitHub's conclusion for that of a run. It is a failure only if the repository sets `fail_on`.

    A review that failed, or read only a part of the changes, is incomplete: it is never a success.
    """
    if conclusion == Conclusion.SKIPPED:
        return "skipped"
    incomplete = check.incomplete if check.may_fail else "neutral"
    if conclusion not in REVIEWED:
        return incomplete
    worst = min((finding.severity.rank for finding in report.findings), default=None)
    if check.may_fail and worst is not None and worst <= Severity(check.fail_on).rank:
        return "failure"
    if report.is_incomplete:
        return incomplete
    return "neutral" if report.findings else "success"


@dataclass(frozen=True)
class Verdict:
    """What a finished run says about its commit. `report` is empty unless the run made a review."""

    review: Review
    report: Report
    conclusion: str

    @property
    def title(self) -> str:
        """The verdict in one line of plain text."""
        return check_title(Conclusion(self.review.conclusion), self.report)

    @property
    def subject(self) -> str:
        """What the run was about; GitHub links the number of a pull request."""
        return "The merge group" if self.review.is_merge_group else f"#{self.review.pr_number}"

    @property
    def is_incomplete(self) -> bool:
        """Return whether a part of the changes, or all of them, should have been reviewed and was not."""
        failed = self.review.conclusion in (Conclusion.ERROR, Conclusion.TIMEOUT)
        return failed or self.report.is_incomplete


def worst_of(conclusions: Iterable[str]) -> str:
    """Return the worst of GitHub's conclusions about one commit."""
    return min(conclusions, key=WORST_FIRST.index)


def verdict_of(review: Review) -> Verdict:
    """Return what a finished run says about its commit."""
    conclusion = Conclusion(review.conclusion)
    reviewed = conclusion in REVIEWED and review.report
    report = author_tier.report_for_author(review) if reviewed else Report()
    return Verdict(review, report, conclusion_of(conclusion, report, _check_section(review)))


def _check_section(review: Review) -> CheckSection:
    """The `check` section that applies to a run; if it failed before it read the file, that of the latest other run."""
    config = review.config
    if not review.head_sha:
        loaded = Review.objects.filter(review.of_repository, loaded_at__isnull=False).order_by("-pk")
        config = loaded.values_list("config", flat=True).first() or {}
    return RepositoryConfig.from_json(config).check


def standing_verdict(review: Review) -> Verdict:
    """Return the verdict of a run; of a skipped one that of the latest review of the same commit and base, if any.

    A skipped run knows nothing new: it must not hide a failure.
    """
    if review.conclusion == Conclusion.SKIPPED:
        earlier = review.others().filter(
            head_sha=review.reported_commit, base_ref=review.base_ref, finished_at__isnull=False
        )
        spoken = earlier.exclude(conclusion__in=(Conclusion.SKIPPED, Conclusion.SUPERSEDED))
        review = spoken.select_related("delivery").order_by("-pk").first() or review
    return verdict_of(review)


def verdicts_of_others(client: Client, review: Review) -> list[Verdict]:
    """Return the verdicts of other open pull requests with the commit of a run as their head. Raises `GitHubError`.

    GitHub shows one check run of a name for each commit, the latest, and so to all of them. It is asked about each: a
    pull request may be closed, or have another head by now.
    """
    others = review.verdicts_of_others()[:MAX_SHARING]
    return [standing_verdict(other) for other in others if is_head_of(client, other)]


def is_head_of(client: Client, review: Review) -> bool:
    """Ask GitHub whether the pull request of a run is open and still has the reported commit as its head."""
    try:
        pull = client.pull_request(review.number)
    except Refused as refused:
        if refused.status in (404, 410):
            return False
        raise
    return pull.state == "open" and pull.head.sha == review.reported_commit
