"""What decides when a run starts: whose turn it is, and whether GitHub can be reached."""

from datetime import timedelta

from django.db import models
from django.utils import timezone


class Turn(models.Model):
    """How much of the workers' time an author has used in an installation, and how many runs they were given.

    Written once when a run starts, filtered by `runs`, and once when it ends. Authors who have used little go first.
    """

    HALF_LIFE = timedelta(minutes=10)
    """Time in which half of what an author has used is forgotten."""

    installation_id = models.BigIntegerField(help_text="0 if the webhook has none")
    author = models.CharField(max_length=255, help_text="Author of the pull requests")
    runs = models.PositiveBigIntegerField(default=0, help_text="Runs started so far")
    started_at = models.DateTimeField(default=timezone.now, help_text="Start of the latest run")
    used_seconds = models.FloatField(default=0.0, help_text="Worker time used, as of the time below")
    used_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["installation_id", "author"], name="reviews_turn_author")]

    def __str__(self) -> str:
        return f"{self.author} in installation {self.installation_id}"

    @property
    def used(self) -> float:
        """The worker time used, in seconds, of which half is forgotten every `HALF_LIFE`."""
        age = max(timedelta(), timezone.now() - self.used_at)
        return float(self.used_seconds * 0.5 ** (age / self.HALF_LIFE))


class GitHubOutageQuerySet(models.QuerySet["GitHubOutage"]):
    """Queries for outages."""

    def current(self) -> "GitHubOutageQuerySet":
        """Outages that somebody has met lately; whether older ones are over is unknown."""
        return self.filter(failed_at__gt=timezone.now() - GitHubOutage.MAX_AGE)


class GitHubOutage(models.Model):
    """GitHub cannot be reached for an installation. The row is removed when GitHub answers.

    One run's failure may be about its pull request alone. So the others wait only once a second run has failed.
    """

    MAX_AGE = timedelta(hours=1)
    """Time since the last failure after which nothing is known. It is many times the longest wait."""

    installation_id = models.BigIntegerField(unique=True, help_text="0 if the webhook has none")
    since = models.DateTimeField(default=timezone.now, help_text="The first failure")
    failed_at = models.DateTimeField(default=timezone.now, help_text="The last failure")
    failed_run = models.BigIntegerField(help_text="The run that failed last")
    retry_at = models.DateTimeField(
        null=True, blank=True, help_text="When a run asks GitHub again, while the others wait; empty if they do not"
    )
    error = models.TextField(blank=True)

    objects = GitHubOutageQuerySet.as_manager()

    class Meta:
        verbose_name = "GitHub outage"

    def __str__(self) -> str:
        return f"GitHub is unreachable for installation {self.installation_id} since {self.since:%Y-%m-%d %H:%M:%S} UTC"
