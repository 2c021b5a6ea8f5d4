"""The runs, and the rows that belong to them."""

from datetime import timedelta

from django.db import models, transaction
from django.db.models import Exists, F, Max, OuterRef, Q
from django.utils import timezone

from reviews.exceptions import LeaseLost
from reviews.models.deliveries import Command, Delivery, DeliveryStatus, of_repository
from telemetry.models import Conclusion, DegradationPath

CLAIMED = ~Q(lease_owner="")
"""Runs that a worker has claimed."""
PENDING_RATE_LIMIT_EVENT = Q(
    enriched_at__isnull=False, telemetry_enabled=True, rate_limit_event_recorded_at__isnull=True
)
"""Runs whose rate-limit event is not known to be stored. A run that ended before its enrichment has none, nor has one
whose repository turned telemetry off."""
PENDING_EXECUTION = Q(finished_at__isnull=False, telemetry_enabled=True, execution_recorded_at__isnull=True)
"""Finished runs whose execution is not known to be stored."""
PENDING_CHECK_RUN = Q(due_at__isnull=False)
"""Check runs that are still to be reported, now or later."""


def unconfirmed_post() -> Q:
    """Runs whose review or answer was announced and not confirmed: see `publishing.post_once`."""
    answers = CommandOutcome.objects.filter(answering_at__isnull=False, answered_at__isnull=True)
    return Q(publishing_at__isnull=False, published_at__isnull=True) | Q(Exists(answers.filter(review=OuterRef("pk"))))


class AuthorTier(models.TextChoices):
    """How well a repository knows an author, by merged pull requests."""

    FIRST_TIME = "first-time"
    REGULAR = "regular"
    CORE = "core"


class ReviewQuerySet(models.QuerySet["Review"]):
    """Queries for runs with pending work."""

    def pending_rate_limit_event(self) -> "ReviewQuerySet":
        """Runs whose rate-limit event is pending; first those whose last try is longest ago."""
        return self.filter(PENDING_RATE_LIMIT_EVENT).order_by(
            F("rate_limit_event_tried_at").asc(nulls_first=True), "pk"
        )

    def pending_execution(self) -> "ReviewQuerySet":
        """Runs whose execution is pending; first those whose last try is longest ago."""
        return self.filter(PENDING_EXECUTION).order_by(F("execution_tried_at").asc(nulls_first=True), "pk")


class Review(models.Model):
    """One run of the pipeline for one pull request, or one merge group, at one head commit.

    Each step stores a time stamp when it is done; an interrupted run resumes at the first step without one. The row is
    also the outbox of telemetry: values are stored here before they are recorded, so a resumed run records the same
    values under the same identity.
    """

    delivery = models.OneToOneField(Delivery, on_delete=models.CASCADE, related_name="review")
    repo = models.CharField(max_length=255, help_text="owner/name, at the time of the event")
    repo_id = models.BigIntegerField(null=True, blank=True, help_text="GitHub's id of the repository")
    pr_number = models.BigIntegerField("pull request", null=True, blank=True, help_text="Empty for a merge group")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    lease_owner = models.CharField(max_length=100, blank=True, help_text="The claim of the worker that runs it")
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0, help_text="Failed attempts; a deferral is not one")
    deferred_since = models.DateTimeField(null=True, blank=True, help_text="When it was deferred first")
    deferred_until = models.DateTimeField(null=True, blank=True, help_text="When its next attempt is due")
    started_at = models.DateTimeField(null=True, blank=True)

    # 1 load
    loaded_at = models.DateTimeField(null=True, blank=True)
    head_sha = models.CharField(max_length=64, blank=True)
    base_ref = models.CharField(max_length=255, blank=True, help_text="Base branch that the head is compared with")
    pr_author = models.CharField(max_length=255, blank=True)
    telemetry_enabled = models.BooleanField(default=True)
    config = models.JSONField(
        default=dict, blank=True, help_text="What .kodiai.yml changed, as of then: reviews.config.repository"
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
    execution_tried_at = models.DateTimeField(null=True, blank=True)
    execution_recorded_at = models.DateTimeField(null=True, blank=True)

    objects = ReviewQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["repo", "pr_number"], condition=CLAIMED, name="reviews_one_run_per_pull_request"
            ),
            models.UniqueConstraint(
                fields=["repo_id", "pr_number"], condition=CLAIMED, name="reviews_one_run_per_pull_by_id"
            ),
        ]
        indexes = [
            models.Index(fields=["lease_expires_at"], name="reviews_lease_idx", condition=CLAIMED),
            models.Index(fields=["repo", "pr_number"], name="reviews_review_pull_idx"),
            models.Index(fields=["repo", "head_sha"], name="reviews_review_commit_idx"),
            # Runs of a repository in the order of their ids, for the admin and the API. The two above have them in
            # another order, and a set of a frequent repository's would be made first.
            models.Index(fields=["repo", "id"], name="reviews_review_repo_idx"),
            models.Index(fields=["repo_id", "pr_number"], name="reviews_review_pull_id_idx"),
            # The dashboard counts by time and conclusion, from the index alone: a row holds a whole report.
            models.Index(fields=["created_at", "conclusion", "published_at"], name="reviews_review_time_idx"),
            models.Index(fields=["conclusion", "id"], name="reviews_review_conclusion_idx"),
            models.Index(
                fields=["rate_limit_event_tried_at", "id"],
                name="reviews_pending_event_idx",
                condition=PENDING_RATE_LIMIT_EVENT,
            ),
            models.Index(
                fields=["execution_tried_at", "id"], name="reviews_pending_execution_idx", condition=PENDING_EXECUTION
            ),
            models.Index(fields=["finished_at"], name="reviews_review_finished_idx"),
        ]

    def __str__(self) -> str:
        subject = f"@{self.delivery.head_sha[:7]}" if self.is_merge_group else f"#{self.pr_number}"
        return f"{self.repo}{subject} {self.conclusion or 'not finished'}"

    def store(self, **values: object) -> None:
        """Store `values` if this run is still claimed as `lease_owner` says, in one filtered UPDATE.

        Raises `LeaseLost` if it is not.
        """
        mine = Review.objects.filter(pk=self.pk, lease_owner=self.lease_owner)
        if not mine.update(**values):
            raise LeaseLost(f"the run of {self} was taken over by another worker")
        _set(self, values)

    def stamp(self, step: str, **values: object) -> None:
        """Store `values` and the time in `step`, the name of a time stamp. Raises `LeaseLost`."""
        self.store(**values, **{step: timezone.now()})

    def prove_claim(self) -> None:
        """Raise `LeaseLost` if the claim was lost: a filtered write that changes nothing and locks the row."""
        self.store(lease_owner=self.lease_owner)

    def store_in(self, row: "CommandOutcome | LanguageModelUsage", **values: object) -> None:
        """Store `values` in a row of this run, under the claim of the run. Raises `LeaseLost`."""
        with transaction.atomic():
            self.prove_claim()
            type(row)._default_manager.filter(pk=row.pk).update(**values)
        _set(row, values)

    @property
    def log_fields(self) -> dict[str, object]:
        """Fields of every log line about this run."""
        return {**self.delivery.log_fields, "review_id": self.pk}

    @property
    def is_merge_group(self) -> bool:
        """Return whether the run is about a commit of a merge queue, which has no pull request."""
        return self.pr_number is None

    @property
    def number(self) -> int:
        """The number of the pull request. Raises ValueError for a merge group."""
        if self.pr_number is None:
            raise ValueError(f"{self} is about a merge group")
        return self.pr_number

    def others(self) -> ReviewQuerySet:
        """The other runs of the same pull request, or of the same merge group."""
        same = Review.objects.filter(self.of_repository, pr_number=self.pr_number).exclude(pk=self.pk)
        return same.filter(delivery__head_sha=self.delivery.head_sha) if self.is_merge_group else same

    def is_about_older_commit(self, head_sha: str) -> bool:
        """Return whether the head commit has changed since the event, and another run is about the present one.

        The delivery of that run came later, or earlier if this one is a redelivery.
        """
        if self.delivery.head_sha in ("", head_sha):
            return False
        acted_on = self.later_deliveries().exclude(status=DeliveryStatus.IGNORED)
        reviewed = self.others().filter(head_sha=head_sha, published_at__isnull=False)
        return acted_on.filter(head_sha=head_sha).exists() or reviewed.exists()

    def is_repetition(self, head_sha: str) -> bool:
        """Return whether somebody else's review was requested at a head commit that Kodiai has reviewed.

        GitHub sends one `review_requested` per requested person, most often right after `opened`.
        """
        requested = self.delivery.event_type == "pull_request.review_requested" and not self.delivery.addressed
        return requested and self.is_reviewed(head_sha)

    def is_reviewed(self, head_sha: str) -> bool:
        """Return whether another run has reviewed a head commit of the pull request against the same base branch."""
        return self.others().filter(head_sha=head_sha, base_ref=self.base_ref, published_at__isnull=False).exists()

    def verdicts_of_others(self) -> list["Review"]:
        """The latest verdict of each other pull request that Kodiai has reported on the same commit, by number."""
        at_commit = Review.objects.filter(
            self.of_repository, head_sha=self.reported_commit, pr_number__isnull=False, check_run_report__isnull=False
        ).exclude(pr_number=self.pr_number)
        finished = at_commit.filter(finished_at__isnull=False).values("pr_number")
        latest = [row["latest"] for row in finished.annotate(latest=Max("pk"))]
        if not latest:  # As for most commits.
            return []
        return list(Review.objects.filter(pk__in=latest).select_related("delivery").order_by("pr_number"))

    def paused_by(self) -> str:
        """Who paused the pull request; empty if nobody did, or it was resumed.

        The later of two commands counts, in whatever order their runs were made.
        """
        commands = Delivery.objects.filter(
            self.of_repository,
            pr_number=self.pr_number,
            command__in=(Command.PAUSE, Command.RESUME),
            review__command_outcome__applied_at__isnull=False,
        )
        last = commands.order_by("-pk").first()
        return last.sender if last is not None and last.command == Command.PAUSE else ""

    def later_deliveries(self) -> models.QuerySet[Delivery]:
        """Deliveries about the same pull request that came after that of this run."""
        same = Delivery.objects.filter(self.of_repository, pk__gt=self.delivery_id, pr_number=self.pr_number)
        return same.filter(head_sha=self.delivery.head_sha) if self.is_merge_group else same

    @property
    def of_repository(self) -> Q:
        """Rows about the repository of this run."""
        return of_repository(self.repo_id, self.repo)

    @property
    def location(self) -> tuple[str, int | None, int | None]:
        """The repository's name and installation, as of its latest delivery, and its id: for a `Client`."""
        known = Delivery.objects.filter(repo_id=self.repo_id) if self.repo_id is not None else Delivery.objects.none()
        # Of a delivery that is not acted on, the name is not always kept.
        latest = known.exclude(repo="").order_by("-pk").first() or self.delivery
        return latest.repo, latest.installation_id or self.delivery.installation_id, self.repo_id

    @property
    def reported_commit(self) -> str:
        """The commit of the check run: the head commit that was loaded, else that of the event."""
        return self.head_sha or self.delivery.head_sha

    @property
    def has_unconfirmed_post(self) -> bool:
        """Return whether a post of this run was announced and not confirmed, as of now in the database.

        Such a run is not claimed for `POST_VISIBILITY_DELAY` after its last possible post.
        """
        return Review.objects.filter(unconfirmed_post(), pk=self.pk).exists()

    @property
    def duration(self) -> timedelta:
        """Time from the first start since it was queued to its end, or until now; zero if it never started."""
        if self.started_at is None:
            return timedelta()
        return (self.finished_at or timezone.now()) - self.started_at


class CommandOutcome(models.Model):
    """What became of the command in the comment that started a run. Written under the claim of the run."""

    review = models.OneToOneField(Review, on_delete=models.CASCADE, related_name="command_outcome")
    applied_at = models.DateTimeField(
        null=True, blank=True, help_text="When pause, resume or ignore took effect, in the same transaction"
    )
    answering_at = models.DateTimeField(
        null=True, blank=True, help_text="Set before the comment is answered: from then on GitHub may have the answer"
    )
    answered_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"command of {self.review}"

    def stamp(self, step: str) -> None:
        """Store the time in `step`, the name of a time stamp. Raises `LeaseLost`."""
        self.review.store_in(self, **{step: timezone.now()})


class LanguageModelUsage(models.Model):
    """What a run has used of the language model, and what the budgets count. Written under the claim of the run."""

    review = models.OneToOneField(Review, on_delete=models.CASCADE, related_name="language_model_usage")
    reserved_at = models.DateTimeField(null=True, blank=True, help_text="When a budget paid for a call last")
    paid_usd = models.FloatField(
        "paid (USD)", default=0.0, help_text="What the budgets count: the cost, or its upper bound while it is unknown"
    )
    usage = models.JSONField(
        default=dict, blank=True, help_text="What the provider reported: reviews.engines.llm.Usage"
    )
    counted_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was added to the tallies: a requeued run ends twice"
    )

    class Meta:
        verbose_name_plural = "language model usage"
        indexes = [models.Index(fields=["reserved_at"], name="reviews_language_model_idx")]

    def __str__(self) -> str:
        return f"${self.paid_usd:.4f} of {self.review}"


class CheckRunReportQuerySet(models.QuerySet["CheckRunReport"]):
    """Queries for check runs that GitHub does not have yet."""

    def pending(self) -> "CheckRunReportQuerySet":
        """Those that are due now, the longest due first."""
        return self.filter(PENDING_CHECK_RUN, due_at__lte=timezone.now()).order_by("due_at")


class CheckRunReport(models.Model):
    """The check run that reports how a run ended; made in the transaction in which the run finishes.

    It has its own claim, because the run has ended. A process claims it with an UPDATE that is filtered by
    `due_at` and sets `due_at` to a time in the future: until then it belongs to that process.
    """

    review = models.OneToOneField(Review, on_delete=models.CASCADE, related_name="check_run_report")
    due_at = models.DateTimeField(
        null=True, blank=True, help_text="When it is reported, or tried again; empty if it is not pending"
    )
    posting_at = models.DateTimeField(
        null=True, blank=True, help_text="Set before it is posted: from then on GitHub may have it"
    )
    reported_at = models.DateTimeField(null=True, blank=True)
    renewed_at = models.DateTimeField(
        null=True, blank=True, help_text="Set to report it anew: another pull request with the same head has changed"
    )

    objects = CheckRunReportQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["due_at"], name="reviews_pending_check_run_idx", condition=PENDING_CHECK_RUN)]

    def __str__(self) -> str:
        return f"check run of {self.review}"

    def store(self, **values: object) -> None:
        """Store `values` if this report is pending and still ours, in one filtered UPDATE; else raise `LeaseLost`."""
        mine = CheckRunReport.objects.filter(PENDING_CHECK_RUN, pk=self.pk, due_at=self.due_at)
        if not mine.update(**values):
            raise LeaseLost(f"the {self} is reported by another process, or is not pending any more")
        _set(self, values)

    def stamp(self, step: str, **values: object) -> None:
        """Store `values` and the time in `step`, the name of a time stamp. Raises `LeaseLost`."""
        self.store(**values, **{step: timezone.now()})


def _set(row: models.Model, values: dict[str, object]) -> None:
    for name, value in values.items():
        setattr(row, name, value)
