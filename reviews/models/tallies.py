"""Counters that only grow, for `/metrics`: what the tables held before rows were removed or requeued counts too."""

from datetime import UTC, datetime

from django.db import models

START = datetime(1970, 1, 1, tzinfo=UTC)


class Tally(models.Model):
    """A counter, or one bucket or sum of a histogram. Each row is added to with one UPDATE."""

    metric = models.CharField(max_length=64, help_text="What is counted: reviews.maintenance.tallies")
    label = models.CharField(max_length=200, blank=True, help_text="The value of its label; empty if it has none")
    value = models.FloatField(default=0.0)

    class Meta:
        verbose_name_plural = "tallies"
        constraints = [models.UniqueConstraint(fields=["metric", "label"], name="reviews_tally_label")]

    def __str__(self) -> str:
        return f"{self.metric} {self.label}: {self.value:g}"

    @staticmethod
    def add(metric: str, label: str, amount: float) -> None:
        """Add `amount`, which is 0 or more."""
        label = label[:200]
        Tally.objects.bulk_create([Tally(metric=metric, label=label)], ignore_conflicts=True)
        Tally.objects.filter(metric=metric, label=label).update(value=models.F("value") + amount)


class CountedUntil(models.Model):
    """Until when the rows of a table are in the tallies. Moved by a filtered UPDATE, in the transaction that adds."""

    source = models.CharField(max_length=64, primary_key=True)
    moment = models.DateTimeField(default=START)

    class Meta:
        verbose_name_plural = "counted until"

    def __str__(self) -> str:
        return f"{self.source}: {self.moment:%Y-%m-%d %H:%M:%S} UTC"

    @staticmethod
    def of(source: str) -> datetime:
        """Return until when a source is counted; make its row if there is none."""
        CountedUntil.objects.bulk_create([CountedUntil(source=source)], ignore_conflicts=True)
        return CountedUntil.objects.get(source=source).moment
