"""The inbox: deliveries are stored together with their task, once each."""

from django.db import IntegrityError, transaction
from django.utils import timezone

from reviews.github.facts import POST_VISIBILITY_DELAY
from reviews.intake.payloads import ParsedDelivery
from reviews.models import Delivery, DeliveryStatus, Review
from reviews.runs.queues.enqueue import enqueue


def accept(parsed: ParsedDelivery) -> tuple[str, str]:
    """Store a delivery and queue its task in one transaction.

    Return what became of it, `queued`, `duplicate`, `requeued` or `ignored`, and why it is ignored, empty if it is not.
    Of several equal deliveries at the same time the constraint on the identity lets one in; the others find its row.
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
        # Not what would be said today: the settings may have changed since.
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
        command=parsed.command or None,
        comment_id=parsed.comment_id,
        thread_id=parsed.thread_id,
        ignore_reason=parsed.ignore or "",
        status=DeliveryStatus.IGNORED if parsed.ignore else DeliveryStatus.QUEUED,
    )
    if parsed.ignore:
        return "ignored", parsed.ignore
    if parsed.pr_number is not None:
        Review.objects.create(delivery=delivery, repo=parsed.repo, pr_number=parsed.pr_number)
    enqueue(delivery)
    return "queued", ""


def requeue(delivery: Delivery) -> bool:
    """Queue a failed delivery again, with all its attempts; return False if it is not failed (any more).

    Its run goes on where it stopped: what was published or recorded is not published or recorded again. One that may
    just have posted waits until its marker tells whether it did.
    """
    with transaction.atomic():
        failed = Delivery.objects.filter(pk=delivery.pk, status=DeliveryStatus.FAILED)
        if not failed.update(status=DeliveryStatus.QUEUED, finished_at=None, failure=""):
            return False
        review = Review.objects.filter(delivery=delivery).first()
        until = timezone.now() + POST_VISIBILITY_DELAY if review is not None and review.may_be_posted else None
        Review.objects.filter(delivery=delivery).update(
            attempts=0,
            finished_at=None,
            conclusion="",
            conclusion_reason="",
            execution_recorded_at=None,
            # GitHub may have been told that it failed. What is told at its next end takes the place of that.
            check_run_due_at=None,
            check_run_reported_at=None,
            deferred_since=None,
            deferred_until=until,
        )
        enqueue(delivery, run_after=until)
    return True
