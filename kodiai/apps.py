from django.apps import AppConfig


class KodiaiConfig(AppConfig):
    name = "kodiai"

    def ready(self) -> None:
        from kodiai import checks  # noqa: F401  # registers the system checks
