"""To whom a review speaks, by the author's tier: what is said to somebody who is new here, and who knows it all."""

from collections.abc import Iterable
from dataclasses import replace

from reviews.config.repository import RepositoryConfig
from reviews.findings import Finding, Report, Severity
from reviews.models import AuthorTier, Review
from telemetry.models import DegradationPath


def is_new_here(review: Review) -> bool:
    """Tell whether the author is known to be new. Where Search was given up, anybody may seem so."""
    return review.author_tier == AuthorTier.FIRST_TIME and review.degradation_path == DegradationPath.NONE


def wants_it_short(review: Review) -> bool:
    """Tell whether the author has read many reviews of this repository."""
    return review.author_tier == AuthorTier.CORE


def filter_for_author(review: Review, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """What of the findings is said to the author: a newcomer is spared those of the least severity.

    Unless the repository lets its check run fail on them: nothing fails without a reason that can be read.
    """
    fails_on_all = RepositoryConfig.from_json(review.config).check.fail_on == "info"
    if fails_on_all or not is_new_here(review):
        return tuple(findings)
    return tuple(finding for finding in findings if finding.severity != Severity.INFO)


def report_for_author(review: Review) -> Report:
    """The report of a run as its author is told it. The stored one has all findings, so that none seems gone later."""
    report = Report.from_json(review.report)
    said = filter_for_author(review, report.findings)
    return replace(report, findings=said, hidden_for_newcomer=len(report.findings) - len(said))
