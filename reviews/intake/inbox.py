"""The inbox: deliveries are stored together with their task, once each."""

from django.db import IntegrityError, transaction
from django.utils import timezone

from reviews.github.facts import SETTLED_AFTER
from reviews.intake.payloads import Incoming
from reviews.models import Delivery, DeliveryStatus, Review
from reviews.runs.queues.enqueue import enqueue


def store(incoming: Incoming) -> tuple[str, str]:
    """Store a delivery and queue its task in one transaction.

    Return what became of it, `queued`, `duplicate`, `requeued` or `ignored`, and why it is ignored, empty if it is not.
    Of several equal deliveries at the same time the constraint on the identity lets one in; the others find its row.
    """
    identity = {"delivery_id": incoming.delivery_id, "event_type": incoming.event_type}
    known = Delivery.objects.filter(**identity).first()
    if known is None:
        try:
            with transaction.atomic():
                return _admit(incoming)
        except IntegrityError:
            known = Delivery.objects.get(**identity)
    if known.status == DeliveryStatus.IGNORED:
        # Not what would be said today: the settings may have changed since.
        return "ignored", known.ignore_reason
    return "requeued" if requeue(known) else "duplicate", ""


def _admit(incoming: Incoming) -> tuple[str, str]:
    delivery = Delivery.objects.create(
        delivery_id=incoming.delivery_id,
        event=incoming.event,
        event_type=incoming.event_type,
        repo=incoming.repo,
        pr_number=incoming.pr_number,
        installation_id=incoming.installation_id,
        head_sha=incoming.head_sha,
        sender=incoming.sender,
        addressed=incoming.addressed,
        command=incoming.command or None,
        comment_id=incoming.comment_id,
        thread_id=incoming.thread_id,
        ignore_reason=incoming.ignore or "",
        status=DeliveryStatus.IGNORED if incoming.ignore else DeliveryStatus.QUEUED,
    )
    if incoming.ignore:
        return "ignored", incoming.ignore
    if incoming.pr_number is not None:
        Review.objects.create(delivery=delivery, repo=incoming.repo, pr_number=incoming.pr_number)
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
        until = timezone.now() + SETTLED_AFTER if review is not None and review.may_be_posted else None
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
