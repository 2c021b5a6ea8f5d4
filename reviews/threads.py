"""After the last step: Kodiai's threads whose findings are gone are closed, those whose findings are back are opened.

That is politeness. What fails here is logged, costs the run nothing, and is made up for by the next run.
"""

import logging
from collections.abc import Sequence

from reviews.conversation import Conversation, Said, finding_marker, is_followed_up, read
from reviews.findings import Report, gist_of
from reviews.github import Client, GitHubError, Refused
from reviews.models import NotSettled, Review
from reviews.rendering import GONE, IGNORED, comment_body, gone_at, gone_body
from reviews.stopping import between_steps

logger = logging.getLogger(__name__)

MOST_THREADS = 50
"""Threads that are resolved or opened in one run, with one call."""
MOST_EDITS = 20
"""Comments that are edited in one run, with a call each."""


def tidy(client: Client, review: Review, conversation: Conversation | None) -> None:
    """Close and open Kodiai's own threads. `conversation` is as it was published in; None: it is read anew.

    A thread that a person resolved is left alone. Raises `LeaseLost` and `Stopped`, and nothing else of GitHub's.
    """
    try:
        if conversation is None and not is_followed_up(review):
            return
        conversation = conversation or read(client, review)
        _settle(client, review, conversation)
    except (GitHubError, NotSettled) as error:
        logger.warning("threads are left as they are", extra={**review.delivery.log_fields, "error": str(error)})


def _settle(client: Client, review: Review, conversation: Conversation) -> None:
    gone = [one for one in conversation.gone_threads if _is_open(one) and not _says_gone(one)]
    back = [(finding, one) for finding, one in conversation.standing if one.resolved_by_us]
    settled = resolve(client, review, gone[:MOST_THREADS], [one for _, one in back][:MOST_THREADS])
    ignored = Report.from_json(review.report).ignored
    edits = [
        (one, _put_away(one, IGNORED if gist_of(one.fingerprint) in ignored else gone_at(review.head_sha)))
        for one in gone
        if one.thread.id not in settled
    ]
    edits += [
        (one, f"{comment_body(finding)}\n\n{finding_marker(one.fingerprint, one.number)}")
        for finding, one in conversation.standing
        if _says_gone(one) and _is_open(one)
    ]
    _edit_all(client, review, edits[:MOST_EDITS])


def close_ignored(client: Client, review: Review, one: Said) -> None:
    """Close the thread of a finding that nobody wants to hear again. What GitHub refuses is logged."""
    if not _is_open(one) or _says_gone(one):
        return
    if one.thread.id not in resolve(client, review, [one], []):
        _edit_all(client, review, [(one, _put_away(one, IGNORED))])


def _edit_all(client: Client, review: Review, edits: Sequence[tuple[Said, str]]) -> None:
    for one, body in edits:
        between_steps()
        try:
            edit(client, review, one, body)
        except Refused as refused:
            logger.warning("comment not edited", extra={**review.delivery.log_fields, "error": str(refused)})


def resolve(client: Client, review: Review, gone: Sequence[Said], back: Sequence[Said]) -> set[str]:
    """Resolve and open threads; return the ids of those that GitHub did it to. It may allow it for none."""
    resolved = [one.thread.id for one in gone if one.thread.id]
    opened = [one.thread.id for one in back]
    if not resolved and not opened:
        return set()
    try:
        return client.settle_threads(resolved, opened, before=review.prove_claim)
    except Refused as refused:
        logger.info("GitHub resolves no threads", extra={**review.delivery.log_fields, "error": str(refused)})
        return set()


def edit(client: Client, review: Review, one: Said, body: str) -> None:
    """Give a comment of Kodiai's another body."""
    client.update_comment(one.thread.comment_id, body, before=review.prove_claim)


def _is_open(one: Said) -> bool:
    """Tell whether a thread is open; one of which only REST told may have been resolved by a person."""
    return not one.thread.resolved and bool(one.thread.id)


def _says_gone(one: Said) -> bool:
    return one.thread.body.startswith((GONE, IGNORED))


def _put_away(one: Said, why: str) -> str:
    marker = finding_marker(one.fingerprint, one.number)
    return f"{gone_body(why, one.thread.body.rpartition(marker)[0].rstrip())}\n\n{marker}"
