"""App configuration of the project, which registers its system checks and its roles."""

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class KodiaiConfig(AppConfig):
    """Register the system checks at start."""

    name = "kodiai"

    def ready(self) -> None:
        """Import the checks, which registers them, and make the roles after the last app's migrations."""
        from kodiai import checks, roles  # noqa: F401

        post_migrate.connect(roles.keep_up, sender=apps.get_app_config("reviews"), dispatch_uid="kodiai.roles")
