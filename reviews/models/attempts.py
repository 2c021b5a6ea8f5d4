"""The attempts of a run: what people read to learn what happened; nothing else reads them."""

from django.db import models

from reviews.models.runs import Review


class AttemptOutcome(models.TextChoices):
    """How an attempt of a run ended."""

    FINISHED = "finished"
    DEFERRED = "deferred"
    RELEASED = "released"
    FAILED = "failed"
    LOST = "lost"


class Attempt(models.Model):
    """One attempt of a run, with its calls to GitHub. Written once, when it has ended; a killed worker leaves none."""

    review = models.ForeignKey(Review, on_delete=models.CASCADE, related_name="attempt_log")
    worker = models.CharField(max_length=100, blank=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    outcome = models.CharField(max_length=16, choices=AttemptOutcome)
    reason = models.TextField(blank=True)
    calls = models.JSONField(default=list, blank=True, help_text="The last calls: reviews.github.call_log")
    calls_made = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.outcome} attempt of {self.review}"
