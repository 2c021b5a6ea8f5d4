"""The inbox (`Delivery`), the runs (`Review`), and what is done about them at regular times.

These rows, and not the queue, are what Kodiai remembers.
"""

import hashlib
from datetime import timedelta

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from reviews.exceptions import LeaseLost
from telemetry.models import Conclusion, DegradationPath


class DeliveryStatus(models.TextChoices):
    """Where a delivery stands: received → queued → running → done | failed, or ignored."""

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
    DRAFT = "draft"
    NO_MENTION = "no-mention"
    NOT_A_PULL_REQUEST = "not-a-pull-request"
    CHECK_OF_ANOTHER_APP = "check-of-another-app"
    NO_PULL_REQUEST = "no-pull-request"


class Command(models.TextChoices):
    """What a comment can ask Kodiai for: the word after the mention."""

    REVIEW = "review"
    PAUSE = "pause"
    RESUME = "resume"
    IGNORE = "ignore"
    EXPLAIN = "explain"
    HELP = "help"


class AuthorTier(models.TextChoices):
    """How well a repository knows an author, by merged pull requests."""

    FIRST_TIME = "first-time"
    REGULAR = "regular"
    CORE = "core"


class Delivery(models.Model):
    """One webhook delivery.

    Its identity is the pair (delivery id, event type): GitHub repeats the delivery id when it sends again, and the
    constraint below sees to it that whatever is sent again is the same row.
    """

    delivery_id = models.CharField(max_length=255, help_text="X-GitHub-Delivery: opaque, not always a UUID")
    event = models.CharField(max_length=255, help_text="X-GitHub-Event")
    event_type = models.CharField(max_length=255, help_text="<event>.<action>")
    status = models.CharField(max_length=16, choices=DeliveryStatus, default=DeliveryStatus.RECEIVED)
    ignore_reason = models.CharField(max_length=32, choices=IgnoreReason, blank=True)
    repo = models.CharField(max_length=255, blank=True, help_text="owner/name")
    pr_number = models.BigIntegerField(null=True, blank=True)
    installation_id = models.BigIntegerField(null=True, blank=True)
    head_sha = models.CharField(max_length=64, blank=True, help_text="Head commit at the time of the event")
    sender = models.CharField(max_length=255, blank=True)
    addressed = models.BooleanField(default=False, help_text="Somebody asked for Kodiai by name")
    # NULL, here and where it is said below, so that the column is added without a rebuild of the table in SQLite.
    command = models.CharField(  # noqa: DJ001
        max_length=32, null=True, blank=True, help_text="The word after the mention in a comment, known or not"
    )
    comment_id = models.BigIntegerField(null=True, blank=True, help_text="The comment that mentions Kodiai")
    thread_id = models.BigIntegerField(null=True, blank=True, help_text="The comment that began its thread on lines")
    failure = models.TextField(blank=True, help_text="Why the last attempt failed, with its traceback")
    received_at = models.DateTimeField(default=timezone.now, editable=False)
    queued_at = models.DateTimeField(null=True, blank=True, help_text="When its latest task was to run first")
    # NULL, and not "": see above.
    task_id = models.CharField(  # noqa: DJ001
        max_length=64, null=True, blank=True, help_text="Its latest task, as the queue calls it"
    )
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(fields=["delivery_id", "event_type"], name="reviews_delivery_identity"),
            models.CheckConstraint(condition=Q(status__in=DeliveryStatus.values), name="reviews_delivery_status"),
        ]
        indexes = [models.Index(fields=["status", "received_at"], name="reviews_delivery_status_idx")]

    def __str__(self) -> str:
        return f"{self.delivery_id} {self.event_type}"

    @property
    def log_fields(self) -> dict[str, object]:
        """What every log line about this delivery carries."""
        return {
            "delivery_id": self.delivery_id,
            "event_type": self.event_type,
            "repo": self.repo,
            "pr_number": self.pr_number,
        }

    @property
    def identity_digest(self) -> str:
        """The identity as 32 hexadecimal digits, for the marker in a published review."""
        return hashlib.sha256(f"{self.delivery_id}\n{self.event_type}".encode()).hexdigest()[:32]

    @property
    def redelivery_requested(self) -> bool:
        """Tell whether the inbox had to ask for it: then it may have been acted on before, and the database that knew
        that was restored from a backup."""
        return MissedDelivery.objects.filter(delivery_id=self.delivery_id, event_type=self.event_type).exists()


class ReviewQuerySet(models.QuerySet["Review"]):
    """Queries for runs with pending work."""

    def pending_rate_limit_event(self) -> "ReviewQuerySet":
        """Runs whose rate-limit event is not known to be stored, those not tried for longest first.

        A run owes its event from the moment its enrichment is final. One that ended before, or whose repository
        turned telemetry off, owes nothing.
        """
        return self.filter(
            enriched_at__isnull=False, telemetry_enabled=True, rate_limit_event_recorded_at__isnull=True
        ).order_by(F("rate_limit_event_tried_at").asc(nulls_first=True), "pk")

    def pending_execution(self) -> "ReviewQuerySet":
        """Finished runs whose execution row is not known to be stored."""
        return self.filter(
            finished_at__isnull=False, telemetry_enabled=True, execution_recorded_at__isnull=True
        ).order_by("pk")

    def pending_check_run(self) -> "ReviewQuerySet":
        """Ended runs whose check run GitHub is to be told now, those that are due for longest first."""
        return self.filter(check_run_due_at__lte=timezone.now()).order_by("check_run_due_at")


class Review(models.Model):
    """One run of the pipeline for one pull request at one head commit.

    Each finished step leaves its time stamp, and a run that was interrupted goes on at the first step without one.
    The row is also the outbox of telemetry: what a run has to record is stored here before it is recorded, so that
    a resumed run records the same values under the same identity.
    """

    delivery = models.OneToOneField(Delivery, on_delete=models.CASCADE, related_name="review")
    repo = models.CharField(max_length=255, help_text="owner/name")
    pr_number = models.BigIntegerField("pull request")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    lease_owner = models.CharField(max_length=100, blank=True, help_text="The claim under which it is run")
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0, help_text="Attempts that failed; a deferral is not one")
    deferred_since = models.DateTimeField(null=True, blank=True, help_text="When GitHub's limits put it off first")
    deferred_until = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)

    # 0 obey, where a comment started it
    command_applied_at = models.DateTimeField(
        null=True, blank=True, help_text="When pause, resume or ignore took effect, in the same transaction"
    )
    answering_at = models.DateTimeField(
        null=True, blank=True, help_text="Set before the comment is answered: from then on GitHub may have the answer"
    )
    answered_at = models.DateTimeField(null=True, blank=True)
    # 1 load
    loaded_at = models.DateTimeField(null=True, blank=True)
    head_sha = models.CharField(max_length=64, blank=True)
    pr_author = models.CharField(max_length=255, blank=True)
    telemetry_enabled = models.BooleanField(default=True)
    config = models.JSONField(
        null=True, blank=True, help_text="What .kodiai.yml settled then, where it differs: reviews.config.repository"
    )
    # 2 enrich
    enriched_at = models.DateTimeField(null=True, blank=True)
    author_tier = models.CharField(max_length=16, choices=AuthorTier, blank=True)
    cache_hit_rate = models.FloatField(default=0.0, help_text="0..1")
    skipped_queries = models.IntegerField(default=0)
    retry_attempts = models.IntegerField(default=0)
    degradation_path = models.CharField(max_length=64, choices=DegradationPath, default=DegradationPath.NONE)
    # 3 record
    rate_limit_event_tried_at = models.DateTimeField(null=True, blank=True)
    rate_limit_event_recorded_at = models.DateTimeField(null=True, blank=True)
    # 4 analyse
    analysed_at = models.DateTimeField(null=True, blank=True)
    report = models.JSONField(null=True, blank=True, help_text="What the engines found: reviews.findings.Report")
    language_model_asked_at = models.DateTimeField(null=True, blank=True, help_text="When a budget paid for it last")
    language_model_paid = models.FloatField(
        "paid for the language model (USD)",
        null=True,
        blank=True,
        help_text="What the budgets count: the cost, or its upper bound where none was reported",
    )
    language_model_usage = models.JSONField(
        null=True, blank=True, help_text="What the provider told: reviews.engines.llm.Usage"
    )
    # 5 publish
    publishing_at = models.DateTimeField(
        null=True, blank=True, help_text="Set before the review is posted: from then on GitHub may have it"
    )
    published_at = models.DateTimeField(null=True, blank=True)
    github_review_id = models.BigIntegerField(null=True, blank=True)
    github_review_url = models.CharField(max_length=1024, blank=True)
    # 6 record
    finished_at = models.DateTimeField(null=True, blank=True)
    conclusion = models.CharField(max_length=16, choices=Conclusion, blank=True)
    conclusion_reason = models.TextField(blank=True)
    execution_recorded_at = models.DateTimeField(null=True, blank=True)
    # 7 tell: the check run on GitHub
    check_run_due_at = models.DateTimeField(
        null=True, blank=True, help_text="When it is told, or tried again; empty where none is owed"
    )
    check_run_posting_at = models.DateTimeField(
        null=True, blank=True, help_text="Set before it is posted: from then on GitHub may have it"
    )
    check_run_reported_at = models.DateTimeField(null=True, blank=True)

    objects = ReviewQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["repo", "pr_number"], condition=~Q(lease_owner=""), name="reviews_one_run_per_pull_request"
            )
        ]
        indexes = [
            models.Index(fields=["lease_expires_at"], name="reviews_lease_idx", condition=~Q(lease_owner="")),
            models.Index(fields=["repo", "pr_number"], name="reviews_review_pull_idx"),
            models.Index(
                fields=["rate_limit_event_tried_at", "id"],
                name="reviews_owing_event_idx",
                condition=Q(
                    enriched_at__isnull=False, telemetry_enabled=True, rate_limit_event_recorded_at__isnull=True
                ),
            ),
            models.Index(
                fields=["id"],
                name="reviews_owing_execution_idx",
                condition=Q(finished_at__isnull=False, telemetry_enabled=True, execution_recorded_at__isnull=True),
            ),
            models.Index(
                fields=["check_run_due_at"],
                name="reviews_owing_check_run_idx",
                condition=Q(check_run_due_at__isnull=False),
            ),
            models.Index(
                fields=["language_model_asked_at"],
                name="reviews_language_model_idx",
                condition=Q(language_model_asked_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.repo}#{self.pr_number} {self.conclusion or 'not finished'}"

    def store(self, **values: object) -> None:
        """Store `values` if this run is still ours, in one filtered UPDATE; raise `LeaseLost` if it is not."""
        mine = Review.objects.filter(pk=self.pk, lease_owner=self.lease_owner)
        if not mine.update(**values):
            raise LeaseLost(f"the run of {self} was taken over by another worker")
        for name, value in values.items():
            setattr(self, name, value)

    def stamp(self, step: str, **values: object) -> None:
        """Store `values` and the time at which `step` (the name of a time stamp) was done. Raises `LeaseLost`."""
        self.store(**values, **{step: timezone.now()})

    def prove_claim(self) -> None:
        """Raise `LeaseLost` if this run is not ours any more: a filtered write that changes nothing."""
        self.store(lease_owner=self.lease_owner)

    def others(self) -> ReviewQuerySet:
        """The other runs of the same pull request."""
        return Review.objects.filter(repo=self.repo, pr_number=self.pr_number).exclude(pk=self.pk)

    def paused_by(self) -> str:
        """Who paused the pull request; empty where nobody did, or it was resumed.

        Of two commands the one that came later counts, in whatever order their runs were made.
        """
        orders = Delivery.objects.filter(
            repo=self.repo,
            pr_number=self.pr_number,
            command__in=(Command.PAUSE, Command.RESUME),
            review__command_applied_at__isnull=False,
        )
        last = orders.order_by("-pk").first()
        return last.sender if last is not None and last.command == Command.PAUSE else ""

    def later_deliveries(self) -> models.QuerySet[Delivery]:
        """Deliveries about the same pull request that came after that of this run."""
        return Delivery.objects.filter(pk__gt=self.delivery_id, repo=self.repo, pr_number=self.pr_number)

    def store_check_run(self, **values: object) -> None:
        """Store `values` if the check run of this run, which has ended, is still ours to tell; else raise `LeaseLost`.

        Who sets `check_run_due_at` to a time in the future has it until then.
        """
        mine = Review.objects.filter(pk=self.pk, lease_owner="", check_run_due_at=self.check_run_due_at)
        if self.check_run_due_at is None or not mine.update(**values):
            raise LeaseLost(f"the check run of {self} is told by another process, or not owed any more")
        for name, value in values.items():
            setattr(self, name, value)

    def stamp_check_run(self, step: str, **values: object) -> None:
        """As `stamp`, for the check run. Raises `LeaseLost`."""
        self.store_check_run(**values, **{step: timezone.now()})

    @property
    def reported_commit(self) -> str:
        """The commit that the check run is about: the head commit that was looked at, or else that of the event."""
        return self.head_sha or self.delivery.head_sha

    @property
    def may_be_posted(self) -> bool:
        """Tell whether GitHub may have the review, or the answer to a comment, and nobody knows: its post was begun,
        and its outcome is not stored.

        Such a run waits for `POST_VISIBILITY_DELAY` after its last possible post before it looks for its marker.
        """
        review = self.publishing_at is not None and self.published_at is None
        return review or (self.answering_at is not None and self.answered_at is None)

    @property
    def duration(self) -> timedelta:
        """Time from the first start of the run to its end, or until now; zero for a run that never started."""
        if self.started_at is None:
            return timedelta()
        return (self.finished_at or timezone.now()) - self.started_at


class IgnoredFinding(models.Model):
    """What somebody asked never to hear again in a repository. To delete it is to hear it again."""

    repo = models.CharField(max_length=255, help_text="owner/name")
    content_hash = models.CharField(
        max_length=32, help_text="What was found: a digest of rule, message and the line's own text"
    )
    rule = models.CharField(max_length=100, blank=True, help_text="Empty where no report tells of it any more")
    message = models.TextField(blank=True)
    path = models.TextField(blank=True, help_text="Where it was when it was ignored")
    pr_number = models.BigIntegerField("pull request")
    ignored_by = models.CharField(max_length=255)
    ignored_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["repo", "content_hash"], name="reviews_ignored_finding")]

    def __str__(self) -> str:
        return f"{self.rule or self.content_hash} in {self.repo}"


class ThumbsDown(models.Model):
    """How many people were not helped by a comment of Kodiai's on lines, as of the last run that looked."""

    comment_id = models.BigIntegerField(unique=True, help_text="GitHub's number of the comment")
    repo = models.CharField(max_length=255, help_text="owner/name")
    pr_number = models.BigIntegerField("pull request")
    path = models.TextField(blank=True)
    rule = models.CharField(max_length=100, blank=True, help_text="Empty where no report tells of it any more")
    people = models.PositiveIntegerField(help_text="Thumbs down")
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "thumbs down"

    def __str__(self) -> str:
        return f"{self.rule} in {self.repo}: {self.people}"


class MissedDelivery(models.Model):
    """A delivery that GitHub sent and the inbox does not have: how often GitHub was asked to send it again."""

    delivery_id = models.CharField(max_length=255, help_text="GitHub's guid of it, X-GitHub-Delivery")
    event_type = models.CharField(max_length=255, help_text="<event>.<action>")
    delivered_at = models.DateTimeField(help_text="When GitHub sent it last, as far as GitHub's list told")
    status_code = models.PositiveIntegerField(help_text="What GitHub was answered then; 0 where nothing came back")
    requests = models.PositiveIntegerField(default=0, help_text="Times that GitHub was asked to send it again")
    requested_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "missed deliveries"
        constraints = [
            models.UniqueConstraint(fields=["delivery_id", "event_type"], name="reviews_missed_delivery_identity")
        ]

    def __str__(self) -> str:
        return f"{self.delivery_id} {self.event_type}"


class PeriodicTask(models.Model):
    """One of the periodic tasks: when it is due, who may run it now, and how it went last."""

    name = models.CharField(max_length=64, primary_key=True)
    due_at = models.DateTimeField(default=timezone.now)
    # Held while it runs. A process that dies in the middle holds it no longer than this.
    held_until = models.DateTimeField(null=True, blank=True, help_text="Until then no other process runs it")
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True, help_text="When it went well last")
    outcome = models.CharField(max_length=255, blank=True, help_text="What it did then")
    failed_at = models.DateTimeField(null=True, blank=True, help_text="When it failed last")
    failure = models.TextField(blank=True, help_text="Why, with the traceback")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
