"""The story of a run, from the pull request to the published review. Read it from top to bottom."""

import logging
import re
from collections.abc import Sequence
from dataclasses import replace

from django.db import transaction
from django.db.models import Q, QuerySet

from reviews import config, engines
from reviews.diff import BadPatch, Hunk, changed, hunks_of, within_one
from reviews.engines.analyzer import clashing, safe_path
from reviews.enrichment import enrich
from reviews.findings import Finding, LeftOut, LeftOutReason, Report
from reviews.github import MAX_FILES, ChangedFile, Client, PullRequest, Refused, SubmittedReview
from reviews.models import Delivery, DeliveryStatus, MissedDelivery, Review
from reviews.publishing import find_published, post
from reviews.redaction import redact, storable
from reviews.stopping import between_steps
from telemetry.models import Conclusion, DegradationPath
from telemetry.recording import record_execution, record_rate_limit_event

logger = logging.getLogger(__name__)

LINK_TARGET = re.compile(r"[\w./@+-]+")
"""What a symbolic link holds: a path, without a line break. GitHub's list of changed files does not tell links apart,
and no program is written like that."""
LONGEST_RANGE = 10
"""Lines of an inline comment. A remark on more of them stands on the first that was changed."""


class RunEnded(Exception):
    """The run is over before its review was published: with which conclusion, and why."""

    def __init__(self, conclusion: Conclusion, reason: str) -> None:
        super().__init__(reason)
        self.conclusion = conclusion
        self.reason = reason


def run_review(review: Review) -> None:
    """Run a review, or go on with one that was interrupted, at its first step without a time stamp.

    Returns when the run has a conclusion. Raises `RateLimited` when a required call met a limit, `Stopped` when the
    worker was told to stop, and any other exception when the attempt failed; then nothing is lost, and the next call
    goes on from there.
    """
    if review.finished_at is None:
        if review.started_at is None:
            review.stamp("started_at")
        try:
            conclusion, reason = _review_pull_request(review)
        except RunEnded as ended:
            conclusion, reason = ended.conclusion, ended.reason
        except Refused as refused:
            conclusion, reason = Conclusion.ERROR, str(refused)
        finish(review, conclusion, reason)
    record_finished(review)


def _review_pull_request(review: Review) -> tuple[Conclusion, str]:
    with Client(review.repo, review.delivery.installation_id) as client:
        between_steps()
        if review.analysed_at is None:
            pull, files = load(client, review)
            between_steps()
            if review.enriched_at is None:
                enrich_author(client, review, pull)
            emit_rate_limit_event(review)
            between_steps()
            analyse(client, review, files)
            between_steps()
        publish(client, review)
    report = Report.from_json(review.report)
    if review.degradation_path != DegradationPath.NONE:
        return Conclusion.PARTIAL, f"degraded: {review.degradation_path}"
    if report.engine_failures:
        return Conclusion.PARTIAL, "engines failed: " + ", ".join(engine for engine, _ in report.engine_failures)
    return Conclusion.SUCCESS, ""


# 1 load


def load(client: Client, review: Review) -> tuple[PullRequest, list[ChangedFile]]:
    """Read the pull request, its files and the repository's configuration; the first time pins the head commit."""
    try:
        pull = client.pull_request(review.pr_number)
    except Refused as refused:
        if refused.status in (404, 410):
            raise RunEnded(
                Conclusion.SKIPPED, f"the pull request is gone, or the App may not see it: {refused}"
            ) from refused
        raise
    if pull.state != "open":
        raise RunEnded(Conclusion.SKIPPED, "the pull request is closed")
    if review.head_sha and review.head_sha != pull.head.sha:
        raise RunEnded(Conclusion.SUPERSEDED, f"the head commit is now {pull.head.sha}")
    if _is_about_an_older_commit(review, pull.head.sha):
        raise RunEnded(Conclusion.SUPERSEDED, f"another delivery is about the head commit {pull.head.sha}")
    if _is_repetition(review, pull.head.sha):
        raise RunEnded(Conclusion.SKIPPED, "this head commit was reviewed already, and nobody asked Kodiai again")
    files = client.changed_files(review.pr_number)
    if review.loaded_at is None:
        settled = _settled(client, pull)
        review.stamp(
            "loaded_at",
            head_sha=pull.head.sha,
            pr_author=pull.user.login if pull.user else "",
            telemetry_enabled=settled.telemetry.enabled,
            report=Report(config_problems=settled.problems).to_json(),
        )
    return pull, files


def _settled(client: Client, pull: PullRequest) -> config.RepositoryConfig:
    """Read the repository's configuration. One that GitHub withholds (409, 451, …) is as one that cannot be read.

    A token without the permission (401, 403) is no such case: it would not get the files either.
    """
    try:
        return config.parse(client.file_text(config.PATH, pull.base.ref or pull.base.sha))
    except Refused as refused:
        if refused.status in (401, 403):
            raise
        problem = f"`{config.PATH}` was not handed over (GitHub answered {refused.status}); the defaults were used."
        return config.RepositoryConfig(problems=(problem,))


def _later_deliveries(review: Review) -> QuerySet[Delivery]:
    """Deliveries about the same pull request that came after that of this run."""
    return Delivery.objects.filter(pk__gt=review.delivery_id, repo=review.repo, pr_number=review.pr_number)


def _is_about_an_older_commit(review: Review, head_sha: str) -> bool:
    """Tell whether the head commit has moved on since the event, and another run is about the one that it is now.

    That run's delivery came later; or earlier, where GitHub sent this one again after it was missed.
    """
    if review.delivery.head_sha in ("", head_sha):
        return False
    acted_on = _later_deliveries(review).exclude(status=DeliveryStatus.IGNORED)
    reviewed = Review.objects.filter(
        repo=review.repo, pr_number=review.pr_number, head_sha=head_sha, published_at__isnull=False
    ).exclude(pk=review.pk)
    return acted_on.filter(head_sha=head_sha).exists() or reviewed.exists()


def _is_repetition(review: Review, head_sha: str) -> bool:
    """Tell whether a review was requested of somebody else at a head commit that Kodiai has reviewed.

    GitHub sends one `review_requested` for each person who is asked, most often right after `opened`.
    """
    delivery = review.delivery
    return (
        delivery.event_type == "pull_request.review_requested"
        and not delivery.addressed
        and Review.objects.filter(
            repo=review.repo,
            pr_number=review.pr_number,
            head_sha=head_sha,
            published_at__isnull=False,
        ).exists()
    )


# 2 enrich


def enrich_author(client: Client, review: Review, pull: PullRequest) -> None:
    """Find the author's tier and store the outcome. From here on it is final: no resumed run asks Search again."""
    found = enrich(client, repo=client.repo, author=review.pr_author, association=pull.author_association)
    review.stamp(
        "enriched_at",
        author_tier=found.author_tier,
        cache_hit_rate=found.cache_hit_rate,
        skipped_queries=found.skipped_queries,
        retry_attempts=found.retry_attempts,
        degradation_path=found.degradation_path,
    )


# 3 record


def emit_rate_limit_event(review: Review) -> bool:
    """Record the rate-limit event of a run; return whether it is stored. The one place from which it is emitted.

    The identity is that of the webhook that started the run (delivery id and event type), on every retry, resume and
    replay, and the values are those stored by enrichment: so there can be no second row and no other values.
    """
    if not review.telemetry_enabled or review.rate_limit_event_recorded_at is not None:
        return False
    event = record_rate_limit_event(
        delivery_id=review.delivery.delivery_id,
        event_type=review.delivery.event_type,
        repo=review.repo,
        pr_number=review.pr_number,
        cache_hit_rate=review.cache_hit_rate,
        skipped_queries=review.skipped_queries,
        retry_attempts=review.retry_attempts,
        degradation_path=review.degradation_path,
    )
    # Not known to be stored means owed: `record_owed` tries again until it is.
    review.stamp("rate_limit_event_tried_at" if event is None else "rate_limit_event_recorded_at")
    return event is not None


# 4 analyse


def analyse(client: Client, review: Review, files: Sequence[ChangedFile]) -> None:
    """Look at the changed files and store what was found on changed lines."""
    hunks: dict[str, tuple[Hunk, ...]] = {}
    left_out: list[LeftOut] = []
    present = [file for file in files if file.status != "removed"]
    with_engine = [file for file in present if engines.readable(file.path)]
    clashes = clashing({file.path for file in with_engine})
    for file in with_engine:
        if not safe_path(file.path) or file.path in clashes:
            left_out.append(LeftOut(storable(file.path, 1024), LeftOutReason.UNSAFE_PATH))
        elif file.patch is None:
            left_out.append(LeftOut(file.path, LeftOutReason.NO_DIFF))
        else:
            try:
                hunks[file.path] = hunks_of(file.patch)
            except BadPatch:
                left_out.append(LeftOut(file.path, LeftOutReason.NO_DIFF))
    texts: dict[str, str] = {}
    blobs = client.blobs(list(hunks), review.head_sha) if hunks else {}
    for path in hunks:
        blob = blobs.get(path)
        if blob is None:
            left_out.append(LeftOut(path, LeftOutReason.GONE))
        elif blob.truncated:
            left_out.append(LeftOut(path, LeftOutReason.TOO_LARGE))
        elif blob.text is None:
            left_out.append(LeftOut(path, LeftOutReason.NOT_TEXT))
        elif LINK_TARGET.fullmatch(blob.text):
            left_out.append(LeftOut(path, LeftOutReason.LINK))
        else:
            texts[path] = blob.text
    found, ran, failures = engines.analyse(texts)
    said = [placed for finding in found if (placed := _placed(finding, hunks[finding.path]))]
    report = replace(
        Report.from_json(review.report),
        changed_files=len(files),
        looked_at=tuple(sorted(texts)),
        findings=tuple(said),
        outside_changes=len(found) - len(said),
        left_out=tuple(left_out),
        without_engine=len(present) - len(with_engine),
        engines=tuple(ran),
        engine_failures=tuple(failures),
        truncated=len(files) >= MAX_FILES,
    )
    review.stamp("analysed_at", report=report.to_json())


def _placed(finding: Finding, hunks: Sequence[Hunk]) -> Finding | None:
    """Put a finding on lines that GitHub takes a comment on; None if it is not about a changed line."""
    if not changed(hunks, finding.start_line, finding.end_line):
        return None
    fix = finding.suggestion
    if (
        fix is not None
        and changed(hunks, fix.start_line, fix.end_line)
        and within_one(hunks, fix.start_line, fix.end_line)
    ):
        # GitHub replaces the lines that the comment stands on.
        return replace(finding, start_line=fix.start_line, end_line=fix.end_line)
    start, end = finding.start_line, finding.end_line
    if end - start >= LONGEST_RANGE or not within_one(hunks, start, end):
        start = end = min(line for hunk in hunks for line in hunk.added if start <= line <= end)
    return replace(finding, start_line=start, end_line=end, suggestion=None)


# 5 publish


def publish(client: Client, review: Review) -> None:
    """Publish the review, once: after an attempt of unknown outcome, GitHub is asked before it is posted."""
    if review.published_at is not None:
        return
    submitted = find_published(client, review) if _may_be_published(review) else None
    if submitted is None:
        _end_if_overtaken(client, review)
        submitted = _post(client, review)
    review.stamp("published_at", github_review_id=submitted.stored_id, github_review_url=submitted.html_url or "")


def _may_be_published(review: Review) -> bool:
    """Tell whether GitHub may have the review of this identity already.

    After an attempt of unknown outcome; and where the inbox had to ask for the delivery, because it may have been
    restored from a backup that does not know of a run that was made.
    """
    identity = {"delivery_id": review.delivery.delivery_id, "event_type": review.delivery.event_type}
    return review.publishing_at is not None or MissedDelivery.objects.filter(**identity).exists()


def _end_if_overtaken(client: Client, review: Review) -> None:
    """Raise `RunEnded` if the pull request was closed, or its head commit has moved on, since it was loaded.

    GitHub is asked only where a later delivery says so, since deliveries can come late and in any order.
    """
    moved_on = ~Q(status=DeliveryStatus.IGNORED) & ~Q(head_sha__in=("", review.head_sha))
    if _later_deliveries(review).filter(moved_on | Q(event_type="pull_request.closed")).exists():
        _end_if_moved_on(client, review)


def _end_if_moved_on(client: Client, review: Review) -> None:
    """Ask GitHub, and raise `RunEnded` if the pull request is not what was analysed any more."""
    pull = client.pull_request(review.pr_number)
    if pull.state != "open":
        raise RunEnded(Conclusion.SKIPPED, "the pull request was closed")
    if pull.head.sha != review.head_sha:
        raise RunEnded(Conclusion.SUPERSEDED, f"the head commit is now {pull.head.sha}")


def _post(client: Client, review: Review) -> SubmittedReview:
    """Post the review; where GitHub does not take it as it is (422), find out why and do what helps.

    GitHub says neither which comment it was nor whether it was one. A head commit that was pushed away is not part of
    the pull request any more: then the run is superseded. Else all findings go into the summary, because a review that
    is read beats comments that are not there.
    """
    report = Report.from_json(review.report)
    try:
        return post(client, review, report)
    except Refused as refused:
        if refused.status != 422:
            raise
        logger.info("GitHub did not take the review", extra={**review.delivery.log_fields, "error": str(refused)})
        _end_if_moved_on(client, review)
        if not report.findings:
            raise
    # GitHub said that it has stored nothing. A second review is worse than to ask.
    return find_published(client, review) or post(client, review, report, inline=False)


# 6 record


def finish(review: Review, conclusion: Conclusion, reason: str = "") -> None:
    """Give a run its conclusion and close its delivery, in one transaction."""
    failed = conclusion in (Conclusion.ERROR, Conclusion.TIMEOUT)
    reason = redact(reason)
    with transaction.atomic():
        review.stamp(
            "finished_at",
            conclusion=conclusion,
            conclusion_reason=storable(reason),
            deferred_until=None,
            lease_owner="",
            lease_expires_at=None,
        )
        Delivery.objects.filter(pk=review.delivery_id).update(
            status=DeliveryStatus.FAILED if failed else DeliveryStatus.DONE, finished_at=review.finished_at
        )
    logger.info("review finished", extra={**review.delivery.log_fields, "conclusion": conclusion, "reason": reason})


def record_finished(review: Review) -> bool:
    """Record the execution row of a finished run; return whether it is stored."""
    if not review.telemetry_enabled or review.execution_recorded_at is not None:
        return False
    execution = record_execution(
        delivery_id=review.delivery.delivery_id,
        event_type=review.delivery.event_type,
        repo=review.repo,
        pr_number=review.pr_number,
        pr_author=review.pr_author or None,
        provider="kodiai",
        model="analyzers",
        conclusion=review.conclusion,
        duration_ms=round(review.duration.total_seconds() * 1000),
    )
    if execution is not None:
        review.stamp("execution_recorded_at")
    return execution is not None
