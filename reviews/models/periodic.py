"""The periodic tasks."""

from django.db import models
from django.utils import timezone


class PeriodicTask(models.Model):
    """A periodic task: when it is due, until when a process holds it, and its last outcome."""

    name = models.CharField(max_length=64, primary_key=True)
    due_at = models.DateTimeField(default=timezone.now)
    held_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then no other process runs it, even if the one that does has died"
    )
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True, help_text="Last success")
    outcome = models.CharField(max_length=255, blank=True, help_text="What it did then")
    failed_at = models.DateTimeField(null=True, blank=True, help_text="Last failure")
    failure = models.TextField(blank=True, help_text="Why, with the traceback")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
