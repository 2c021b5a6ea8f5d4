"""Step 7 of a run: report how it ended as a check run on the head commit, once (`post_once`).

Branch protection can require it, and people see why a commit has no review. The run has ended before, and no failure
here changes that: a check run that could not be reported stays pending (`CheckRunReport`), for a day.
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
from reviews.models import CheckRunReport, Review
from reviews.publishing import author_tier
from reviews.publishing.markdown import check_summary, check_title
from reviews.publishing.post_once import Post, post_once, send_announced
from reviews.redaction import visible
from telemetry.models import Conclusion

logger = logging.getLogger(__name__)

NAME = "Kodiai"
"""Name of the check run, which branch protection requires it by."""
MAX_ANNOTATIONS = 50
"""Annotations of one call. Source: GitHub REST docs, "Create a check run"."""
NEVER = "never"
MIN_WAIT, MAX_WAIT = timedelta(seconds=30), timedelta(hours=1)
"""Between two attempts to report one."""
ABANDONED_AFTER = timedelta(days=1)
"""Time since the end of the run after which nobody needs its check run."""
MAX_PENDING = 100
"""Check runs of one round of `report_pending`."""

_LEVELS = {
    Severity.CRITICAL: "failure",
    Severity.MAJOR: "failure",
    Severity.MINOR: "warning",
    Severity.INFO: "notice",
}


class Outcome(StrEnum):
    """What became of a pending check run."""

    REPORTED = "reported"
    DEFERRED = "deferred"
    UNAVAILABLE = "GitHub unavailable"
    ABANDONED = "abandoned"
    NOT_OURS = "reported by others"


# Whether a run gets one, and when


def schedule(review: Review, conclusion: Conclusion, pull_head: str = "") -> None:
    """Store, in the transaction in which a run finishes, that its check run is pending, unless it gets none.

    A superseded run gets none. A skipped run gets one only if its commit is the head of the pull request (`pull_head`,
    empty if unknown) and has no review: a newer check run hides an older one of the same name, and `skipped` must not
    hide a failure.
    """
    commit = review.reported_commit
    if not commit or conclusion == Conclusion.SUPERSEDED:
        return
    if conclusion == Conclusion.SKIPPED and (commit != pull_head or _about(review, commit, published_at__isnull=False)):
        return
    due_at = timezone.now()
    earlier = CheckRunReport.objects.filter(review=review).first()
    if earlier is not None and earlier.posting_at is not None:
        # An earlier end of this run was reported. What was just sent may not be listed yet.
        due_at = max(due_at, earlier.posting_at + POST_VISIBILITY_DELAY)
    CheckRunReport.objects.update_or_create(review=review, defaults={"due_at": due_at})


def _about(review: Review, commit: str, **more: Any) -> bool:
    """Return whether another run of the same pull request is about this commit, and meets other conditions."""
    return review.others().filter(head_sha=commit, **more).exists()


# Report it


def report_pending() -> dict[str, int]:
    """Report the check runs that are due; return how many were reported, deferred and abandoned.

    Safe at any time and in several processes at once. An unavailable GitHub ends the round.
    """
    outcomes: Counter[Outcome] = Counter()
    for pending in CheckRunReport.objects.pending().select_related("review__delivery")[:MAX_PENDING]:
        with Client(pending.review.repo, pending.review.delivery.installation_id) as client:
            outcome = _report(client, pending)
        outcomes[outcome] += 1
        if outcome is Outcome.UNAVAILABLE:
            break
    return {
        "reported": outcomes[Outcome.REPORTED],
        "deferred": outcomes[Outcome.DEFERRED] + outcomes[Outcome.UNAVAILABLE],
        "abandoned": outcomes[Outcome.ABANDONED],
    }


def report(client: Client, review: Review) -> Outcome:
    """Report how a run ended, if its check run is due. No failure of GitHub's is raised."""
    pending = CheckRunReport.objects.pending().select_related("review__delivery").filter(review=review).first()
    return Outcome.NOT_OURS if pending is None else _report(client, pending)


def _report(client: Client, pending: CheckRunReport) -> Outcome:
    """Claim a check run that is due, and report it. Of several processes one claims it; the others leave it alone."""
    try:
        pending.store(due_at=_held_until())
        try:
            return _report_claimed(client, pending)
        except RateLimited as limited:
            return _defer(pending, limited.retry_at, limited, Outcome.DEFERRED)
        except GitHubError as error:
            # 401 is about the token, or a suspended App, and not about the check run.
            if isinstance(error, Refused) and error.status != 401:
                return _abandon(pending, str(error))
            # As long again as it has been pending, so that the waits grow.
            wait = max(MIN_WAIT, min(timezone.now() - _finished_at(pending), MAX_WAIT))
            return _defer(pending, timezone.now() + wait, error, Outcome.UNAVAILABLE)
    except LeaseLost:
        return Outcome.NOT_OURS


def _report_claimed(client: Client, pending: CheckRunReport) -> Outcome:
    review = pending.review
    if _about(review, review.reported_commit, pk__gt=review.pk, check_run_report__reported_at__isnull=False):
        return _abandon(pending, "a later run has reported on this commit")
    if not client.may_write_checks():
        # Logged once for all runs, where the token is requested.
        pending.store(due_at=None)
        return Outcome.ABANDONED
    post_once(_as_post(client, pending), lambda known: post(client, pending, known))
    return Outcome.REPORTED


def post(client: Client, pending: CheckRunReport, known: CheckRun | None) -> CheckRun:
    """Post the check run of a run, or update `known`, which reports an earlier end of it.

    Raises `LeaseLost`, with nothing sent, if another process reports it.
    """
    body = check_run_of(pending.review)

    def call(announce: Callable[[], None]) -> CheckRun:
        if known is None:
            return client.create_check_run({"head_sha": pending.review.reported_commit, **body}, announce)
        return client.update_check_run(known.id, body, announce)

    return send_announced(_as_post(client, pending), call)


def _as_post(client: Client, pending: CheckRunReport) -> Post[CheckRun]:
    review = pending.review
    return Post(
        delivery=review.delivery,
        announced=pending.posting_at is not None,
        announce=lambda: pending.stamp("posting_at", due_at=_held_until()),
        find=lambda: _find(client, review),
        is_current=lambda known: _reports(known, check_run_of(review)),
        is_ours=lambda posted: posted.external_id == external_id(review),
        confirm=lambda _: pending.stamp("reported_at", due_at=None),
    )


def _held_until() -> datetime:
    """Until when the claim on a check run lasts: a lease, and then until GitHub lists what was sent."""
    return timezone.now() + timedelta(seconds=settings.KODIAI_LEASE_SECONDS) + POST_VISIBILITY_DELAY


def _find(client: Client, review: Review) -> CheckRun | None:
    """Return the App's own check run of this identity, or None."""
    for check_run in client.check_runs(review.reported_commit, NAME):
        app = check_run.app
        if check_run.external_id == external_id(review) and app is not None and is_own_app(app.id, app.slug):
            return check_run
    return None


def _reports(known: CheckRun, body: Mapping[str, Any]) -> bool:
    """Return whether GitHub's check run reports this end of the run, and not an earlier one that failed."""
    completed = known.completed_at.astimezone(UTC) if known.completed_at else None
    reported = (known.conclusion, _time(completed), known.output.title)
    return reported == (body["conclusion"], body["completed_at"], body["output"]["title"])


def _defer(pending: CheckRunReport, until: datetime, why: GitHubError, outcome: Outcome) -> Outcome:
    """Try again later; abandon it if that is more than `ABANDONED_AFTER` after the run finished."""
    if until > _finished_at(pending) + ABANDONED_AFTER:
        return _abandon(pending, str(why))
    # What may just have been posted is looked for once GitHub lists it.
    pending.store(due_at=max(until, timezone.now() + POST_VISIBILITY_DELAY))
    log_fields = pending.review.delivery.log_fields
    logger.info("check run deferred", extra={**log_fields, "until": until, "error": str(why)})
    return outcome


def _abandon(pending: CheckRunReport, why: str) -> Outcome:
    pending.store(due_at=None)
    logger.info("check run abandoned", extra={**pending.review.delivery.log_fields, "reason": why})
    return Outcome.ABANDONED


def _finished_at(pending: CheckRunReport) -> datetime:
    finished_at = pending.review.finished_at
    assert finished_at is not None  # noqa: S101  # none is pending before
    return finished_at


# Its contents


def external_id(review: Review) -> str:
    """The id by which the check run of one identity is found, and by which a re-run finds its pull request."""
    return f"{review.pr_number}:{review.delivery.identity_digest}"


def check_run_of(review: Review) -> dict[str, Any]:
    """The check run of a finished run, in the form of GitHub's API."""
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
    # Without an address GitHub links to the App.
    return body | ({"details_url": review.github_review_url} if review.github_review_url else {})


def conclusion_of(conclusion: Conclusion, report: Report, fail_on: str = NEVER) -> str:
    """GitHub's conclusion for that of a run. Only `fail_on` (a severity) can make it block a merge.

    If an engine failed, no findings is not a success.
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
    """An annotation. GitHub shows it as plain text, not as Markdown."""
    return {
        "path": finding.path,
        "start_line": finding.start_line,
        "end_line": finding.end_line,
        "annotation_level": _LEVELS[finding.severity],
        "title": visible(finding.rule),
        "message": visible(" ".join(finding.message.split())) or visible(finding.rule),
    }


def _time(moment: datetime | None) -> str | None:
    """A time in GitHub's format, in whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment is not None else None
