"""The inbox: store each delivery once, in one transaction with its task."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from reviews.github.facts import POST_VISIBILITY_DELAY
from reviews.intake.payloads import ParsedDelivery
from reviews.models import (
    CheckRunReport,
    CommandOutcome,
    Delivery,
    DeliveryStatus,
    IgnoreReason,
    Review,
    of_repository,
)
from reviews.models.insert import insert_rows
from reviews.runs.queues.enqueue import enqueue, enqueue_new, new_task

Answer = tuple[str, str]
"""`queued`, `duplicate`, `requeued` or `ignored`, and the reason if it is ignored."""


def accept_all(group: Sequence[ParsedDelivery]) -> list[Answer]:
    """Store deliveries and queue their tasks in one transaction; return their answers in order, after the commit.

    The constraint admits one of several concurrent deliveries with one identity; the others find its row. Raises
    `DatabaseError` or `InterfaceError`.
    """
    known = _known(group)
    new = {parsed.identity: parsed for parsed in group if parsed.identity not in known}
    # A duplicate needs no transaction, which would wait for SQLite's write lock.
    writes = new or any(delivery.status == DeliveryStatus.FAILED for delivery in known.values())
    with transaction.atomic(savepoint=False) if writes else nullcontext():
        answers = _admit(list(new.values()))
        if len(answers) < len(new):
            # Another process has just stored the others.
            known = _known(group)
        answers |= {identity: _again(known[identity]) for identity in known.keys() - answers.keys()}
    in_order = []
    for parsed in group:
        in_order.append(answer := answers[parsed.identity])
        if answer[0] != "ignored":
            # A group may hold one identity twice.
            answers[parsed.identity] = ("duplicate", "")
    return in_order


def _known(group: Sequence[ParsedDelivery]) -> dict[tuple[str, str], Delivery]:
    """Return the deliveries of the inbox that have one of these ids, by identity."""
    stored = Delivery.objects.filter(delivery_id__in={parsed.delivery_id for parsed in group}).only(
        "delivery_id", "event_type", "status", "ignore_reason"
    )
    return {delivery.identity: delivery for delivery in stored}


def _again(delivery: Delivery) -> Answer:
    """Answer a delivery that the inbox has."""
    if delivery.status == DeliveryStatus.IGNORED:
        # The reason of then: settings may have changed since.
        return "ignored", delivery.ignore_reason
    return "requeued" if delivery.status == DeliveryStatus.FAILED and requeue(delivery) else "duplicate", ""


def _admit(group: Sequence[ParsedDelivery]) -> dict[tuple[str, str], Answer]:
    """Store deliveries with their runs and tasks; return the answers of those that nobody else has stored before."""
    if not group:
        return {}
    rows = {
        parsed.identity: _row(_about_known_run(parsed) if parsed.ignore == IgnoreReason.NO_PULL_REQUEST else parsed)
        for parsed in group
    }
    keys = {
        (delivery_id, event_type): key
        for key, delivery_id, event_type in insert_rows(
            Delivery, list(rows.values()), returning=("id", "delivery_id", "event_type"), or_skip=True
        )
    }
    admitted = {keys[identity]: row for identity, row in rows.items() if identity in keys}
    for row in admitted.values():
        if row["event_type"] in ("pull_request.closed", "pull_request.synchronize"):
            # Imported here: the web process needs no client of GitHub.
            from reviews.publishing.check_runs import renew_others

            renew_others(of_repository(row["repo_id"], row["repo"]), row["pr_number"])
    queued = {key: row for key, row in admitted.items() if row["status"] == DeliveryStatus.QUEUED}
    reviews = [
        {"delivery_id": key, **{name: row[name] for name in ("repo", "repo_id", "pr_number")}}
        for key, row in queued.items()
        if row["pr_number"] is not None or row["base_sha"]
    ]
    for review, key in insert_rows(Review, reviews, returning=("id", "delivery_id")):
        if queued[key]["command"]:
            CommandOutcome.objects.create(review_id=review)
    enqueue_new({key: row["task_id"] for key, row in queued.items()})
    return {identity: (rows[identity]["status"], rows[identity]["ignore_reason"]) for identity in keys}


def _row(parsed: ParsedDelivery) -> dict[str, Any]:
    """Return the fields of a new `Delivery`."""
    return {
        "delivery_id": parsed.delivery_id,
        "event": parsed.event,
        "event_type": parsed.event_type,
        "repo": parsed.repo,
        "repo_id": parsed.repo_id,
        "pr_number": parsed.pr_number,
        "installation_id": parsed.installation_id,
        "head_sha": parsed.head_sha,
        "base_ref": parsed.base_ref,
        "base_sha": parsed.base_sha,
        "repositories": list(parsed.repositories),
        "sender": parsed.sender,
        "author": parsed.author,
        "addressed": parsed.addressed,
        "command": parsed.command,
        "comment_id": parsed.comment_id,
        "thread_id": parsed.thread_id,
        "ignore_reason": parsed.ignore or "",
        "status": DeliveryStatus.IGNORED if parsed.ignore else DeliveryStatus.QUEUED,
        **({"queued_at": None, "task_id": ""} if parsed.ignore else new_task()),
    }


def _about_known_run(parsed: ParsedDelivery) -> ParsedDelivery:
    """Find what a re-run is about, if GitHub names no pull request: a merge group, or a pull request of a fork.

    It is what Kodiai's latest run at the commit was about; unchanged if there is none.
    """
    at_commit = Review.objects.filter(Q(head_sha=parsed.head_sha) | Q(delivery__head_sha=parsed.head_sha))
    known = (
        at_commit.filter(of_repository(parsed.repo_id, parsed.repo))
        .exclude(delivery__head_sha="", pr_number=None)
        .select_related("delivery")
        .last()
    )
    if known is None:
        return parsed
    group = known.delivery
    return replace(parsed, pr_number=known.pr_number, base_ref=group.base_ref, base_sha=group.base_sha, ignore=None)


def requeue(delivery: Delivery) -> bool:
    """Queue a failed delivery again, with all its attempts; return False if its status is not failed.

    Its run resumes where it stopped: nothing is published or recorded twice. With an unconfirmed post it waits until
    GitHub lists it or never will (`publishing.post_once`).
    """
    with transaction.atomic():
        failed = Delivery.objects.filter(pk=delivery.pk, status=DeliveryStatus.FAILED)
        if not failed.update(status=DeliveryStatus.QUEUED, finished_at=None, failure=""):
            return False
        review = Review.objects.filter(delivery=delivery).first()
        unconfirmed = review is not None and review.has_unconfirmed_post
        until = timezone.now() + POST_VISIBILITY_DELAY if unconfirmed else None
        Review.objects.filter(delivery=delivery).update(
            attempts=0,
            started_at=None,
            finished_at=None,
            conclusion="",
            conclusion_reason="",
            execution_recorded_at=None,
            deferred_since=None,
            deferred_until=until,
        )
        # GitHub may have a check run that reports the failure. The next report updates it.
        CheckRunReport.objects.filter(review__delivery=delivery).update(due_at=None, reported_at=None)
        enqueue(delivery, run_after=until)
    return True
