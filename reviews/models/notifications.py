"""What the operator is notified of."""

from django.db import models
from django.utils import timezone


class NotificationKind(models.TextChoices):
    """What is wrong."""

    RUNS_FAILED = "runs-failed", "Runs fail"
    GITHUB_AWAY = "github-away", "GitHub cannot be reached"
    REVIEWS_DEGRADED = "reviews-degraded", "Reviews are partial due to GitHub's limits"
    TELEMETRY_PENDING = "telemetry-pending", "Telemetry is pending"


class Notification(models.Model):
    """Something that is wrong: one row from its beginning until every channel has heard of its end."""

    kind = models.CharField(max_length=32, choices=NotificationKind, unique=True)
    since = models.DateTimeField(default=timezone.now)
    message = models.TextField(help_text="What was seen last")
    ended_at = models.DateTimeField(null=True, blank=True)
    begin_sent = models.JSONField(default=list, blank=True, help_text="Channels that have its beginning")
    end_sent = models.JSONField(default=list, blank=True, help_text="Channels that have its end")
    failure = models.TextField(blank=True, help_text="Why a channel could not be used, the last time")

    def __str__(self) -> str:
        return f"{self.kind} since {self.since:%Y-%m-%d %H:%M:%S} UTC"
