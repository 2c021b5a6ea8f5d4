"""Adjust a review to the author's tier."""

from collections.abc import Iterable
from dataclasses import replace

from reviews.config.repository import RepositoryConfig
from reviews.findings import Finding, Report, Severity
from reviews.models import AuthorTier, Review
from telemetry.models import DegradationPath


def is_newcomer(review: Review) -> bool:
    """Return whether the author is known to be new; not if Search failed, because then anybody may seem so."""
    return review.author_tier == AuthorTier.FIRST_TIME and review.degradation_path == DegradationPath.NONE


def is_experienced(review: Review) -> bool:
    """Return whether the author is experienced and gets a short summary."""
    return review.author_tier == AuthorTier.CORE


def filter_for_author(review: Review, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Hide findings of severity info from a newcomer.

    Not if the repository's check run fails on them: a failure must have a visible reason.
    """
    if RepositoryConfig.from_json(review.config).check.fails_on_all or not is_newcomer(review):
        return tuple(findings)
    return tuple(finding for finding in findings if finding.severity != Severity.INFO)


def report_for_author(review: Review) -> Report:
    """The report of a run as published for its author. The stored one keeps all: none may seem resolved later."""
    report = Report.from_json(review.report)
    shown = filter_for_author(review, report.findings)
    return replace(report, findings=shown, hidden_for_newcomer=len(report.findings) - len(shown))
