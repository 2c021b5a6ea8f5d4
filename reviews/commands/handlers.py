"""Step 0 of a run that a comment started: what the comment asks for is done, once, and answered where it needs words.

`review` goes on as any other run does; all else ends here, as skipped. What a command changes is stored in the
transaction of its time stamp, which is filtered by the claim. An answer is posted as a review is: `answering_at` is
stored right before it, and after an attempt of unknown outcome its marker is looked for first.
"""

import logging
from collections.abc import Mapping

from django.db import transaction

from reviews.commands.replies import asked, explanation, help_body, misplaced_body, refusal_body, unknown_body
from reviews.exceptions import RunFinished
from reviews.findings import Finding
from reviews.github.client import Client
from reviews.github.errors import GitHubError
from reviews.github.identity import is_app_login
from reviews.github.schemas import Comment
from reviews.models import Command, IgnoredFinding, Review
from reviews.publishing.post_once import Post, post_once, send_announced
from reviews.publishing.previous_comments import PostedFinding, findings_by_content_hash, posted_findings
from reviews.publishing.resolve_threads import close_ignored
from reviews.shutdown import raise_if_stopping
from telemetry.models import Conclusion

logger = logging.getLogger(__name__)

SEEN, DONE = "eyes", "+1"
"""Reactions to a comment, as GitHub calls them."""
MAY_COMMAND = frozenset({"admin", "maintain", "write"})


def handle_command(client: Client, review: Review) -> None:
    """Do what the comment that started a run asks for, if one did.

    Returns where that is a review. Raises `RunFinished` when anything else is done, and what GitHub's calls raise.
    """
    word = review.delivery.command
    if word is None:
        return
    react(client, review, SEEN)
    if word not in Command:
        reason = say(client, review, unknown_body(word), "the word after the mention is not a command")
    elif word != Command.HELP and not _may_command(client, review):
        reason = say(client, review, refusal_body(), f"{review.delivery.sender} has no write access")
    elif word == Command.REVIEW:
        return
    else:
        reason = _applied(client, review, Command(word))
    raise RunFinished(Conclusion.SKIPPED, reason)


def _may_command(client: Client, review: Review) -> bool:
    """Tell whether the sender may command. GitHub is asked: an association, as in the comment, says less."""
    return review.command_applied_at is not None or client.permission_of(review.delivery.sender) in MAY_COMMAND


def _applied(client: Client, review: Review, command: Command) -> str:
    """Do what a command asks for; return what was done, in words."""
    if command == Command.HELP:
        return say(client, review, help_body(), "help")
    if command in (Command.PAUSE, Command.RESUME):
        # Its time stamp is all that it changes: see `Review.paused_by`.
        if review.command_applied_at is None:
            review.stamp("command_applied_at")
        react(client, review, DONE)
        return f"{command}d by {review.delivery.sender}"
    told = _told_in_thread(client, review)
    if not told:
        return say(client, review, misplaced_body(command), f"{command} is about a thread of Kodiai's")
    # Of a remark on many lines the thread tells each by itself; rule and message are the same.
    findings = findings_by_content_hash(review, told)
    finding = next(filter(None, findings.values()), None)
    if command == Command.EXPLAIN:
        return say(client, review, explanation(finding), command)
    ignore(review, told[0].thread.path, findings)
    close_ignored(client, review, told[0].thread)
    react(client, review, DONE)
    return f"{finding.rule if finding else 'what the thread is about'} is ignored from now on, as was asked"


def ignore(review: Review, path: str, findings: Mapping[str, Finding | None]) -> None:
    """Store, once, that what a thread is about is never said again in its repository.

    `findings` are by their gists; None where no report tells of one any more.
    """
    if review.command_applied_at is not None:
        return
    about = {"path": path, "pr_number": review.pr_number, "ignored_by": review.delivery.sender}
    with transaction.atomic():
        review.stamp("command_applied_at")
        for content_hash, finding in findings.items():
            known = {"rule": finding.rule, "message": finding.message} if finding else {}
            IgnoredFinding.objects.get_or_create(repo=review.repo, content_hash=content_hash, defaults=about | known)


def pause_reason(review: Review) -> str:
    """Why a run that nobody asked for is not made; empty where its pull request is not paused, or somebody did.

    Who mentions Kodiai, or requests its review, or presses "Re-run", has asked.
    """
    by_itself = review.delivery.event == "pull_request" and not review.delivery.addressed
    by = review.paused_by() if by_itself else ""
    return by and f"paused by {by}; {asked(Command.RESUME)} ends that"


def _told_in_thread(client: Client, review: Review) -> list[PostedFinding]:
    """What the thread of Kodiai's tells that the comment stands in; nothing where it is in none."""
    if review.delivery.thread_id is None:
        return []
    threads, _ = client.threads_and_reviews(review.pr_number)
    return [one for one in posted_findings(threads) if one.thread.comment_id == review.delivery.thread_id]


# Saying it on GitHub


def marker(review: Review) -> str:
    """The hidden end of an answer that tells it from all others."""
    return f"<!-- kodiai:answer {review.delivery.identity_digest} -->"


def say(client: Client, review: Review, body: str, what: str) -> str:
    """Answer the comment, once; return what was answered, in words. A bot is not answered: two could talk for ever."""
    if review.delivery.sender.lower().endswith("[bot]"):
        return f"not answered, because the sender is a bot: {what}"
    if review.answered_at is None:
        raise_if_stopping()
        post_once(_as_post(client, review), lambda _: post(client, review, body))
    return f"answered: {what}"


def post(client: Client, review: Review, body: str) -> Comment:
    """Post the answer: in its thread, or in the conversation of the pull request."""
    return send_announced(
        _as_post(client, review),
        lambda announce: client.create_comment(
            review.pr_number, f"{body}\n\n{marker(review)}", thread=review.delivery.thread_id, before=announce
        ),
    )


def _as_post(client: Client, review: Review) -> Post[Comment]:
    return Post(
        delivery=review.delivery,
        announced=review.answering_at is not None,
        announce=lambda: review.stamp("answering_at"),
        find=lambda: _find_answer(client, review),
        is_ours=lambda comment: _is_answer(review, comment),
        confirm=lambda _: review.stamp("answered_at"),
    )


def _find_answer(client: Client, review: Review) -> Comment | None:
    comments = client.comments(review.pr_number, on_lines=review.delivery.thread_id is not None)
    return next((comment for comment in comments if _is_answer(review, comment)), None)


def _is_answer(review: Review, comment: Comment) -> bool:
    """Tell whether a comment is the App's own and has the marker of this run."""
    return is_app_login(comment.author) and (comment.body or "").rstrip().endswith(marker(review))


def react(client: Client, review: Review, content: str) -> None:
    """React to the comment. That is politeness: what fails is logged."""
    delivery = review.delivery
    if delivery.comment_id is None:
        return
    on_lines = delivery.thread_id is not None
    try:
        client.react(delivery.comment_id, content, on_lines=on_lines, before=review.prove_claim)
    except GitHubError as error:
        logger.info("no reaction", extra={**delivery.log_fields, "error": str(error)})
