"""App configuration of telemetry."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class TelemetryConfig(AppConfig):
    """The telemetry app."""

    name = "telemetry"

    def ready(self) -> None:
        """Connect what runs after migrations."""
        from telemetry import checks

        post_migrate.connect(checks.drop_legacy_identity, sender=self)
