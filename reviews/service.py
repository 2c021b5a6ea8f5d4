"""The story of a run, from the pull request to the published review, from top to bottom."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from django.conf import settings
from django.db import transaction

from reviews import engines
from reviews.analysis.analyse import analyse_files
from reviews.commands import handlers
from reviews.config import organisation, repository
from reviews.engines.llm import budget
from reviews.enrichment import enrich
from reviews.exceptions import RunFinished
from reviews.findings import Report
from reviews.github.client import MAX_FILES, Client
from reviews.github.errors import Refused
from reviews.github.files import FileRef
from reviews.github.schemas import Blob, ChangedFile, PullRequest
from reviews.models import Delivery, DeliveryStatus, IgnoredFinding, LanguageModelUsage, Review
from reviews.publishing import check_runs
from reviews.publishing.publish import publish
from reviews.publishing.resolve_threads import sync_threads
from reviews.redaction import redact, storable
from reviews.shutdown import raise_if_stopping
from telemetry.models import Conclusion, DegradationPath
from telemetry.recording import record_execution, record_rate_limit_event

logger = logging.getLogger(__name__)


def run_review(review: Review) -> None:
    """Run a review, or resume an interrupted one at its first step without a time stamp.

    Returns when the run has a conclusion. Raises `RateLimited` if a required call met a limit, `PostPending` if another
    run of the pull request may just have posted, `WorkerStopping` if the worker is stopping, and any other exception if
    the attempt failed. Nothing is lost then: the next call resumes the run.
    """
    with Client(review.repo, review.delivery.installation_id) as client:
        if review.finished_at is None:
            if review.started_at is None:
                review.stamp("started_at")
            pull_head = ""
            try:
                conclusion, reason = _review_pull_request(client, review)
            except RunFinished as ended:
                conclusion, reason, pull_head = ended.conclusion, ended.reason, ended.pull_head
            except Refused as refused:
                conclusion, reason = Conclusion.ERROR, str(refused)
            finish(review, conclusion, reason, pull_head)
        record_finished(review)
        check_runs.report(client, review)


def _review_pull_request(client: Client, review: Review) -> tuple[Conclusion, str]:
    raise_if_stopping()
    if review.loaded_at is None:
        handlers.handle_command(client, review)
    if review.analysed_at is None:
        pull, files = load(client, review)
        raise_if_stopping()
        if review.enriched_at is None:
            enrich_author(client, review, pull)
        emit_rate_limit_event(review)
        raise_if_stopping()
        analyse(client, review, pull, files)
        raise_if_stopping()
    previous = publish(client, review, repository.RepositoryConfig.from_json(review.config).limits.comments)
    raise_if_stopping()
    sync_threads(client, review, previous)
    report = Report.from_json(review.report)
    if review.degradation_path != DegradationPath.NONE:
        return Conclusion.PARTIAL, f"degraded: {review.degradation_path}"
    if report.engine_failures:
        return Conclusion.PARTIAL, "engines failed: " + ", ".join(engine for engine, _ in report.engine_failures)
    return Conclusion.SUCCESS, ""


# 1 load


def load(client: Client, review: Review) -> tuple[PullRequest, list[ChangedFile]]:
    """Read the pull request, its files and the repository's configuration. The first call pins the head commit."""
    try:
        pull = client.pull_request(review.pr_number)
    except Refused as refused:
        if refused.status in (404, 410):
            raise RunFinished(
                Conclusion.SKIPPED, f"the pull request is gone, or the App has no access: {refused}"
            ) from refused
        raise
    if pull.state != "open":
        raise RunFinished(Conclusion.SKIPPED, "the pull request is closed", pull.head.sha)
    if review.head_sha and review.head_sha != pull.head.sha:
        raise RunFinished(Conclusion.SUPERSEDED, f"the head commit is now {pull.head.sha}")
    if _is_about_an_older_commit(review, pull.head.sha):
        raise RunFinished(Conclusion.SUPERSEDED, f"another delivery is about the head commit {pull.head.sha}")
    if _is_repetition(review, pull.head.sha):
        raise RunFinished(
            Conclusion.SKIPPED, "this head commit was reviewed already, and nobody asked for another review"
        )
    if review.loaded_at is None and (why := handlers.pause_reason(review)):
        raise RunFinished(Conclusion.SKIPPED, why)
    files = client.changed_files(review.pr_number, pull.changed_files)
    if review.loaded_at is None:
        config = _load_config(client, pull)
        problems = config.problems
        if engines.has_unknown(config.engines.disable):
            known = ", ".join(f"`{name}`" for name in engines.NAMES)
            problems = (
                *problems,
                f"`engines` of `{repository.PATH}` names one that Kodiai does not have; it has {known}.",
            )
        _end_if_not_wanted(review.delivery, config)
        review.stamp(
            "loaded_at",
            head_sha=pull.head.sha,
            pr_author=pull.user.login if pull.user else "",
            telemetry_enabled=config.telemetry.enabled,
            config=config.to_json(),
            report=Report(config_problems=problems).to_json(),
        )
    return pull, files


def _load_config(client: Client, pull: PullRequest) -> repository.RepositoryConfig:
    """Read the repository's configuration. If GitHub refuses the file (409, 451, …), use the defaults and name it.

    401 and 403 are raised: a token without the permission does not get the changed files either.
    """
    try:
        text = client.file_text(repository.PATH, pull.base.ref or pull.base.sha)
        if text is None and settings.KODIAI_ORGANISATION_DEFAULTS:
            return organisation.load_defaults(client)
        return repository.parse(text)
    except Refused as refused:
        if refused.status in (401, 403):
            raise
        problem = f"`{repository.PATH}` could not be read (GitHub answered {refused.status}); the defaults were used."
        return repository.RepositoryConfig(problems=(problem,))


def _end_if_not_wanted(delivery: Delivery, config: repository.RepositoryConfig) -> None:
    """Raise `RunFinished` if the repository's `triggers` exclude this event and nobody asked for Kodiai by name."""
    event, _, action = delivery.event_type.partition(".")
    if event == "pull_request" and not delivery.addressed and action not in config.triggers.actions:
        raise RunFinished(Conclusion.SKIPPED, f"`triggers` of `{repository.PATH}` excludes {action}")


def _is_about_an_older_commit(review: Review, head_sha: str) -> bool:
    """Return whether the head commit has changed since the event, and another run is about the present one.

    The delivery of that run came later, or earlier if this one is a redelivery.
    """
    if review.delivery.head_sha in ("", head_sha):
        return False
    acted_on = review.later_deliveries().exclude(status=DeliveryStatus.IGNORED)
    reviewed = review.others().filter(head_sha=head_sha, published_at__isnull=False)
    return acted_on.filter(head_sha=head_sha).exists() or reviewed.exists()


def _is_repetition(review: Review, head_sha: str) -> bool:
    """Return whether somebody else's review was requested at a head commit that Kodiai has reviewed.

    GitHub sends one `review_requested` per requested person, most often right after `opened`.
    """
    delivery = review.delivery
    return (
        delivery.event_type == "pull_request.review_requested"
        and not delivery.addressed
        and review.others().filter(head_sha=head_sha, published_at__isnull=False).exists()
    )


# 2 enrich


def enrich_author(client: Client, review: Review, pull: PullRequest) -> None:
    """Find the author's tier and store the outcome, which is final: no resumed run asks Search again."""
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
    """Record the rate-limit event of a run; return whether it was stored now. The only place that emits it.

    The identity is always that of the webhook which started the run (delivery id and event type), and the values are
    those stored by enrichment. So no retry, resume or replay adds a row or changes its values.
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
    # If it is not known to be stored, it stays pending: `flush_outbox` tries again until it is.
    review.stamp("rate_limit_event_tried_at" if event is None else "rate_limit_event_recorded_at")
    return event is not None


# 4 analyse


def analyse(client: Client, review: Review, pull: PullRequest, files: Sequence[ChangedFile]) -> None:
    """Analyse the changed files and store the findings on changed lines, without those that the repository ignores."""

    def contents(paths: Sequence[str], in_base: Sequence[str]) -> tuple[dict[str, Blob], dict[str, Blob]]:
        head = [FileRef(review.head_sha, path) for path in paths]
        base = [FileRef(pull.base.ref or pull.base.sha, path) for path in in_base]
        blobs = client.blobs([*head, *base])
        return (
            {ref.path: blobs[ref] for ref in head if ref in blobs},
            {ref.path: blobs[ref] for ref in base if ref in blobs},
        )

    found = analyse_files(
        files,
        contents=contents,
        config=repository.RepositoryConfig.from_json(review.config),
        ask=budget.requester(review),
    )
    ignored = set(IgnoredFinding.objects.filter(repo=review.repo).values_list("content_hash", flat=True))
    report = replace(
        found,
        findings=tuple(finding for finding in found.findings if finding.content_hash not in ignored),
        ignored=tuple(finding.content_hash for finding in found.findings if finding.content_hash in ignored),
        config_problems=Report.from_json(review.report).config_problems,
        truncated=len(files) >= MAX_FILES,
    )
    review.stamp("analysed_at", report=report.to_json())


# 6 record


def finish(review: Review, conclusion: Conclusion, reason: str = "", pull_head: str = "") -> None:
    """Give a run its conclusion, close its delivery and schedule its check run, in one transaction.

    For `pull_head` see `check_runs.schedule`.
    """
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
        check_runs.schedule(review, conclusion, pull_head)
        Delivery.objects.filter(pk=review.delivery_id).update(
            status=DeliveryStatus.FAILED if failed else DeliveryStatus.DONE, finished_at=review.finished_at
        )
    logger.info("review finished", extra={**review.delivery.log_fields, "conclusion": conclusion, "reason": reason})


def record_finished(review: Review) -> bool:
    """Record the execution of a finished run; return whether it was stored now."""
    if not review.telemetry_enabled or review.execution_recorded_at is not None:
        return False
    used = LanguageModelUsage.objects.filter(review=review).first()
    usage = used.usage if used is not None and used.usage else {"provider": "kodiai", "model": "analyzers"}
    execution = record_execution(
        delivery_id=review.delivery.delivery_id,
        event_type=review.delivery.event_type,
        repo=review.repo,
        pr_number=review.pr_number,
        pr_author=review.pr_author or None,
        conclusion=review.conclusion,
        duration_ms=round(review.duration.total_seconds() * 1000),
        **usage,
    )
    if execution is not None:
        review.stamp("execution_recorded_at")
    return execution is not None
