"""Step 7 of a run: report how it ended as a check run on the head commit, once (`post_once`).

Branch protection can require it, and people see why a commit has no review. The run has ended before, and no failure
here changes that: a check run that could not be reported stays pending (`CheckRunReport`), for a day.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from structlog.contextvars import bound_contextvars

from reviews.config.repository import RepositoryConfig
from reviews.exceptions import LeaseLost
from reviews.findings import Finding, Severity, by_severity, worth_a_line
from reviews.github.client import Client
from reviews.github.errors import GitHubError, RateLimited, Refused
from reviews.github.facts import POST_VISIBILITY_DELAY
from reviews.github.identity import is_own_app
from reviews.github.schemas import CheckRun
from reviews.models import CheckRunReport, Review
from reviews.publishing.conclusions import Verdict, is_head_of, standing_verdict, verdicts_of_others, worst_of
from reviews.publishing.markdown import check_summary, prose
from reviews.publishing.post_once import Post, post_once, send_announced
from reviews.redaction import visible
from telemetry.models import Conclusion

logger = logging.getLogger(__name__)

NAME = "Kodiai"
"""Name of the check run, which branch protection requires it by."""
MAX_ANNOTATIONS = 50
"""Annotations of one call. Source: GitHub REST docs, "Create a check run"."""
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
    empty if unknown), and not if the latest check run there is about a review against the same base: that one stands.
    """
    commit = review.reported_commit
    if not commit or conclusion == Conclusion.SUPERSEDED:
        return
    if conclusion == Conclusion.SKIPPED and (commit != pull_head or _has_review(review, commit)):
        return
    due_at = timezone.now()
    earlier = CheckRunReport.objects.filter(review=review).first()
    if earlier is not None and earlier.posting_at is not None:
        # An earlier end of this run was reported. What was just sent may not be listed yet.
        due_at = max(due_at, earlier.posting_at + POST_VISIBILITY_DELAY)
    CheckRunReport.objects.update_or_create(review=review, defaults={"due_at": due_at})


def _has_review(review: Review, commit: str) -> bool:
    """Return whether the latest check run of a commit is about a review against the base branch of this run."""
    reported = review.others().filter(head_sha=commit, check_run_report__isnull=False)
    latest = reported.order_by("-pk").first()
    return latest is not None and latest.base_ref == review.base_ref and latest.conclusion != Conclusion.SKIPPED


def renew_others(of_repository: Q, pr_number: int | None) -> None:
    """Have the check runs of other pull requests with the same head commit reported anew.

    For when a pull request leaves its commit, because it was closed or pushed to: theirs may speak for it.
    """
    about = Review.objects.filter(of_repository, pr_number=pr_number).exclude(head_sha="").select_related("delivery")
    left = about.order_by("-pk").first()
    for other in left.verdicts_of_others() if left is not None else ():
        _renew(other)


def _renew(review: Review) -> None:
    """Have the check run of a run reported anew: GitHub shows the newest one of a commit, not the last updated one."""
    report = CheckRunReport.objects.get(review=review)
    # What is just being sent must not come after it.
    in_flight = report.posting_at is not None and report.reported_at is None
    due_at = timezone.now() + (POST_VISIBILITY_DELAY if in_flight else timedelta())
    CheckRunReport.objects.filter(pk=report.pk).update(**_anew(due_at))


def _anew(due_at: datetime) -> dict[str, datetime | None]:
    return {"renewed_at": timezone.now(), "due_at": due_at, "posting_at": None, "reported_at": None}


# Report it


def report_pending() -> dict[str, int]:
    """Report the check runs that are due; return how many were reported, deferred and abandoned.

    Safe at any time and in several processes at once. An unavailable GitHub ends the round.
    """
    outcomes: Counter[Outcome] = Counter()
    for pending in CheckRunReport.objects.pending().select_related("review__delivery")[:MAX_PENDING]:
        with bound_contextvars(**pending.review.log_fields), Client(*pending.review.location) as client:
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
    later = review.others().filter(head_sha=review.reported_commit, pk__gt=review.pk)
    if later.filter(check_run_report__reported_at__isnull=False).exists():
        return _abandon(pending, "a later run has reported on this commit")
    if not client.may_write_checks():
        # Logged once for all runs, where the token is requested.
        pending.store(due_at=None)
        return Outcome.ABANDONED
    if pending.renewed_at is not None and not is_head_of(client, review):
        return _abandon(pending, "the commit is not the head of the pull request any more")
    known_verdicts = _verdicts_known(review)
    body = check_run_of(review, verdicts_of_others(client, review), pending.renewed_at)
    post_once(_as_post(client, pending, body, known_verdicts), lambda known: post(client, pending, known, body))
    return Outcome.REPORTED


def _verdicts_known(review: Review) -> list[tuple[int, str]]:
    return [(other.pk, other.conclusion) for other in review.verdicts_of_others()]


def post(client: Client, pending: CheckRunReport, known: CheckRun | None, body: Mapping[str, Any]) -> CheckRun:
    """Post the check run of a run, or update `known`, which reports an earlier end of it.

    Raises `LeaseLost`, with nothing sent, if another process reports it.
    """

    def call(announce: Callable[[], None]) -> CheckRun:
        if known is None:
            return client.create_check_run({"head_sha": pending.review.reported_commit, **body}, announce)
        return client.update_check_run(known.id, body, announce)

    return send_announced(_as_post(client, pending, body), call)


def _as_post(
    client: Client, pending: CheckRunReport, body: Mapping[str, Any], verdicts: Sequence[tuple[int, str]] = ()
) -> Post[CheckRun]:
    review = pending.review

    def confirm(_: CheckRun) -> None:
        if _verdicts_known(review) == list(verdicts):
            pending.stamp("reported_at", due_at=None)
        else:  # Another pull request got its verdict on this commit meanwhile: what was just posted may hide it.
            pending.store(**_anew(timezone.now()))

    return Post(
        delivery=review.delivery,
        announced=pending.posting_at is not None,
        announce=lambda: pending.stamp("posting_at", due_at=_held_until()),
        find=lambda: _find(client, review, body["external_id"]),
        is_current=lambda known: _reports(known, body),
        is_ours=lambda posted: posted.external_id == body["external_id"],
        confirm=confirm,
    )


def _held_until() -> datetime:
    """Until when the claim on a check run lasts: a lease, and then until GitHub lists what was sent."""
    return timezone.now() + timedelta(seconds=settings.KODIAI_LEASE_SECONDS) + POST_VISIBILITY_DELAY


def _find(client: Client, review: Review, external_id: str) -> CheckRun | None:
    """Return the App's own check run of this identity, or None."""
    for check_run in client.check_runs(review.reported_commit, NAME):
        app = check_run.app
        if check_run.external_id == external_id and app is not None and is_own_app(app.id, app.slug):
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
    log_fields = pending.review.log_fields
    logger.info("check run deferred", extra={**log_fields, "until": until, "error": str(why)})
    return outcome


def _abandon(pending: CheckRunReport, why: str) -> Outcome:
    pending.store(due_at=None)
    logger.info("check run abandoned", extra={**pending.review.log_fields, "reason": why})
    return Outcome.ABANDONED


def _finished_at(pending: CheckRunReport) -> datetime:
    finished_at = pending.renewed_at or pending.review.finished_at
    assert finished_at is not None  # noqa: S101  # none is pending before
    return finished_at


# Its contents


def external_id(review: Review, renewed_at: datetime | None = None) -> str:
    """The id by which the check run of one identity is found, and by which a re-run finds its pull request (or 0)."""
    renewal = f":{renewed_at.timestamp():.0f}" if renewed_at is not None else ""
    return f"{review.pr_number or 0}:{review.delivery.identity_digest}{renewal}"


def check_run_of(review: Review, others: Sequence[Verdict] = (), renewed_at: datetime | None = None) -> dict[str, Any]:
    """The check run of a finished run, in the form of GitHub's API.

    `others` are the verdicts of other open pull requests with this head commit: the worst of all decides.
    """
    own = standing_verdict(review)
    conclusion = worst_of(verdict.conclusion for verdict in (own, *others))
    worst = next(verdict for verdict in (own, *others) if verdict.conclusion == conclusion)
    # Where a finding of severity info fails the check, it is named: for a merge group nothing else names it.
    fails_on_all = RepositoryConfig.from_json(own.review.config).check.fails_on_all
    ranked = (by_severity if fails_on_all else worth_a_line)(own.report.findings)
    annotations = [_annotation(finding) for finding in ranked[:MAX_ANNOTATIONS]]
    more = len(ranked) - len(annotations)
    summary = check_summary(
        own.review, Conclusion(own.review.conclusion), own.report, annotated=len(annotations), more=more
    )
    body = {
        "name": NAME,
        "external_id": external_id(review, renewed_at),
        "status": "completed",
        "conclusion": conclusion,
        "started_at": _time(review.started_at or review.finished_at),
        # GitHub shows the one that was completed last. Source: GitHub REST docs, "List check runs for a Git reference".
        "completed_at": _time(renewed_at or review.finished_at),
        "output": {
            "title": f"{worst.subject}: {worst.title}" if others else worst.title,
            "summary": "\n\n".join([*_about_each([own, *others] if others else []), *_why_blocked(own), summary]),
            "annotations": annotations,
        },
    }
    # Without an address GitHub links to the App.
    return body | ({"details_url": own.review.github_review_url} if own.review.github_review_url else {})


def _about_each(verdicts: Sequence[Verdict]) -> list[str]:
    """Say which of the pull requests that share a commit fails, in two paragraphs; empty if it is not shared."""
    rows = [
        f"- {verdict.subject} {prose(f'into {verdict.review.base_ref}')} "
        f"{'fails' if verdict.conclusion == 'failure' else 'passes'}: {verdict.title}"
        for verdict in verdicts
    ]
    heading = "Several open pull requests have this commit as their head, and the worst verdict stands:"
    return [heading, "\n".join(rows)] if rows else []


def _why_blocked(verdict: Verdict) -> list[str]:
    """Say why a check run fails although its findings would let it pass; empty if it does not."""
    if verdict.conclusion != "failure" or not verdict.is_incomplete:
        return []
    return ["It does not pass, because not everything was reviewed and the repository sets `check.fail_on`."]


def _annotation(finding: Finding) -> dict[str, Any]:
    """An annotation. GitHub shows it as plain text, not as Markdown."""
    return {
        "path": finding.path,
        "start_line": finding.start_line,
        "end_line": finding.end_line,
        "annotation_level": _LEVELS[finding.severity],
        "title": visible(finding.rule),
        "message": visible(" ".join(finding.description.split())) or visible(finding.rule),
    }


def _time(moment: datetime | None) -> str | None:
    """A time in GitHub's format, in whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment is not None else None
