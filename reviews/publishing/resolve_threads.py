"""Resolve threads whose findings are fixed; reopen those whose findings are back.

Runs after the last step. A failure is logged and does not fail the run: the next run tries again.
"""

import logging
from collections.abc import Sequence

from django.utils import timezone

from reviews.exceptions import PostPending
from reviews.findings import Report, content_hash_of
from reviews.github.client import Client
from reviews.github.errors import GitHubError, Refused
from reviews.github.threads import Thread
from reviews.models import ReportedFinding, Review, ThumbsDown
from reviews.publishing.markdown import IGNORED, RESOLVED, collapsed_body, comment_body, resolved_in
from reviews.publishing.previous_comments import (
    PostedFinding,
    PreviousComments,
    findings_by_content_hash,
    may_have_posted_before,
    posted_findings,
    read,
    resolved_by_app,
    without_marker,
)
from reviews.shutdown import raise_if_stopping

logger = logging.getLogger(__name__)

MAX_THREADS = 50
"""Threads that one run resolves or reopens, with one call."""
MAX_EDITS = 20
"""Comments that one run edits, with one call each."""


def sync_threads(client: Client, review: Review, previous: PreviousComments | None) -> None:
    """Resolve and reopen Kodiai's own threads. `previous` is the conversation at the time of publishing; None: read it.

    Threads that a person resolved are left alone. Raises `LeaseLost` and `WorkerStopping`; GitHub's errors are logged.
    """
    try:
        if previous is None and not may_have_posted_before(review):
            return
        previous = previous or read(client, review)
        count_thumbs_down(review, previous.posted)
        note_resolved(review, previous.posted)
        _sync(client, review, previous)
    except (GitHubError, PostPending) as error:
        logger.warning("threads not synchronised", extra={**review.log_fields, "error": str(error)})


def count_thumbs_down(review: Review, posted: Sequence[PostedFinding]) -> None:
    """Store the number of thumbs-down reactions on each of Kodiai's comments: they show which rules do not help.

    GitHub sends no event for reactions, so they are read together with the conversation.
    """
    down = {one.thread.comment_id: one for one in posted if one.thread.thumbs_down}
    findings = findings_by_content_hash(review, down.values()) if down else {}
    for comment_id, one in down.items():
        finding = findings[content_hash_of(one.fingerprint)]
        about = {"repo": review.repo, "pr_number": review.pr_number, "path": one.thread.path}
        seen = {"people": one.thread.thumbs_down, "seen_at": timezone.now(), "rule": finding.rule if finding else ""}
        ThumbsDown.objects.update_or_create(comment_id=comment_id, defaults=about | seen)
    ThumbsDown.objects.filter(comment_id__in={one.thread.comment_id for one in posted} - down.keys()).delete()


def note_resolved(review: Review, posted: Sequence[PostedFinding]) -> None:
    """Store which findings have a thread that a person resolved: whether they were fixed then is another question."""
    by_person = {one.fingerprint for one in posted if one.thread.resolved and not resolved_by_app(one.thread)}
    if by_person:
        rows = ReportedFinding.objects.filter(review.of_repository, pr_number=review.number, resolved_at=None)
        rows.filter(fingerprint__in=by_person).update(resolved_at=timezone.now())


def _sync(client: Client, review: Review, previous: PreviousComments) -> None:
    to_resolve = [thread for thread in previous.threads_to_resolve if _is_open(thread) and not _is_collapsed(thread)]
    existing = previous.existing_threads
    to_reopen = [thread for thread, _, _ in existing if resolved_by_app(thread)]
    done = resolve(client, review, to_resolve[:MAX_THREADS], to_reopen[:MAX_THREADS])
    ignored = set(Report.from_json(review.report).ignored)
    edits = []
    for thread in to_resolve:
        if thread.id not in done:
            is_ignored = ignored.issuperset(content_hash_of(one.fingerprint) for one in posted_findings([thread]))
            edits.append((thread, _collapsed(thread, IGNORED if is_ignored else resolved_in(review.head_sha))))
    for thread, remark, marker in existing:
        # The comment is rewritten with the findings that are back, and only those.
        if _is_collapsed(thread) and _is_open(thread):
            edits.append((thread, f"{comment_body(remark)}\n\n{marker}"))
    _edit_all(client, review, edits[:MAX_EDITS])


def close_ignored(client: Client, review: Review, thread: Thread) -> None:
    """Resolve the thread of an ignored finding; collapse its comment if GitHub refuses."""
    if not _is_open(thread) or _is_collapsed(thread):
        return
    if thread.id not in resolve(client, review, [thread], []):
        _edit_all(client, review, [(thread, _collapsed(thread, IGNORED))])


def _edit_all(client: Client, review: Review, edits: Sequence[tuple[Thread, str]]) -> None:
    for thread, body in edits:
        raise_if_stopping()
        try:
            edit(client, review, thread, body)
        except Refused as refused:
            logger.warning("comment not edited", extra={**review.log_fields, "error": str(refused)})


def resolve(client: Client, review: Review, to_resolve: Sequence[Thread], to_reopen: Sequence[Thread]) -> set[str]:
    """Resolve and reopen threads; return the ids of those that GitHub changed, which may be none."""
    resolve_ids = [thread.id for thread in to_resolve if thread.id]
    reopen_ids = [thread.id for thread in to_reopen]
    if not resolve_ids and not reopen_ids:
        return set()
    try:
        return client.set_threads_resolved(resolve_ids, reopen_ids, before=review.prove_claim)
    except Refused as refused:
        logger.info("GitHub refused to resolve threads", extra={**review.log_fields, "error": str(refused)})
        return set()


def edit(client: Client, review: Review, thread: Thread, body: str) -> None:
    """Replace the body of a comment of Kodiai's."""
    client.update_comment(thread.comment_id, body, before=review.prove_claim)


def stays_collapsed(thread: Thread) -> bool:
    """Return whether a comment that Kodiai collapsed stays so, though its finding is back: its thread is not open."""
    return _is_collapsed(thread) and not _is_open(thread)


def _is_open(thread: Thread) -> bool:
    """Return whether a thread is known to be open; REST does not show whether a person resolved it."""
    return not thread.resolved and bool(thread.id)


def _is_collapsed(thread: Thread) -> bool:
    return thread.body.startswith((RESOLVED, IGNORED))


def _collapsed(thread: Thread, why: str) -> str:
    """The comment of a thread, collapsed under the reason."""
    text, marker = without_marker(thread.body)
    return f"{collapsed_body(why, text)}\n\n{marker}"
