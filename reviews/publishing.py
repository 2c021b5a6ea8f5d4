"""Step 5 of a run: one GitHub review, posted once."""

from typing import Any

from reviews.findings import Finding, Report
from reviews.github import Client, SubmittedReview, Unavailable
from reviews.models import Review
from reviews.payloads import app_login
from reviews.rendering import comment_body, summary_body

MAX_COMMENTS = 10
"""Inline comments of one review, the most severe first; the others go into the summary."""


def marker(review: Review) -> str:
    """The comment that tells the review of one identity from all others."""
    return f"<!-- kodiai:review {review.delivery.identity_digest} -->"


def find_published(client: Client, review: Review) -> SubmittedReview | None:
    """Return the review of this identity that GitHub already has, or None.

    Only reviews of the App itself count, and of them only the end: anybody can write a marker, and a file of that name
    may be named in a review.
    """
    for submitted in client.reviews(review.pr_number):
        author = submitted.user.login.lower() if submitted.user else ""
        if author == app_login() and (submitted.body or "").rstrip().endswith(marker(review)):
            return submitted
    return None


def post(client: Client, review: Review, report: Report, *, inline: bool = True) -> SubmittedReview:
    """Post the review of a run: a summary, and a comment on the lines of each finding.

    Without `inline` all findings go into the summary, which says that GitHub took no comments on their lines.
    Raises `LeaseLost`, with nothing sent, where the run is not ours any more.
    """
    ranked = sorted(report.findings, key=lambda finding: (finding.severity.rank, finding.path, finding.start_line))
    commented, told = (ranked[:MAX_COMMENTS], ranked[MAX_COMMENTS:]) if inline else ([], ranked)
    submitted = client.create_review(
        review.pr_number,
        commit=review.head_sha,
        body=f"{summary_body(review, report, told, refused=not inline)}\n\n{marker(review)}",
        comments=[_comment(finding) for finding in commented],
        # The last write before the post, each time: a worker that lost its claim ends here. That it is stored says that
        # GitHub may have the review from now on.
        before=lambda: review.stamp("publishing_at"),
    )
    if marker(review) not in (submitted.body or ""):
        raise Unavailable("GitHub's answer is not about the review that was posted: whether it has it is not known")
    return submitted


def _comment(finding: Finding) -> dict[str, Any]:
    comment = {"path": finding.path, "line": finding.end_line, "side": "RIGHT", "body": comment_body(finding)}
    if finding.start_line < finding.end_line:
        comment |= {"start_line": finding.start_line, "start_side": "RIGHT"}
    return comment
