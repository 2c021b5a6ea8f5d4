"""Step 5 of a run: publish the review, once (`post_once`).

The first review of a pull request has a summary and comments on lines. A later run comments on new findings only and
updates that one summary; with nothing new, it posts no review of its own.
"""

import logging
from collections.abc import Sequence
from typing import Any

from django.db.models import Q

from reviews.exceptions import RunFinished
from reviews.findings import Finding, by_severity
from reviews.github.client import Client
from reviews.github.errors import Refused
from reviews.github.identity import is_app_login
from reviews.github.schemas import SubmittedReview
from reviews.models import DeliveryStatus, Review
from reviews.publishing import author_tier
from reviews.publishing.grouping import Remark, group_findings
from reviews.publishing.markdown import comment_body, follow_up_body, summary_body
from reviews.publishing.post_once import Post, post_once, send_announced
from reviews.publishing.previous_comments import PreviousComments, read, review_markers, with_markers
from telemetry.models import Conclusion

logger = logging.getLogger(__name__)

MAX_MARKERS = 200
"""Markers that the summary keeps, the latest."""


def marker(review: Review) -> str:
    """The hidden line by which the review of one identity is found."""
    return f"<!-- kodiai:review {review.delivery.identity_digest} -->"


def find_published(client: Client, review: Review) -> SubmittedReview | None:
    """Return the App's own review that has the marker of this identity, or None."""
    for submitted in client.reviews(review.pr_number):
        if is_app_login(submitted.author) and marker(review) in review_markers(submitted.body or ""):
            return submitted
    return None


def _as_post(client: Client, review: Review) -> Post[SubmittedReview]:
    return Post(
        delivery=review.delivery,
        announced=review.publishing_at is not None,
        announce=lambda: review.stamp("publishing_at"),
        find=lambda: find_published(client, review),
        is_ours=lambda submitted: marker(review) in (submitted.body or ""),
        confirm=lambda submitted: review.stamp(
            "published_at", github_review_id=submitted.stored_id, github_review_url=submitted.html_url or ""
        ),
    )


def publish(client: Client, review: Review, max_comments: int) -> PreviousComments | None:
    """Publish the review of a run, once.

    At most `max_comments` comments on lines, for the most severe new findings, equal ones grouped; the others are in
    the summary. Return the comments that it was published beside; None if it was published before. Raises `RunFinished`
    if the pull request is no longer what was analysed, and what `post_once` raises.
    """
    if review.published_at is not None:
        return None
    previous = None

    def send(_: SubmittedReview | None) -> SubmittedReview:
        nonlocal previous
        _end_if_overtaken(client, review)
        previous = read(client, review)
        return _submit(client, review, previous, max_comments)

    post_once(_as_post(client, review), send)
    return previous


def _submit(client: Client, review: Review, previous: PreviousComments, max_comments: int) -> SubmittedReview:
    """Submit summary and comments; if GitHub rejects a comment (422), submit the summary alone.

    GitHub says neither which comment it rejects nor whether it was a comment. If the head commit was pushed away, the
    run is superseded. Otherwise new findings go into the summary: a review without comments is better than none.
    """
    try:
        return _submit_with(client, review, previous, group_findings(previous.new)[:max_comments])
    except Refused as refused:
        if refused.status != 422:
            raise
        logger.info("GitHub rejected the review", extra={**review.delivery.log_fields, "error": str(refused)})
        end_if_moved_on(client, review)
        if not previous.new:
            raise
    # GitHub said that it stored nothing. To look costs one call, a second review costs trust.
    return find_published(client, review) or _submit_with(client, review, previous, (), refused=True)


def _submit_with(
    client: Client, review: Review, previous: PreviousComments, commented: Sequence[Remark], *, refused: bool = False
) -> SubmittedReview:
    report = author_tier.report_for_author(review)
    on_lines = {finding for remark in commented for finding in remark.findings}
    on_lines |= {finding for finding, _ in previous.existing}
    rest = [finding for finding in by_severity(report.findings) if finding not in on_lines]
    body = summary_body(review, report, rest, refused=refused, resolved=previous.resolved)
    comments = [
        _comment(remark.finding, f"{comment_body(remark)}\n\n{marker_of_it}")
        for remark, marker_of_it in with_markers(commented, previous.posted)
    ]
    summary = previous.summary
    asked = review.delivery.addressed
    if summary is not None:
        try:
            updated = update_summary(client, review, summary, body, with_marker=not (previous.new or asked))
        except Refused as error:
            if error.status != 404 or any(kept.id == summary.id for kept in client.reviews(review.pr_number)):
                raise
            logger.warning("summary was deleted, posting a new one", extra=review.delivery.log_fields)
        else:
            if not (previous.new or asked):
                return updated
            new, since = len(previous.new), previous.since
            body = follow_up_body(review, new, since, updated.html_url or summary.html_url, refused=refused)
    return post(client, review, body, comments)


def update_summary(
    client: Client, review: Review, summary: SubmittedReview, body: str, *, with_marker: bool
) -> SubmittedReview:
    """Update the one summary. It keeps the markers at its end; `with_marker` adds that of this run.

    The update is idempotent, so whether an earlier attempt made it does not matter.
    """
    kept = [kept for kept in review_markers(summary.body or "") if kept != marker(review)]
    markers = [*kept, marker(review)] if with_marker else kept
    return client.update_review(
        review.pr_number,
        summary.id,
        "\n".join([f"{body}\n", *markers[-MAX_MARKERS:]]),
        before=_as_post(client, review).announce,
    )


def post(client: Client, review: Review, body: str, comments: Sequence[dict[str, Any]]) -> SubmittedReview:
    """Post the review of a run, with its marker. Raises `LeaseLost`, with nothing sent, if the claim was lost."""
    return send_announced(
        _as_post(client, review),
        lambda announce: client.create_review(
            review.pr_number,
            commit=review.head_sha,
            body=f"{body}\n\n{marker(review)}",
            comments=comments,
            before=announce,
        ),
    )


def _end_if_overtaken(client: Client, review: Review) -> None:
    """Raise `RunFinished` if the pull request was closed, or got another head commit, since it was loaded.

    GitHub is asked only if a later delivery says so: deliveries can be late and in any order.
    """
    moved_on = ~Q(status=DeliveryStatus.IGNORED) & ~Q(head_sha__in=("", review.head_sha))
    if review.later_deliveries().filter(moved_on | Q(event_type="pull_request.closed")).exists():
        end_if_moved_on(client, review)


def end_if_moved_on(client: Client, review: Review) -> None:
    """Ask GitHub; raise `RunFinished` if the pull request is no longer what was analysed."""
    pull = client.pull_request(review.pr_number)
    if pull.state != "open":
        raise RunFinished(Conclusion.SKIPPED, "the pull request was closed", pull.head.sha)
    if pull.head.sha != review.head_sha:
        raise RunFinished(Conclusion.SUPERSEDED, f"the head commit is now {pull.head.sha}")


def _comment(finding: Finding, body: str) -> dict[str, Any]:
    comment = {"path": finding.path, "line": finding.end_line, "side": "RIGHT", "body": body}
    if finding.start_line < finding.end_line:
        comment |= {"start_line": finding.start_line, "start_side": "RIGHT"}
    return comment
