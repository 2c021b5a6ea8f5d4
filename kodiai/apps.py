"""App configuration of the project, which registers its system checks."""

from django.apps import AppConfig


class KodiaiConfig(AppConfig):
    """Register the system checks at start."""

    name = "kodiai"

    def ready(self) -> None:
        """Import the checks, which registers them."""
        from kodiai import checks  # noqa: F401
