"""Identity of the App on GitHub: which events, reviews and check runs are its own."""

from typing import Any

from django.conf import settings


def app_login() -> str:
    """The App's login on GitHub, in lower case."""
    return f"{settings.KODIAI_GITHUB_APP_SLUG}[bot]".lower()


def is_app_login(login: str) -> bool:
    """Return whether a login, as REST gives it, is the App's."""
    return login.lower() == app_login()


def is_own_app(app_id: Any, slug: Any) -> bool:
    """Return whether an App with this id or slug is the configured one."""
    named = isinstance(slug, str) and slug.lower() == settings.KODIAI_GITHUB_APP_SLUG.lower()
    return named or (type(app_id) is int and str(app_id) == str(settings.KODIAI_GITHUB_APP_ID))
