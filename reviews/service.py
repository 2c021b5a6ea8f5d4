"""The story of a run, from the pull request to the published review, from top to bottom."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from django.db import transaction

from reviews import cache, engines
from reviews.analysis.analyse import analyse_files
from reviews.analysis.pull_request_rules import excluded_by
from reviews.commands import handlers
from reviews.config import organisation, repository
from reviews.engines.llm import budget
from reviews.enrichment import enrich
from reviews.exceptions import ConversationLocked, PullRequestClosed, RunFinished
from reviews.findings import Report
from reviews.github.client import MAX_COMPARED_FILES, MAX_FILES, Client
from reviews.github.errors import GitHubError, Refused, Unreachable
from reviews.github.files import FileRef
from reviews.github.identity import is_allowed_bot
from reviews.github.schemas import Blob, ChangedFile, PullRequest, Ref
from reviews.models import Delivery, DeliveryStatus, IgnoredFinding, LanguageModelUsage, Review
from reviews.publishing import check_runs
from reviews.publishing.publish import DRAFT, end_if_changed, publish
from reviews.publishing.resolve_threads import sync_threads
from reviews.redaction import redact, storable
from reviews.shutdown import raise_if_stopping
from telemetry.fields import MAX_INTEGER
from telemetry.models import Conclusion, DegradationPath
from telemetry.recording import record_execution, record_rate_limit_event

logger = logging.getLogger(__name__)

LOCKED = "the conversation is locked, so the check run alone reports"
ALWAYS_WANTED = ("edited", "converted_to_draft")
"""Actions that no `triggers` exclude: a verdict on another base branch must not stand."""
WANTED_ONCE = ("ready_for_review", "reopened")
"""Actions that `triggers` exclude only for a reviewed commit: else a draft, or a push to a closed pull request, would
be a way around the review."""


def run_review(review: Review) -> None:
    """Run a review, or resume an interrupted one at its first step without a time stamp.

    Returns when the run has a conclusion. Raises `RateLimited` if a required call met a limit, `Unreachable` if GitHub
    could not be reached for one, `PostPending` if another run of the pull request may just have posted,
    `WorkerStopping` if the worker is stopping, and any other exception if the attempt failed. Nothing is lost then: the
    next call resumes the run.
    """
    with Client(*review.location) as client:
        if review.finished_at is None:
            if review.started_at is None:
                review.stamp("started_at")
            pull_head = ""
            try:
                conclusion, reason = _review(client, review)
            except RunFinished as ended:
                conclusion, reason, pull_head = ended.conclusion, ended.reason, ended.pull_head
            except Refused as refused:
                conclusion, reason = _why_refused(client, refused)
            finish(review, conclusion, reason, pull_head)
        record_finished(review)
        check_runs.report(client, review)


def _why_refused(client: Client, refused: Refused) -> tuple[Conclusion, str]:
    """Return what a refusal means: an error, or that the App does not have the repository any more.

    Raises `Unreachable`: a refusal in the middle of an outage means nothing.
    """
    try:
        lost = not client.has_access()
    except Unreachable:
        raise
    except GitHubError:
        lost = False
    if lost:
        return Conclusion.SKIPPED, f"the App has no access to the repository any more: {refused}"
    return Conclusion.ERROR, str(refused)


def _review(client: Client, review: Review) -> tuple[Conclusion, str]:
    raise_if_stopping()
    if review.loaded_at is None:
        handlers.handle_command(client, review)
    try:
        return _review_changes(client, review)
    except PullRequestClosed as closed:
        handlers.answer_closed(client, review, closed.reason)
        raise


def _review_changes(client: Client, review: Review) -> tuple[Conclusion, str]:
    if review.analysed_at is None:
        pull, files = load(client, review)
        raise_if_stopping()
        if review.enriched_at is None:
            enrich_author(client, review, pull)
        emit_rate_limit_event(review)
        raise_if_stopping()
        analyse(client, review, pull, files)
        raise_if_stopping()
    conclusion, reason = _conclusion(review)
    if review.is_merge_group:
        # It has no conversation: its check run says everything.
        return conclusion, reason
    try:
        previous = publish(client, review)
    except ConversationLocked:
        return conclusion, f"{reason}; {LOCKED}" if reason else LOCKED
    raise_if_stopping()
    sync_threads(client, review, previous)
    return conclusion, reason


def _conclusion(review: Review) -> tuple[Conclusion, str]:
    """The conclusion of an analysed run, and why it is partial."""
    report = Report.from_json(review.report)
    if review.degradation_path != DegradationPath.NONE:
        return Conclusion.PARTIAL, f"degraded: {review.degradation_path}"
    if report.engine_failures:
        return Conclusion.PARTIAL, "engines failed: " + ", ".join(engine for engine, _ in report.engine_failures)
    return Conclusion.SUCCESS, ""


# 1 load


def load(client: Client, review: Review) -> tuple[PullRequest, list[ChangedFile]]:
    """Read the pull request, the repository's configuration and the files. The first call pins head and base."""
    pull = _as_pull_request(review.delivery) if review.is_merge_group else _read_pull_request(client, review)
    if pull.base.repo is not None and review.repo_id not in (None, pull.base.repo.id):
        raise RunFinished(Conclusion.SKIPPED, f"{client.repo} is another repository now")
    if review.loaded_at is None:
        review.store(base_ref=pull.base.ref)
    end_if_changed(review, pull)
    if review.is_about_older_commit(pull.head.sha):
        raise RunFinished(Conclusion.SUPERSEDED, f"another delivery is about the head commit {pull.head.sha}")
    if review.is_repetition(pull.head.sha):
        raise RunFinished(
            Conclusion.SKIPPED,
            "this head commit was reviewed already, and nobody asked for another review",
            pull.head.sha,
        )
    if review.loaded_at is None:
        config = organisation.read_config(client, pull.base.ref or pull.base.sha)
        problems = config.problems
        if engines.has_unknown(config.engines.disable):
            known = ", ".join(f"`{name}`" for name in engines.NAMES)
            problems = (
                *problems,
                f"`engines` of `{repository.PATH}` names one that Kodiai does not have; it has {known}.",
            )
        # Before the files: if those can not be read, the repository still decides what that means for its check run.
        review.store(
            head_sha=pull.head.sha,
            pr_author=pull.user.login if pull.user else "",
            telemetry_enabled=config.telemetry.enabled,
            config=config.to_json(),
        )
        if why := _why_unwanted(review, pull, config):
            raise RunFinished(Conclusion.SKIPPED, why, pull.head.sha)
        review.stamp("loaded_at", report=Report(config_problems=problems).to_json())
    return pull, _changed_files(client, review, pull)


def _read_pull_request(client: Client, review: Review) -> PullRequest:
    try:
        return client.pull_request(review.number)
    except Refused as refused:
        if refused.status in (404, 410):
            raise RunFinished(
                Conclusion.SKIPPED, f"the pull request is gone, or the App has no access: {refused}"
            ) from refused
        raise


def _as_pull_request(group: Delivery) -> PullRequest:
    """A merge group in the form of a pull request: it has a head and a base, and nobody who is new is its author."""
    return PullRequest(
        author_association="MEMBER",
        head=Ref(sha=group.head_sha),
        base=Ref(sha=group.base_sha, ref=group.base_ref),
    )


def _changed_files(client: Client, review: Review, pull: PullRequest) -> list[ChangedFile]:
    if not review.is_merge_group:
        return client.changed_files(review.number, pull.changed_files, needs_patch=engines.readable)
    try:
        return client.compared_files(pull.base.sha, pull.head.sha)
    except Refused as refused:
        if refused.status != 404:
            raise
        raise RunFinished(Conclusion.SKIPPED, f"the merge group is gone: {refused}") from refused


def _why_unwanted(review: Review, pull: PullRequest, config: repository.RepositoryConfig) -> str:
    """Say why a run is skipped that nobody asked for; empty if it is not.

    A review is asked for by a mention, a requested review, "Re-run", or a merge queue.
    """
    if not review.delivery.is_automatic:
        return ""
    if pull.draft:
        return DRAFT
    if pull.user is not None and pull.user.type == "Bot" and not is_allowed_bot(pull.user.login):
        return f"its author {pull.user.login} is a bot that is not on the operator's list (`KODIAI_BOT_ALLOW_LIST`)"
    if why := handlers.pause_reason(review):
        return why
    triggers = config.triggers
    if config.check.may_fail:
        # Whoever opens a pull request writes its title.
        triggers = triggers.model_copy(update={"ignore_titles": []})
    if excluded := excluded_by(triggers, pull):
        return f"`triggers` of `{repository.PATH}` excludes {excluded}"
    action = review.delivery.event_type.partition(".")[2]
    if action in (*triggers.actions, *ALWAYS_WANTED):
        return ""
    if action in WANTED_ONCE and not review.is_reviewed(pull.head.sha):
        return ""
    return f"`triggers` of `{repository.PATH}` excludes {action}"


# 2 enrich


def enrich_author(client: Client, review: Review, pull: PullRequest) -> None:
    """Find the author's tier and store the outcome, which is final: no resumed run asks Search again."""
    # Search knows no repository by its former name.
    repo = (pull.base.repo.full_name if pull.base.repo else "") or client.repo
    found = enrich(client, repo=repo, author=review.pr_author, association=pull.author_association)
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

    # In a merge queue that is the commit before; elsewhere the branch as it is now.
    base_commit = pull.base.sha if review.is_merge_group else pull.base.ref or pull.base.sha

    def contents(at_head: Mapping[str, bool], in_base: Mapping[str, bool]) -> tuple[dict[str, Blob], dict[str, Blob]]:
        head = [FileRef(review.head_sha, path, with_text) for path, with_text in at_head.items()]
        base = [FileRef(base_commit, path, with_text) for path, with_text in in_base.items()]
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
        memory=cache,
    )
    ignored = set(IgnoredFinding.objects.filter(review.of_repository).values_list("content_hash", flat=True))
    report = replace(
        found,
        findings=tuple(finding for finding in found.findings if finding.content_hash not in ignored),
        ignored=tuple(finding.content_hash for finding in found.findings if finding.content_hash in ignored),
        config_problems=Report.from_json(review.report).config_problems,
        truncated=len(files) >= MAX_COMPARED_FILES if review.is_merge_group else _is_truncated(pull, files),
    )
    review.stamp("analysed_at", report=report.to_json())


def _is_truncated(pull: PullRequest, files: Sequence[ChangedFile]) -> bool:
    """Return whether files may be missing in GitHub's list: their number is not the one that GitHub counts."""
    paths = {file.path for file in files}
    return len(files) >= MAX_FILES if pull.changed_files is None else len(paths) != pull.changed_files


# 5 publish: `reviews.publishing`
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
    logger.info("review finished", extra={**review.log_fields, "conclusion": conclusion, "reason": reason})


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
        duration_ms=min(round(review.duration.total_seconds() * 1000), MAX_INTEGER),
        **usage,
    )
    review.stamp("execution_tried_at" if execution is None else "execution_recorded_at")
    return execution is not None
