"""Check that degraded reviews, and only they, say "Analysis is partial due to API limits." where people read it."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice

from django.db.models import Q, QuerySet

from reviews.github.client import Client
from reviews.github.errors import GitHubError, Refused
from reviews.models import Review
from reviews.publishing.author_tier import report_for_author
from reviews.publishing.markdown import PARTIAL, check_summary, follow_up_body, summary_body
from telemetry.models import Conclusion, DegradationPath
from telemetry.verification import Check

MAX_RENDERED = 200
"""Reviews of each kind, degraded and not, whose text is made again; the newest."""
MAX_READ = 20
"""Reviews of each kind that are read on GitHub, the newest: a call each."""
DEGRADED = ~Q(degradation_path=DegradationPath.NONE)


def check_words(since: datetime | None, *, ask_github: bool) -> Check:
    """Compare degradation with the conclusion, with what is rendered, and with what GitHub shows."""
    check = Check("published-words", f"Degraded reviews, and only they, say: {PARTIAL}")
    published = Review.objects.filter(published_at__isnull=False, analysed_at__isnull=False).order_by("-pk")
    if since is not None:
        published = published.filter(created_at__gte=since)
    check.has_data = published.exists()
    check.evidence.append(
        f"{published.count():,} reviews published, {published.filter(DEGRADED).count():,} of them degraded"
    )
    _check_conclusions(check, published)
    kinds = (published.filter(DEGRADED), published.exclude(DEGRADED))
    rendered = 0
    for review in (review for kind in kinds for review in kind.select_related("delivery")[:MAX_RENDERED]):
        rendered += 1
        for where, text in _texts(review):
            _compare(check, review, where, text)
    check.evidence.append(f"{rendered:,} rendered again from what is stored")
    if ask_github:
        _check_github(check, kinds)
    return check


def _check_conclusions(check: Check, published: QuerySet[Review]) -> None:
    """A degraded review is no success, and none that was not degraded ends as one that was."""
    wrong = published.filter(
        Q(DEGRADED, conclusion=Conclusion.SUCCESS)
        | (~DEGRADED & Q(conclusion=Conclusion.PARTIAL, conclusion_reason__startswith="degraded: "))
    )
    count = wrong.count()
    listed = wrong.select_related("delivery")[:MAX_READ] if count else []
    check.violate(
        *(
            f"{review.delivery}: concluded {review.conclusion}, degradation {review.degradation_path}."
            for review in listed
        ),
        count=count,
    )


def _texts(review: Review) -> Iterator[tuple[str, str]]:
    """Render what Kodiai says in a run's review and check run, by the code that publishes."""
    report = report_for_author(review)
    conclusion = Conclusion(review.conclusion or Conclusion.SUCCESS)
    yield "its check run", check_summary(review, conclusion, report, annotated=0, more=len(report.findings))
    if not review.is_merge_group:
        yield "its summary", summary_body(review, report, report.findings, refused=False)
        yield "its follow-up", follow_up_body(review, 1, "", None)


def _compare(check: Check, review: Review, where: str, text: str) -> None:
    degraded = review.degradation_path != DegradationPath.NONE
    if degraded and PARTIAL not in text:
        check.violate(f"{review.delivery} was degraded ({review.degradation_path}), and {where} does not say so.")
    elif not degraded and PARTIAL in text:
        check.violate(f"{review.delivery} was not degraded, and {where} says so.")


def _check_github(check: Check, kinds: Iterable[QuerySet[Review]]) -> None:
    """Read the newest reviews on GitHub. One that GitHub does not show proves nothing."""
    read = gone = 0
    for review in (review for kind in kinds for review in islice(_last_said(kind), MAX_READ)):
        try:
            with Client(*review.location) as client:
                bodies = [one.body for one in client.reviews(review.number) if one.id == review.github_review_id]
        except Refused:
            bodies = []
        except GitHubError as error:
            check.evidence.append(f"GitHub could not be read: {error}")
            break
        read, gone = read + len(bodies), gone + (not bodies)
        for body in bodies:
            _compare(check, review, f"its review {review.github_review_url}", body or "")
    check.evidence.append(f"{read} read on GitHub" + (f", {gone} not there any more" if gone else ""))


def _last_said(published: QuerySet[Review]) -> Iterator[Review]:
    """Yield runs whose review has their own words: a later run of the pull request may have updated the summary."""
    posted = published.filter(github_review_id__isnull=False, pr_number__isnull=False)
    for review in posted.select_related("delivery").iterator(chunk_size=MAX_READ):
        later = review.others().filter(Q(published_at__gt=review.published_at) | Q(finished_at__isnull=True))
        if not later.exists():
            yield review
