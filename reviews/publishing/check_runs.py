"""Step 7 of a run: one check run on the head commit, so that branch protection can ask for it, and people see why
nothing was said.

It is politeness: the run has ended before it is told, and no failure here changes that. What GitHub could not be told
stays owed (`Review.check_run_due_at`) and is tried again for a day.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.utils import timezone

from reviews.config.repository import RepositoryConfig
from reviews.exceptions import LeaseLost
from reviews.findings import Finding, Report, Severity, by_severity
from reviews.github.client import Client
from reviews.github.errors import GitHubError, RateLimited, Refused
from reviews.github.facts import POST_VISIBILITY_DELAY
from reviews.github.identity import is_own_app
from reviews.github.schemas import CheckRun
from reviews.models import Review
from reviews.publishing import author_tier
from reviews.publishing.markdown import check_summary, check_title
from reviews.publishing.post_once import Post, post_once, send_announced
from reviews.redaction import visible
from telemetry.models import Conclusion

logger = logging.getLogger(__name__)

NAME = "Kodiai"
"""What branch protection asks for by this name."""
MAX_ANNOTATIONS = 50
"""Annotations of one call. Source: GitHub REST docs, "Create a check run"."""
NEVER = "never"
MIN_WAIT, MAX_WAIT = timedelta(seconds=30), timedelta(hours=1)
ABANDONED_AFTER = timedelta(days=1)
MAX_PENDING = 100
"""Check runs that one round tells."""

_LEVELS = {
    Severity.CRITICAL: "failure",
    Severity.MAJOR: "failure",
    Severity.MINOR: "warning",
    Severity.INFO: "notice",
}


class Outcome(StrEnum):
    """What became of a check run that was owed."""

    REPORTED = "reported"
    DEFERRED = "deferred"
    UNAVAILABLE = "GitHub away"
    ABANDONED = "abandoned"
    NOT_OURS = "reported by others"


# Whether one is owed


def due_at(review: Review, conclusion: Conclusion, pull_head: str = "") -> datetime | None:
    """When the check run of a run that ends in this moment is to be told; None where it gets none.

    A run that was superseded gets none, and one that was skipped only where its commit is the pull request's head
    (`pull_head`, as far as that is known) and has no review: a newer check run of the same name hides the older one,
    and one that was skipped must not hide one that failed.
    """
    commit = review.reported_commit
    if not commit or conclusion == Conclusion.SUPERSEDED:
        return None
    if conclusion == Conclusion.SKIPPED and (commit != pull_head or _about(review, commit, published_at__isnull=False)):
        return None
    now = timezone.now()
    if review.check_run_posting_at is None:
        return now
    # It was told that the run had failed, before it was queued again. What was just sent may not be listed yet.
    return max(now, review.check_run_posting_at + POST_VISIBILITY_DELAY)


def _about(review: Review, commit: str, **more: Any) -> bool:
    """Tell whether another run of the same pull request is about this commit, and more."""
    others = Review.objects.filter(repo=review.repo, pr_number=review.pr_number, head_sha=commit)
    return others.exclude(pk=review.pk).filter(**more).exists()


# Telling it


def report_pending() -> dict[str, int]:
    """Tell GitHub the check runs that are owed; return what became of how many.

    Safe at any time and in many processes at once. A GitHub that is away ends the round.
    """
    outcomes: Counter[Outcome] = Counter()
    for review in Review.objects.pending_check_run().select_related("delivery")[:MAX_PENDING]:
        with Client(review.repo, review.delivery.installation_id) as client:
            outcome = report(client, review)
        outcomes[outcome] += 1
        if outcome is Outcome.UNAVAILABLE:
            break
    deferred = outcomes[Outcome.DEFERRED] + outcomes[Outcome.UNAVAILABLE]
    return {
        "reported": outcomes[Outcome.REPORTED],
        "deferred": deferred,
        "abandoned": outcomes[Outcome.ABANDONED],
    }


def report(client: Client, review: Review) -> Outcome:
    """Tell GitHub how a run ended, if that is owed now. Whatever GitHub does, nothing is raised.

    Of several processes one sets `check_run_due_at` to a time to come and goes on; the others leave the check run to
    it until then.
    """
    due = review.check_run_due_at
    if due is None or due > timezone.now():
        return Outcome.NOT_OURS
    try:
        review.store_check_run(check_run_due_at=_held_until())
        try:
            return _report(client, review)
        except RateLimited as limited:
            return _defer(review, limited.retry_at, limited, Outcome.DEFERRED)
        except GitHubError as error:
            # 401 is about the token, or the App that was suspended for a while, and not about the check run.
            if isinstance(error, Refused) and error.status != 401:
                return _abandon(review, str(error))
            assert review.finished_at is not None  # noqa: S101  # nothing is owed before
            # As long again as it has been owed, so that the waits grow.
            wait = max(MIN_WAIT, min(timezone.now() - review.finished_at, MAX_WAIT))
            return _defer(review, timezone.now() + wait, error, Outcome.UNAVAILABLE)
    except LeaseLost:
        return Outcome.NOT_OURS


def _report(client: Client, review: Review) -> Outcome:
    if _about(review, review.reported_commit, pk__gt=review.pk, check_run_reported_at__isnull=False):
        return _abandon(review, "a later run has told of this commit")
    if not client.may_write_checks():
        # Said once for all runs, where the token was asked for.
        review.store_check_run(check_run_due_at=None)
        return Outcome.ABANDONED
    post_once(_as_post(client, review), lambda known: post(client, review, known))
    return Outcome.REPORTED


def post(client: Client, review: Review, known: CheckRun | None) -> CheckRun:
    """Post the check run of a run, or update `known`, which reports an earlier end of it.

    Raises `LeaseLost`, with nothing sent, if another process reports it.
    """
    body = check_run_of(review)

    def call(announce: Callable[[], None]) -> CheckRun:
        if known is None:
            return client.create_check_run({"head_sha": review.reported_commit, **body}, announce)
        return client.update_check_run(known.id, body, announce)

    return send_announced(_as_post(client, review), call)


def _as_post(client: Client, review: Review) -> Post[CheckRun]:
    return Post(
        delivery=review.delivery,
        announced=review.check_run_posting_at is not None,
        announce=lambda: review.stamp_check_run("check_run_posting_at", check_run_due_at=_held_until()),
        find=lambda: _find(client, review),
        is_current=lambda known: _reports(known, check_run_of(review)),
        is_ours=lambda posted: posted.external_id == external_id(review),
        confirm=lambda _: review.stamp_check_run("check_run_reported_at", check_run_due_at=None),
    )


def _held_until() -> datetime:
    """Until when who tells a check run has it: for a lease, as a run, and then GitHub has settled what was sent."""
    return timezone.now() + timedelta(seconds=settings.KODIAI_LEASE_SECONDS) + POST_VISIBILITY_DELAY


def _find(client: Client, review: Review) -> CheckRun | None:
    """The check run of this identity that GitHub has. Only the App's own count: anybody can write an external id."""
    for check_run in client.check_runs(review.reported_commit, NAME):
        app = check_run.app
        if check_run.external_id == external_id(review) and app is not None and is_own_app(app.id, app.slug):
            return check_run
    return None


def _reports(known: CheckRun, body: Mapping[str, Any]) -> bool:
    """Tell whether GitHub's check run is about this end of the run, and not about an earlier one that failed."""
    completed = known.completed_at.astimezone(UTC) if known.completed_at else None
    said = (known.conclusion, _time(completed), known.output.title)
    return said == (body["conclusion"], body["completed_at"], body["output"]["title"])


def _defer(review: Review, until: datetime, why: GitHubError, outcome: Outcome) -> Outcome:
    """Try again later; give it up, and say so, where that is too late for anybody to look at it."""
    assert review.finished_at is not None  # noqa: S101  # nothing is owed before
    if until > review.finished_at + ABANDONED_AFTER:
        return _abandon(review, str(why))
    # What may just have been posted is looked for once GitHub has settled.
    review.store_check_run(check_run_due_at=max(until, timezone.now() + POST_VISIBILITY_DELAY))
    logger.info("check run deferred", extra={**review.delivery.log_fields, "until": until, "error": str(why)})
    return outcome


def _abandon(review: Review, why: str) -> Outcome:
    review.store_check_run(check_run_due_at=None)
    logger.info("check run abandoned", extra={**review.delivery.log_fields, "reason": why})
    return Outcome.ABANDONED


# What it says


def external_id(review: Review) -> str:
    """What tells the check run of one identity from all others, and names its pull request to a re-run."""
    return f"{review.pr_number}:{review.delivery.identity_digest}"


def check_run_of(review: Review) -> dict[str, Any]:
    """The check run of a run that has ended, as GitHub takes it."""
    report = author_tier.report_for_author(review) if review.report else Report()
    conclusion = Conclusion(review.conclusion)
    shown = report if conclusion in (Conclusion.SUCCESS, Conclusion.PARTIAL) else Report()
    ranked = by_severity(shown.findings)
    annotations = [_annotation(finding) for finding in ranked[:MAX_ANNOTATIONS]]
    body = {
        "name": NAME,
        "external_id": external_id(review),
        "status": "completed",
        "conclusion": conclusion_of(conclusion, shown, RepositoryConfig.from_json(review.config).check.fail_on),
        "started_at": _time(review.started_at or review.finished_at),
        "completed_at": _time(review.finished_at),
        "output": {
            "title": check_title(conclusion, shown),
            "summary": check_summary(review, conclusion, shown, annotated=len(annotations)),
            "annotations": annotations,
        },
    }
    # Without an address GitHub shows that of the App.
    return body | ({"details_url": review.github_review_url} if review.github_review_url else {})


def conclusion_of(conclusion: Conclusion, report: Report, fail_on: str = NEVER) -> str:
    """GitHub's conclusion for that of a run. Nothing but `fail_on` (a severity) makes it one that blocks a merge.

    Findings that an engine which failed did not make are not known to be none: that is no success.
    """
    if conclusion == Conclusion.SKIPPED:
        return "skipped"
    if conclusion not in (Conclusion.SUCCESS, Conclusion.PARTIAL):
        return "neutral"
    worst = min((finding.severity.rank for finding in report.findings), default=None)
    if fail_on != NEVER and worst is not None and worst <= Severity(fail_on).rank:
        return "failure"
    return "neutral" if report.findings or report.engine_failures else "success"


def _annotation(finding: Finding) -> dict[str, Any]:
    """An annotation: plain text, of which GitHub makes no Markdown."""
    return {
        "path": finding.path,
        "start_line": finding.start_line,
        "end_line": finding.end_line,
        "annotation_level": _LEVELS[finding.severity],
        "title": visible(finding.rule),
        "message": visible(" ".join(finding.message.split())) or visible(finding.rule),
    }


def _time(moment: datetime | None) -> str | None:
    """A moment as GitHub writes it, in whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment is not None else None
