"""Step 5 of a run: publish the review, once (`post_once`).

The first review of a pull request has a summary and comments on lines. A later run comments on new findings only and
updates that one summary; with nothing new, it posts no separate review. A run that found nothing needs no review
where its check run says so: `reviews.when_clean` of `.kodiai.yml`.
"""

import logging
from collections.abc import Sequence
from typing import Any

from django.db.models import Q

from reviews.config.repository import RepositoryConfig
from reviews.exceptions import ConversationLocked, PullRequestClosed, RunFinished
from reviews.findings import Finding, Report, by_severity
from reviews.github.client import Client
from reviews.github.errors import Refused
from reviews.github.schemas import PullRequest, SubmittedReview
from reviews.models import DeliveryStatus, Review
from reviews.publishing import author_tier
from reviews.publishing.grouping import Remark, group_findings
from reviews.publishing.markdown import comment_body, follow_up_body, summary_body
from reviews.publishing.post_once import Post, post_once, send_announced
from reviews.publishing.previous_comments import (
    PreviousComments,
    may_have_posted_before,
    posted_findings,
    read,
    review_markers,
    with_markers,
)
from reviews.publishing.resolve_threads import stays_collapsed
from telemetry.models import Conclusion

logger = logging.getLogger(__name__)

MAX_MARKERS = 200
"""Markers that the summary keeps, the latest."""


DRAFT = "the pull request is a draft; it is reviewed as soon as it is ready for review"
_OVERTAKING = ("pull_request.closed", "pull_request.edited", "pull_request.converted_to_draft")
"""Events, other than a push, after which a pull request may not be as it was loaded any more."""


def marker(review: Review) -> str:
    """The hidden line by which the review of one identity is found."""
    return f"<!-- kodiai:review {review.delivery.identity_digest} -->"


def find_published(client: Client, review: Review) -> SubmittedReview | None:
    """Return the App's own review that has the marker of this identity, or None."""
    for submitted in client.reviews(review.number):
        if marker(review) in review_markers(submitted.body or "") and client.is_own(submitted.author):
            return submitted
    return None


def _as_post(client: Client, review: Review) -> Post[SubmittedReview | None]:
    """The review of a run as something to post. None stands for a run that needs no separate review."""
    return Post(
        delivery=review.delivery,
        announced=review.publishing_at is not None,
        announce=lambda: review.stamp("publishing_at"),
        find=lambda: find_published(client, review),
        is_ours=lambda submitted: submitted is not None and marker(review) in (submitted.body or ""),
        confirm=lambda submitted: review.stamp(
            "published_at",
            github_review_id=submitted.stored_id if submitted else None,
            github_review_url=(submitted.html_url if submitted else None) or "",
        ),
    )


def publish(client: Client, review: Review) -> PreviousComments | None:
    """Publish the review of a run, once.

    At most `limits.comments` comments on lines, for the most severe new findings, equal ones grouped; the others are in
    the summary. Return the comments that it was published beside; None if it was published before. Raises `RunFinished`
    if the pull request is no longer what was analysed, `ConversationLocked`, and what `post_once` raises.
    """
    if review.published_at is not None:
        return None
    previous = None
    config = RepositoryConfig.from_json(review.config)

    def send(_: SubmittedReview | None) -> SubmittedReview | None:
        nonlocal previous
        _end_if_overtaken(client, review)
        previous = read(client, review)
        if _is_said_by_check(client, review, previous, config.reviews.when_clean):
            return None
        return _submit(client, review, previous, config.limits.comments)

    try:
        post_once(_as_post(client, review), send)
    except Refused as refused:
        if refused.status == 403 and client.pull_request(review.number).locked:
            # GitHub has no review of this run, so no other run has to wait for one.
            review.store(publishing_at=None)
            raise ConversationLocked from refused
        raise
    return previous


def _is_said_by_check(client: Client, review: Review, previous: PreviousComments, when_clean: str) -> bool:
    """Return whether a run found nothing and needs no review: the check run says so, nobody asked, nothing is to edit.

    The first review of a pull request is posted all the same, unless `when_clean` is `check`.
    """
    if review.delivery.addressed or previous.summary is not None or Report.from_json(review.report).findings:
        return False
    return (when_clean == "check" or may_have_posted_before(review)) and client.may_write_checks()


def _submit(client: Client, review: Review, previous: PreviousComments, max_comments: int) -> SubmittedReview | None:
    """Submit summary and comments; if GitHub rejects a comment (422), submit the summary alone.

    GitHub says neither which comment it rejects nor whether it was a comment. If the head commit was pushed away, the
    run is superseded. Otherwise new findings go into the summary: a review without comments is better than none.
    """
    try:
        return _submit_with(client, review, previous, group_findings(previous.new)[:max_comments])
    except Refused as refused:
        if refused.status != 422:
            raise
        logger.info("GitHub rejected the review", extra={**review.log_fields, "error": str(refused)})
        end_if_moved_on(client, review)
        if not previous.new:
            raise
    # GitHub said that it stored nothing. To look costs one call, a second review costs trust.
    stored = find_published(client, review)
    if stored is not None and _has_comments(client, review, previous):
        return stored
    return _submit_with(client, review, previous, (), refused=True, stored=stored)


def _has_comments(client: Client, review: Review, previous: PreviousComments) -> bool:
    """Return whether GitHub has stored the comments of a review that it answered 422 to."""
    threads, _ = client.threads_and_reviews(review.number)
    return len(list(posted_findings(threads))) > len(previous.posted)


def _submit_with(
    client: Client,
    review: Review,
    previous: PreviousComments,
    commented: Sequence[Remark],
    *,
    refused: bool = False,
    stored: SubmittedReview | None = None,
) -> SubmittedReview | None:
    """Update the summary, and post what is new. Return None if nothing is new and GitHub refuses to edit the summary.

    `stored` is this run's review if GitHub has it without its comments.
    """
    report = author_tier.report_for_author(review)
    on_lines = {finding for remark in commented for finding in remark.findings}
    on_lines |= {finding for finding, posted in previous.existing if not stays_collapsed(posted.thread)}
    rest = [finding for finding in by_severity(report.findings) if finding not in on_lines]
    body = summary_body(review, report, rest, refused=refused, resolved=previous.resolved)
    comments = [
        _comment(remark.finding, f"{comment_body(remark)}\n\n{marker_of_it}")
        for remark, marker_of_it in with_markers(commented, previous.posted)
    ]
    summary = previous.summary
    speaks = bool(previous.new) or review.delivery.addressed
    if summary is not None:
        try:
            updated = update_summary(client, review, summary, body, with_marker=not speaks)
        except Refused as error:
            # The refused edit costs the edit. Where a review is posted, it has what the summary should have had.
            logger.warning("summary not updated", extra={**review.log_fields, "error": str(error)})
            if not speaks and not _is_deleted(client, review, summary, error):
                return None
        else:
            if not speaks:
                return updated
            new, since = len(previous.new), previous.since
            body = follow_up_body(review, new, since, updated.html_url or summary.html_url, refused=refused)
    if stored is not None:
        try:
            return _update(client, review, stored, f"{body}\n\n{marker(review)}")
        except Refused as error:
            logger.warning("review not updated", extra={**review.log_fields, "error": str(error)})
            return stored
    return post(client, review, body, comments)


def _is_deleted(client: Client, review: Review, summary: SubmittedReview, error: Refused) -> bool:
    """Return whether GitHub refused to edit a summary because somebody deleted it."""
    return error.status == 404 and all(kept.id != summary.id for kept in client.reviews(review.number))


def update_summary(
    client: Client, review: Review, summary: SubmittedReview, body: str, *, with_marker: bool
) -> SubmittedReview:
    """Update the one summary. It keeps the markers at its end; `with_marker` adds that of this run.

    The update is idempotent, so whether an earlier attempt made it does not matter.
    """
    kept = [kept for kept in review_markers(summary.body or "") if kept != marker(review)]
    markers = [*kept, marker(review)] if with_marker else kept
    return _update(client, review, summary, "\n".join([f"{body}\n", *markers[-MAX_MARKERS:]]))


def _update(client: Client, review: Review, submitted: SubmittedReview, body: str) -> SubmittedReview:
    announce = _as_post(client, review).announce
    return client.update_review(review.number, submitted.id, body, before=announce)


def post(client: Client, review: Review, body: str, comments: Sequence[dict[str, Any]]) -> SubmittedReview | None:
    """Post the review of a run, with its marker. Raises `LeaseLost`, with nothing sent, if the claim was lost."""
    return send_announced(
        _as_post(client, review),
        lambda announce: client.create_review(
            review.number,
            commit=review.head_sha,
            body=f"{body}\n\n{marker(review)}",
            comments=comments,
            before=announce,
        ),
    )


def _end_if_overtaken(client: Client, review: Review) -> None:
    """Raise `RunFinished` if the pull request is not as it was loaded any more.

    GitHub is asked only if a later delivery says so: deliveries can be late and in any order.
    """
    moved_on = ~Q(status=DeliveryStatus.IGNORED) & ~Q(head_sha__in=("", review.head_sha))
    if review.later_deliveries().filter(moved_on | Q(event_type__in=_OVERTAKING)).exists():
        end_if_moved_on(client, review)


def end_if_moved_on(client: Client, review: Review) -> None:
    """Ask GitHub; raise `RunFinished` if the pull request is no longer what was analysed."""
    end_if_changed(review, client.pull_request(review.number))


def end_if_changed(review: Review, pull: PullRequest) -> None:
    """Raise `RunFinished` if the pull request is closed, or not as it was loaded any more."""
    if pull.state != "open":
        raise PullRequestClosed(merged=pull.merged, pull_head=pull.head.sha)
    if review.loaded_at is None:
        return
    if pull.head.sha != review.head_sha:
        raise RunFinished(Conclusion.SUPERSEDED, f"the head commit is now {pull.head.sha}")
    if pull.base.ref != review.base_ref:
        raise RunFinished(Conclusion.SUPERSEDED, f"the base branch is now {pull.base.ref}")
    if pull.draft and review.delivery.is_automatic:
        raise RunFinished(Conclusion.SKIPPED, DRAFT, pull.head.sha)


def _comment(finding: Finding, body: str) -> dict[str, Any]:
    comment = {"path": finding.path, "line": finding.end_line, "side": "RIGHT", "body": body}
    if finding.start_line < finding.end_line:
        comment |= {"start_line": finding.start_line, "start_side": "RIGHT"}
    return comment
