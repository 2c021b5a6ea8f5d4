"""The inbox: webhook deliveries, and those that GitHub sent and the inbox does not have."""

import hashlib
from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils import timezone


def of_repository(repo_id: int | None, repo: str) -> Q:
    """Rows about a repository: by GitHub's id, which a rename and a transfer keep.

    By name where the id is not known, in `repo_id` or in a row.
    """
    by_name = Q(repo=repo)
    return by_name if repo_id is None else Q(repo_id=repo_id) | (by_name & Q(repo_id=None))


class DeliveryStatus(models.TextChoices):
    """Status of a delivery: received → queued → running → done | failed, or ignored."""

    RECEIVED = "received"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    IGNORED = "ignored"


class IgnoreReason(models.TextChoices):
    """Why a delivery was answered with 202 and not acted on."""

    EVENT = "event-not-handled"
    ACTION = "action-not-handled"
    OWN_EVENT = "own-event"
    BOT_SENDER = "bot-sender"
    NO_MENTION = "no-mention"
    NOT_A_PULL_REQUEST = "not-a-pull-request"
    CHECK_OF_ANOTHER_APP = "check-of-another-app"
    NO_PULL_REQUEST = "no-pull-request"


class Command(models.TextChoices):
    """Commands in a comment: the word after the mention."""

    REVIEW = "review"
    PAUSE = "pause"
    RESUME = "resume"
    IGNORE = "ignore"
    EXPLAIN = "explain"
    HELP = "help"


WAITING = (DeliveryStatus.RECEIVED, DeliveryStatus.QUEUED)
"""Statuses of a delivery that no worker has taken."""


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    """Queries for deliveries that wait for a worker."""

    def waiting(self) -> "DeliveryQuerySet":
        """Deliveries that no worker has taken, whether they are due or deferred."""
        return self.filter(status__in=WAITING)

    def due(self) -> "DeliveryQuerySet":
        """Waiting deliveries whose time has come."""
        return self.waiting().filter(queued_at__lte=timezone.now())

    def oldest_due(self) -> datetime | None:
        """Return since when the oldest due delivery has waited; None if none is due."""
        return self.due().order_by("queued_at").values_list("queued_at", flat=True).first()


class Delivery(models.Model):
    """One webhook delivery.

    Its identity is the pair (delivery id, event type). A redelivery has the same delivery id; the constraint makes it
    the same row.
    """

    delivery_id = models.CharField(max_length=255, help_text="X-GitHub-Delivery: opaque, not always a UUID")
    event = models.CharField(max_length=255, help_text="X-GitHub-Event")
    event_type = models.CharField(max_length=255, help_text="<event>.<action>")
    status = models.CharField(max_length=16, choices=DeliveryStatus, default=DeliveryStatus.RECEIVED)
    ignore_reason = models.CharField(max_length=32, choices=IgnoreReason, blank=True)
    repo = models.CharField(max_length=255, blank=True, help_text="owner/name, at the time of the event")
    repo_id = models.BigIntegerField(null=True, blank=True, help_text="GitHub's id of the repository")
    pr_number = models.BigIntegerField(null=True, blank=True)
    installation_id = models.BigIntegerField(null=True, blank=True)
    head_sha = models.CharField(max_length=64, blank=True, help_text="Head commit at the time of the event")
    base_ref = models.CharField(max_length=255, blank=True, help_text="Base branch of a merge group")
    base_sha = models.CharField(max_length=64, blank=True, help_text="Commit that a merge group is compared with")
    repositories = models.JSONField(
        default=list, blank=True, help_text="Repositories that were removed from the installation"
    )
    sender = models.CharField(max_length=255, blank=True)
    author = models.CharField(
        max_length=255, blank=True, help_text="Whose turn it uses: the pull request's author, or the sender"
    )
    addressed = models.BooleanField(default=False, help_text="Somebody asked for Kodiai by name")
    command = models.CharField(
        max_length=32, blank=True, help_text="The word after the mention in a comment, known or not"
    )
    comment_id = models.BigIntegerField(null=True, blank=True, help_text="The comment that mentions Kodiai")
    thread_id = models.BigIntegerField(null=True, blank=True, help_text="The first comment of its thread on lines")
    failure = models.TextField(blank=True, help_text="Why the last attempt failed, with its traceback")
    received_at = models.DateTimeField(default=timezone.now, editable=False)
    queued_at = models.DateTimeField(null=True, blank=True, help_text="Earliest start of its latest task")
    task_id = models.CharField(
        max_length=64,
        blank=True,
        help_text="Id of its latest task in the queue; empty while its author has another run",
    )
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(fields=["delivery_id", "event_type"], name="reviews_delivery_identity"),
            models.CheckConstraint(condition=Q(status__in=DeliveryStatus.values), name="reviews_delivery_status"),
        ]
        indexes = [
            models.Index(fields=["status", "id"], name="reviews_delivery_status_idx"),
            models.Index(fields=["repo_id", "id"], name="reviews_delivery_repo_idx"),
            # The dashboard counts by time and status, from the index alone.
            models.Index(fields=["received_at", "status"], name="reviews_delivery_time_idx"),
            # All that is needed to find whose turn it is (`reviews.runs.turns`), for waiting deliveries only.
            models.Index(
                fields=["status", "installation_id", "author", "event", "addressed", "queued_at", "id"],
                name="reviews_delivery_turn_idx",
                condition=Q(status=DeliveryStatus.QUEUED),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.delivery_id} {self.event_type}"

    @property
    def identity(self) -> tuple[str, str]:
        """The key of exactly-once: delivery id and event type."""
        return self.delivery_id, self.event_type

    @property
    def log_fields(self) -> dict[str, object]:
        """Fields of every log line about this delivery."""
        return {
            "delivery_id": self.delivery_id,
            "event_type": self.event_type,
            "repo": self.repo,
            "pr_number": self.pr_number,
            "installation_id": self.installation_id,
        }

    @property
    def is_automatic(self) -> bool:
        """Return whether nobody asked for the review: not by name, nor by "Re-run", and no merge queue did."""
        return self.event == "pull_request" and not self.addressed

    @property
    def is_waiting(self) -> bool:
        """Return whether the delivery waits for a worker, and not for a time in the future."""
        return self.status in WAITING and (self.queued_at is None or self.queued_at <= timezone.now())

    @property
    def identity_digest(self) -> str:
        """The identity as 32 hexadecimal digits, for the marker in what is posted."""
        return hashlib.sha256(f"{self.delivery_id}\n{self.event_type}".encode()).hexdigest()[:32]

    @property
    def redelivery_requested(self) -> bool:
        """Return whether Kodiai requested a redelivery. Then an earlier delivery may have been acted on, and the
        database that knew of it been replaced by a backup."""
        return MissedDelivery.objects.filter(delivery_id=self.delivery_id, event_type=self.event_type).exists()


class MissedDelivery(models.Model):
    """A delivery that GitHub sent and the inbox does not have, and how often its redelivery was requested."""

    delivery_id = models.CharField(max_length=255, help_text="GitHub's guid, X-GitHub-Delivery")
    event_type = models.CharField(max_length=255, help_text="<event>.<action>")
    delivered_at = models.DateTimeField(help_text="Time of the latest attempt in GitHub's list")
    status_code = models.PositiveIntegerField(help_text="Status of the answer to that attempt; 0 if none")
    requests = models.PositiveIntegerField(default=0, help_text="Times that GitHub was asked to send it again")
    requested_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "missed deliveries"
        constraints = [
            models.UniqueConstraint(fields=["delivery_id", "event_type"], name="reviews_missed_delivery_identity")
        ]

    def __str__(self) -> str:
        return f"{self.delivery_id} {self.event_type}"
