"""What is left of GitHub's limits."""

from django.db import models


class GitHubLimit(models.Model):
    """A limit of GitHub's as the last answer gave it, for each installation and resource.

    For people and other programs to read; no run depends on it. Stored a few seconds after it was seen.
    """

    installation_id = models.BigIntegerField(help_text="0 for the App itself")
    resource = models.CharField(max_length=32, help_text="core, search or graphql")
    limit = models.PositiveIntegerField(help_text="Calls or points that GitHub allows until the reset")
    remaining = models.PositiveIntegerField(help_text="How many of them were left")
    reset_at = models.DateTimeField(help_text="When the whole limit is available again")
    seen_at = models.DateTimeField(help_text="When GitHub said so")

    class Meta:
        verbose_name = "GitHub limit"
        constraints = [
            models.UniqueConstraint(fields=["installation_id", "resource"], name="reviews_github_limit"),
        ]

    def __str__(self) -> str:
        owner = f"installation {self.installation_id}" if self.installation_id else "the App"
        return f"{self.remaining} of {self.limit} left: {self.resource} of {owner}"
