"""Step 0 of a run that a comment started: apply the command, once, and answer if it needs words.

After `review` the run goes on; any other command finishes it, as skipped. What a command changes is stored in the
transaction of its time stamp, which is filtered by the claim. An answer is posted once (`post_once`).
"""

import logging
from collections.abc import Mapping
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from reviews.commands.replies import (
    closed_body,
    command_code,
    explanation,
    help_body,
    misplaced_body,
    refusal_body,
    unknown_body,
)
from reviews.exceptions import RunFinished
from reviews.findings import Finding
from reviews.github.client import Client
from reviews.github.errors import GitHubError, Refused
from reviews.github.schemas import Comment
from reviews.models import Command, IgnoredFinding, Review
from reviews.publishing.post_once import Post, post_once, send_announced
from reviews.publishing.previous_comments import PostedFinding, findings_by_content_hash, posted_findings
from reviews.publishing.resolve_threads import close_ignored
from reviews.shutdown import raise_if_stopping
from telemetry.models import Conclusion

logger = logging.getLogger(__name__)

SEEN, DONE = "eyes", "+1"
"""GitHub's names of the reactions to a comment."""
MAY_COMMAND = frozenset({"admin", "maintain", "write"})
"""Permissions that allow commands."""
ANSWER_INTERVAL = timedelta(minutes=10)
"""Time in which one person gets one list of commands, or one refusal, per pull request. Anybody can ask for these in a
public repository, as fast as GitHub takes comments; what was answered last still stands there."""


def handle_command(client: Client, review: Review) -> None:
    """Apply the command of the comment that started a run, if there is one.

    Returns if a review is to be made. Raises `RunFinished` after any other command, and what calls to GitHub raise.
    """
    word = review.delivery.command
    if not word:
        return
    react(client, review, SEEN)
    if word not in Command:
        reason = answer_strangers(client, review, unknown_body(word), "the word after the mention is not a command")
    elif word != Command.HELP and not _may_command(client, review):
        reason = answer_strangers(client, review, refusal_body(), f"{review.delivery.sender} has no write access")
    elif word == Command.REVIEW:
        return
    else:
        reason = _applied(client, review, Command(word))
    raise RunFinished(Conclusion.SKIPPED, reason)


def _may_command(client: Client, review: Review) -> bool:
    """Return whether the sender may command, by their permission: the comment's author association says less."""
    return review.command_outcome.applied_at is not None or client.permission_of(review.delivery.sender) in MAY_COMMAND


def _applied(client: Client, review: Review, command: Command) -> str:
    """Apply a command; return what was done, as the reason of the conclusion."""
    if command == Command.HELP:
        return answer_strangers(client, review, help_body(), "help")
    if command in (Command.PAUSE, Command.RESUME):
        # The time stamp is all that it changes: see `Review.paused_by`.
        if review.command_outcome.applied_at is None:
            review.command_outcome.stamp("applied_at")
        react(client, review, DONE)
        return f"{command}d by {review.delivery.sender}"
    posted = _posted_in_thread(client, review)
    if not posted:
        return answer(client, review, misplaced_body(command), f"{command} is about a thread of Kodiai's")
    # A thread may be about several findings with the same rule and message.
    findings = findings_by_content_hash(review, posted)
    finding = next(filter(None, findings.values()), None)
    if command == Command.EXPLAIN:
        return answer(client, review, explanation(finding), command)
    ignore(review, posted[0].thread.path, findings)
    close_ignored(client, review, posted[0].thread)
    react(client, review, DONE)
    return f"{finding.rule if finding else 'what the thread is about'} is ignored from now on, as requested"


def ignore(review: Review, path: str, findings: Mapping[str, Finding | None]) -> None:
    """Store, once, that the findings of a thread are ignored in its repository from now on.

    `findings` are by content hash; None if no stored report has it.
    """
    if review.command_outcome.applied_at is not None:
        return
    about = {"path": path, "pr_number": review.pr_number, "ignored_by": review.delivery.sender}
    with transaction.atomic():
        review.command_outcome.stamp("applied_at")
        for content_hash, finding in findings.items():
            known = {"rule": finding.rule, "message": finding.message} if finding else {}
            # By id where it is known: the name may change.
            repository = {"repo": review.repo} if review.repo_id is None else {"repo_id": review.repo_id}
            defaults = {"repo": review.repo, **about, **known}
            IgnoredFinding.objects.get_or_create(**repository, content_hash=content_hash, defaults=defaults)


def answer_closed(client: Client, review: Review, why: str) -> None:
    """Answer a comment that asks for a review of a closed pull request, once; nobody else waits for an answer."""
    if review.delivery.command != Command.REVIEW:
        return
    try:
        answer(client, review, closed_body(why), why)
    except Refused as refused:  # The conversation may be locked.
        logger.info("not answered", extra={**review.log_fields, "error": str(refused)})


def pause_reason(review: Review) -> str:
    """Why a run is skipped because its pull request is paused; empty if it is not, or somebody asked for the review.

    To ask is to mention Kodiai, to request its review, or to press "Re-run".
    """
    by_itself = review.delivery.event == "pull_request" and not review.delivery.addressed
    by = review.paused_by() if by_itself else ""
    return by and f"paused by {by}; {command_code(Command.RESUME)} ends the pause"


def _posted_in_thread(client: Client, review: Review) -> list[PostedFinding]:
    """Findings of the thread in which the comment stands, if Kodiai began it."""
    if review.delivery.thread_id is None:
        return []
    threads, _ = client.threads_and_reviews(review.number)
    return [one for one in posted_findings(threads) if one.thread.comment_id == review.delivery.thread_id]


# Answer on GitHub


def marker(review: Review) -> str:
    """The hidden end of an answer by which it is found."""
    return f"<!-- kodiai:answer {review.delivery.identity_digest} -->"


def answer_strangers(client: Client, review: Review, body: str, what: str) -> str:
    """Answer what everybody may ask: each person once per `ANSWER_INTERVAL` and pull request; return what was done.

    Of a pull request one run at a time is claimed, and the claim is checked when the answer is announced. So no two
    workers both find that the other has not answered.
    """
    since = timezone.now() - ANSWER_INTERVAL
    recent = {"delivery__sender": review.delivery.sender, "command_outcome__answering_at__gte": since}
    if review.command_outcome.answering_at is None and review.others().filter(**recent).exists():
        return f"not answered, because {review.delivery.sender} was answered less than 10 minutes ago: {what}"
    return answer(client, review, body, what)


def answer(client: Client, review: Review, body: str, what: str) -> str:
    """Answer the comment, once; return what was done. A bot is not answered: two bots could go on for ever."""
    if review.delivery.sender.lower().endswith("[bot]"):
        return f"not answered, because the sender is a bot: {what}"
    if review.command_outcome.answered_at is None:
        raise_if_stopping()
        post_once(_as_post(client, review), lambda _: post(client, review, body))
    return f"answered: {what}"


def post(client: Client, review: Review, body: str) -> Comment:
    """Post the answer: in its thread, or in the conversation of the pull request."""
    return send_announced(
        _as_post(client, review),
        lambda announce: client.create_comment(
            review.number, f"{body}\n\n{marker(review)}", thread=review.delivery.thread_id, before=announce
        ),
    )


def _as_post(client: Client, review: Review) -> Post[Comment]:
    return Post(
        delivery=review.delivery,
        announced=review.command_outcome.answering_at is not None,
        announce=lambda: review.command_outcome.stamp("answering_at"),
        find=lambda: _find_answer(client, review),
        is_ours=lambda comment: _is_answer(review, comment),
        confirm=lambda _: review.command_outcome.stamp("answered_at"),
    )


def _find_answer(client: Client, review: Review) -> Comment | None:
    comments = client.comments(review.number, on_lines=review.delivery.thread_id is not None)
    return next((one for one in comments if _is_answer(review, one) and client.is_own(one.author)), None)


def _is_answer(review: Review, comment: Comment) -> bool:
    """Return whether a comment has the marker of this run."""
    return (comment.body or "").rstrip().endswith(marker(review))


def react(client: Client, review: Review, content: str) -> None:
    """React to the comment. A failure is logged and costs nothing."""
    delivery = review.delivery
    if delivery.comment_id is None:
        return
    on_lines = delivery.thread_id is not None
    try:
        client.react(delivery.comment_id, content, on_lines=on_lines, before=review.prove_claim)
    except GitHubError as error:
        logger.info("reaction failed", extra={**delivery.log_fields, "error": str(error)})
