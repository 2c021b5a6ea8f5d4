"""Identity of the App on GitHub: which events, reviews and check runs are its own."""

from typing import Any

from django.conf import settings


def app_login() -> str:
    """The App's login on GitHub, in lower case."""
    return f"{settings.KODIAI_GITHUB_APP_SLUG}[bot]".lower()


def is_app_login(login: str) -> bool:
    """Return whether a login, as REST gives it, is the App's."""
    return login.lower() == app_login()


def is_allowed_bot(login: str) -> bool:
    """Return whether a bot is on `KODIAI_BOT_ALLOW_LIST`, with or without `[bot]`."""
    return not {login.lower(), login.lower().removesuffix("[bot]")}.isdisjoint(settings.KODIAI_BOT_ALLOW_LIST)


def known_login(login: str, own: str) -> str:
    """Return `app_login()` for the App's own login on GitHub, `own`, and any other login unchanged.

    They differ once the App is renamed and the setting has not followed. The former name can be a stranger's then: a
    login that is only configured as the App's is returned empty.
    """
    if login.lower() == own.lower():
        return app_login()
    return "" if is_app_login(login) else login


def is_own_app(app_id: Any, slug: Any) -> bool:
    """Return whether an App is the configured one: by id, or by slug where no id is known."""
    own_id = str(settings.KODIAI_GITHUB_APP_ID)
    if type(app_id) is int and own_id.isdecimal():
        return str(app_id) == own_id
    return isinstance(slug, str) and slug.lower() == settings.KODIAI_GITHUB_APP_SLUG.lower()
