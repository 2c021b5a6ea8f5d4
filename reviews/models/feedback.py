"""What becomes of findings: fixed, resolved and ignored ones, and thumbs down on comments."""

from django.db import models
from django.db.models import Q
from django.utils import timezone


class IgnoredFinding(models.Model):
    """A finding that somebody asked to ignore in a repository. Deleting the row reports it again."""

    repo = models.CharField(max_length=255, help_text="owner/name, when it was ignored")
    repo_id = models.BigIntegerField(null=True, blank=True, help_text="GitHub's id of the repository")
    content_hash = models.CharField(max_length=32, help_text="Digest of rule, message and the text of the line")
    rule = models.CharField(max_length=100, blank=True, help_text="Empty if no stored report has it")
    message = models.TextField(blank=True)
    path = models.TextField(blank=True, help_text="Path of the file when it was ignored")
    pr_number = models.BigIntegerField("pull request")
    ignored_by = models.CharField(max_length=255)
    ignored_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["repo", "content_hash"], condition=Q(repo_id=None), name="reviews_ignored_finding"
            ),
            models.UniqueConstraint(fields=["repo_id", "content_hash"], name="reviews_ignored_finding_by_id"),
        ]

    def __str__(self) -> str:
        return f"{self.rule or self.content_hash} in {self.repo}"


class ThumbsDown(models.Model):
    """Thumbs down on one of Kodiai's comments on lines, as of the last run that looked."""

    comment_id = models.BigIntegerField(unique=True, help_text="GitHub's id of the comment")
    repo = models.CharField(max_length=255, help_text="owner/name")
    pr_number = models.BigIntegerField("pull request")
    path = models.TextField(blank=True)
    rule = models.CharField(max_length=100, blank=True, help_text="Empty if no stored report has it")
    people = models.PositiveIntegerField(help_text="People who gave a thumbs down")
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "thumbs down"

    def __str__(self) -> str:
        return f"{self.rule} in {self.repo}: {self.people}"


class ReportedFinding(models.Model):
    """A finding that was published on a pull request, once however often it was repeated, and what became of it.

    Rules are judged by these rows (`reviews.publishing.rule_statistics`). They hold no text of the code.
    """

    repo = models.CharField(max_length=255, help_text="owner/name, when it was reported")
    repo_id = models.BigIntegerField(null=True, blank=True, help_text="GitHub's id of the repository")
    pr_number = models.BigIntegerField("pull request")
    fingerprint = models.CharField(max_length=32)
    engine = models.CharField(max_length=100)
    rule = models.CharField(max_length=100)
    severity = models.CharField(max_length=16)
    path = models.TextField()
    reported_at = models.DateTimeField()
    fixed_at = models.DateTimeField(null=True, blank=True, help_text="Empty if it is not, or is back")
    resolved_at = models.DateTimeField(
        null=True, blank=True, help_text="When a person was first seen to have resolved its thread"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["repo", "pr_number", "fingerprint"], name="reviews_reported_finding"),
        ]
        indexes = [
            models.Index(fields=["reported_at"], name="reviews_reported_idx"),
            models.Index(fields=["repo_id", "pr_number"], name="reviews_reported_pull_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.rule} in {self.repo}#{self.pr_number}"
