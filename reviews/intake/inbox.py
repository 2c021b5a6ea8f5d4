"""The inbox: store each delivery once, in one transaction with its task."""

from django.db import IntegrityError, transaction
from django.utils import timezone

from reviews.github.facts import POST_VISIBILITY_DELAY
from reviews.intake.payloads import ParsedDelivery
from reviews.models import CheckRunReport, CommandOutcome, Delivery, DeliveryStatus, Review
from reviews.runs.queues.enqueue import enqueue


def accept(parsed: ParsedDelivery) -> tuple[str, str]:
    """Store a delivery and queue its task in one transaction.

    Return `queued`, `duplicate`, `requeued` or `ignored`, and the reason if it is ignored. The constraint admits one of
    several concurrent deliveries with one identity; the others find its row.
    """
    identity = {"delivery_id": parsed.delivery_id, "event_type": parsed.event_type}
    known = Delivery.objects.filter(**identity).first()
    if known is None:
        try:
            with transaction.atomic():
                return _admit(parsed)
        except IntegrityError:
            known = Delivery.objects.get(**identity)
    if known.status == DeliveryStatus.IGNORED:
        # The reason of then: settings may have changed since.
        return "ignored", known.ignore_reason
    return "requeued" if requeue(known) else "duplicate", ""


def _admit(parsed: ParsedDelivery) -> tuple[str, str]:
    delivery = Delivery.objects.create(
        delivery_id=parsed.delivery_id,
        event=parsed.event,
        event_type=parsed.event_type,
        repo=parsed.repo,
        pr_number=parsed.pr_number,
        installation_id=parsed.installation_id,
        head_sha=parsed.head_sha,
        sender=parsed.sender,
        addressed=parsed.addressed,
        command=parsed.command,
        comment_id=parsed.comment_id,
        thread_id=parsed.thread_id,
        ignore_reason=parsed.ignore or "",
        status=DeliveryStatus.IGNORED if parsed.ignore else DeliveryStatus.QUEUED,
    )
    if parsed.ignore:
        return "ignored", parsed.ignore
    if parsed.pr_number is not None:
        review = Review.objects.create(delivery=delivery, repo=parsed.repo, pr_number=parsed.pr_number)
        if parsed.command:
            CommandOutcome.objects.create(review=review)
    enqueue(delivery)
    return "queued", ""


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
