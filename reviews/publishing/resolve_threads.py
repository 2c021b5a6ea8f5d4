"""After the last step: Kodiai's threads whose findings are gone are closed, those whose findings are back are opened.

That is politeness. What fails here is logged, costs the run nothing, and is made up for by the next run.
"""

import logging
from collections.abc import Sequence

from django.utils import timezone

from reviews.exceptions import PostPending
from reviews.findings import Report, content_hash_of
from reviews.github.client import Client
from reviews.github.errors import GitHubError, Refused
from reviews.github.threads import Thread
from reviews.models import Review, ThumbsDown
from reviews.publishing.markdown import IGNORED, RESOLVED, collapsed_body, comment_body, resolved_in
from reviews.publishing.previous_comments import (
    PostedFinding,
    PreviousComments,
    findings_of,
    is_followed_up,
    posted_findings,
    read,
    resolved_by_us,
    without_marker,
)
from reviews.shutdown import raise_if_stopping

logger = logging.getLogger(__name__)

MAX_THREADS = 50
"""Threads that are resolved or opened in one run, with one call."""
MAX_EDITS = 20
"""Comments that are edited in one run, with a call each."""


def sync_threads(client: Client, review: Review, previous: PreviousComments | None) -> None:
    """Close and open Kodiai's own threads. `previous` is as it was published in; None: it is read anew.

    A thread that a person resolved is left alone. Raises `LeaseLost` and `WorkerStopping`; GitHub's errors are logged.
    """
    try:
        if previous is None and not is_followed_up(review):
            return
        previous = previous or read(client, review)
        count_thumbs_down(review, previous.posted)
        _sync(client, review, previous)
    except (GitHubError, PostPending) as error:
        logger.warning("threads are left as they are", extra={**review.delivery.log_fields, "error": str(error)})


def count_thumbs_down(review: Review, posted: Sequence[PostedFinding]) -> None:
    """Store how many thumbs are down on each of Kodiai's comments: whoever operates it sees which rules do not help.

    GitHub sends no event for reactions, so they are seen where the conversation is read anyway.
    """
    down = {one.thread.comment_id: one for one in posted if one.thread.thumbs_down}
    findings = findings_of(review, down.values()) if down else {}
    for comment_id, one in down.items():
        finding = findings[content_hash_of(one.fingerprint)]
        about = {"repo": review.repo, "pr_number": review.pr_number, "path": one.thread.path}
        seen = {"people": one.thread.thumbs_down, "seen_at": timezone.now(), "rule": finding.rule if finding else ""}
        ThumbsDown.objects.update_or_create(comment_id=comment_id, defaults=about | seen)
    ThumbsDown.objects.filter(comment_id__in={one.thread.comment_id for one in posted} - down.keys()).delete()


def _sync(client: Client, review: Review, previous: PreviousComments) -> None:
    gone = [thread for thread in previous.gone_threads if _is_open(thread) and not _says_gone(thread)]
    standing = previous.standing_threads
    back = [thread for thread, _, _ in standing if resolved_by_us(thread)]
    done = resolve(client, review, gone[:MAX_THREADS], back[:MAX_THREADS])
    ignored = set(Report.from_json(review.report).ignored)
    edits = []
    for thread in gone:
        if thread.id not in done:
            is_ignored = ignored.issuperset(content_hash_of(one.fingerprint) for one in posted_findings([thread]))
            edits.append((thread, _put_away(thread, IGNORED if is_ignored else resolved_in(review.head_sha))))
    for thread, remark, marker in standing:
        # What is not back of what it told is not told any more, and not in its marker.
        if _says_gone(thread) and _is_open(thread):
            edits.append((thread, f"{comment_body(remark)}\n\n{marker}"))
    _edit_all(client, review, edits[:MAX_EDITS])


def close_ignored(client: Client, review: Review, thread: Thread) -> None:
    """Close a thread of which nobody wants to hear again. What GitHub refuses is logged."""
    if not _is_open(thread) or _says_gone(thread):
        return
    if thread.id not in resolve(client, review, [thread], []):
        _edit_all(client, review, [(thread, _put_away(thread, IGNORED))])


def _edit_all(client: Client, review: Review, edits: Sequence[tuple[Thread, str]]) -> None:
    for thread, body in edits:
        raise_if_stopping()
        try:
            edit(client, review, thread, body)
        except Refused as refused:
            logger.warning("comment not edited", extra={**review.delivery.log_fields, "error": str(refused)})


def resolve(client: Client, review: Review, gone: Sequence[Thread], back: Sequence[Thread]) -> set[str]:
    """Resolve and open threads; return the ids of those that GitHub did it to. It may allow it for none."""
    resolved = [thread.id for thread in gone if thread.id]
    opened = [thread.id for thread in back]
    if not resolved and not opened:
        return set()
    try:
        return client.set_threads_resolved(resolved, opened, before=review.prove_claim)
    except Refused as refused:
        logger.info("GitHub resolves no threads", extra={**review.delivery.log_fields, "error": str(refused)})
        return set()


def edit(client: Client, review: Review, thread: Thread, body: str) -> None:
    """Give a comment of Kodiai's another body."""
    client.update_comment(thread.comment_id, body, before=review.prove_claim)


def _is_open(thread: Thread) -> bool:
    """Tell whether a thread is open; one of which only REST told may have been resolved by a person."""
    return not thread.resolved and bool(thread.id)


def _says_gone(thread: Thread) -> bool:
    return thread.body.startswith((RESOLVED, IGNORED))


def _put_away(thread: Thread, why: str) -> str:
    posted, marker = without_marker(thread.body)
    return f"{collapsed_body(why, posted)}\n\n{marker}"
