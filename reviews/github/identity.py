"""The App's own identity on GitHub: which events, reviews and check runs are its own."""

from typing import Any

from django.conf import settings


def app_login() -> str:
    """The login under which the App acts on GitHub, in lower case."""
    return f"{settings.KODIAI_GITHUB_APP_SLUG}[bot]".lower()


def is_app_login(login: str) -> bool:
    """Tell whether it is the App itself that acts under a login, as REST tells it."""
    return login.lower() == app_login()


def is_own_app(number: Any, slug: Any) -> bool:
    """Tell whether an App that GitHub names by number and slug is this one. Either may be set in another form."""
    named = isinstance(slug, str) and slug.lower() == settings.KODIAI_GITHUB_APP_SLUG.lower()
    return named or (type(number) is int and str(number) == str(settings.KODIAI_GITHUB_APP_ID))
