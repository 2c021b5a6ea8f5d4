"""Step 5 of a run: what is to be said is said, once.

The first review of a pull request is a whole one: a summary, and comments on lines. A later one comments on what is new
and brings that one summary up to date; where nothing is new, it does nothing but that.
"""

import logging
from collections.abc import Sequence
from typing import Any

from django.db.models import Q

from reviews.exceptions import RunFinished
from reviews.findings import Finding, by_severity
from reviews.github.client import Client
from reviews.github.errors import Refused, Unavailable
from reviews.github.identity import is_app_login
from reviews.github.schemas import SubmittedReview
from reviews.models import DeliveryStatus, Review
from reviews.publishing import author_tier
from reviews.publishing.grouping import Remark, group_findings
from reviews.publishing.markdown import comment_body, follow_up_body, summary_body
from reviews.publishing.previous_comments import PreviousComments, read, review_markers, with_markers
from telemetry.models import Conclusion

logger = logging.getLogger(__name__)

MAX_MARKERS = 200
"""Markers of runs that the summary keeps, the latest."""


def marker(review: Review) -> str:
    """The comment that tells the review of one identity from all others."""
    return f"<!-- kodiai:review {review.delivery.identity_digest} -->"


def find_published(client: Client, review: Review) -> SubmittedReview | None:
    """Return the review that has the marker of this identity, or None.

    Only reviews of the App itself count: anybody can write a marker.
    """
    for submitted in client.reviews(review.pr_number):
        if is_app_login(submitted.author) and marker(review) in review_markers(submitted.body or ""):
            return submitted
    return None


def publish(client: Client, review: Review, most_comments: int) -> PreviousComments | None:
    """Publish the run, once: after an attempt of unknown outcome, GitHub is asked before anything is said.

    At most so many comments on lines, for the most severe of what is new, equal ones folded into one; the rest is in
    the summary. Returns the conversation that it was said in, None where it was published before. Raises `RunFinished`
    where the pull request is not what was analysed any more, and `LeaseLost`, with nothing sent, where the run is not
    ours any more.
    """
    if review.published_at is not None:
        return None
    submitted = find_published(client, review) if _may_be_published(review) else None
    previous = None
    if submitted is None:
        _end_if_overtaken(client, review)
        previous = read(client, review)
        submitted = _say(client, review, previous, most_comments)
    review.stamp("published_at", github_review_id=submitted.stored_id, github_review_url=submitted.html_url or "")
    return previous


def _say(client: Client, review: Review, previous: PreviousComments, most_comments: int) -> SubmittedReview:
    """Say what is to be said; where GitHub does not take comments (422), find out why and do what helps.

    GitHub says neither which comment it was nor whether it was one. A head commit that was pushed away is not part of
    the pull request any more: then the run is superseded. Else what is new goes into the summary, because a review that
    is read beats comments that are not there.
    """
    try:
        return _say_once(client, review, previous, group_findings(previous.new)[:most_comments])
    except Refused as refused:
        if refused.status != 422:
            raise
        logger.info("GitHub did not take the review", extra={**review.delivery.log_fields, "error": str(refused)})
        end_if_moved_on(client, review)
        if not previous.new:
            raise
    # GitHub said that it has stored nothing. A second review is worse than to ask.
    return find_published(client, review) or _say_once(client, review, previous, (), refused=True)


def _say_once(
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
            logger.warning("the summary is gone, a new one is posted", extra=review.delivery.log_fields)
        else:
            if not (previous.new or asked):
                return updated
            new, since = len(previous.new), previous.since
            body = follow_up_body(review, new, since, updated.html_url or summary.html_url, refused=refused)
    return post(client, review, body, comments)


def update_summary(
    client: Client, review: Review, summary: SubmittedReview, body: str, *, with_marker: bool
) -> SubmittedReview:
    """Bring the one summary up to date. The markers at its end stay, and this run's may join them.

    To do it twice is to do it once, so that nobody has to find out whether it was done.
    """
    kept = [kept for kept in review_markers(summary.body or "") if kept != marker(review)]
    markers = [*kept, marker(review)] if with_marker else kept
    return client.update_review(
        review.pr_number,
        summary.id,
        "\n".join([f"{body}\n", *markers[-MAX_MARKERS:]]),
        # The last write before it is sent, each time: a worker that lost its claim ends here.
        before=lambda: review.stamp("publishing_at"),
    )


def post(client: Client, review: Review, body: str, comments: Sequence[dict[str, Any]]) -> SubmittedReview:
    """Post the review of a run, with its marker. Raises `LeaseLost`, with nothing sent, where the run is not ours."""
    submitted = client.create_review(
        review.pr_number,
        commit=review.head_sha,
        body=f"{body}\n\n{marker(review)}",
        comments=comments,
        # The last write before the post, each time: a worker that lost its claim ends here. That it is stored says that
        # GitHub may have the review from now on.
        before=lambda: review.stamp("publishing_at"),
    )
    if marker(review) not in (submitted.body or ""):
        raise Unavailable("GitHub's answer is not about the review that was posted: whether it has it is not known")
    return submitted


def _may_be_published(review: Review) -> bool:
    """Tell whether GitHub may have the review of this identity already.

    After an attempt of unknown outcome; and where the delivery was missed.
    """
    return review.publishing_at is not None or review.delivery.redelivery_requested


def _end_if_overtaken(client: Client, review: Review) -> None:
    """Raise `RunFinished` if the pull request was closed, or its head commit has moved on, since it was loaded.

    GitHub is asked only where a later delivery says so, since deliveries can come late and in any order.
    """
    moved_on = ~Q(status=DeliveryStatus.IGNORED) & ~Q(head_sha__in=("", review.head_sha))
    if review.later_deliveries().filter(moved_on | Q(event_type="pull_request.closed")).exists():
        end_if_moved_on(client, review)


def end_if_moved_on(client: Client, review: Review) -> None:
    """Ask GitHub, and raise `RunFinished` if the pull request is not what was analysed any more."""
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
