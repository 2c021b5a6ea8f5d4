"""System checks: a wrong set-up is told at start, with what to do, and not in production."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


@register()
def github_is_configured(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Without a secret no webhook is accepted, without credentials no review can be written."""
    if databases:
        # `migrate` names the databases that it checks. It needs no GitHub, and comes before there is one.
        return []
    problems: list[CheckMessage] = []
    if not settings.KODIAI_GITHUB_WEBHOOK_SECRET:
        problems.append(
            Error(
                "KODIAI_GITHUB_WEBHOOK_SECRET is not set: every webhook is answered with 503.",
                hint="Set it to the secret that you gave the App on GitHub (several, comma separated, to rotate one).",
                id="kodiai.E001",
            )
        )
    if not settings.KODIAI_GITHUB_APP_ID or not settings.KODIAI_GITHUB_PRIVATE_KEY:
        problems.append(
            Error(
                "KODIAI_GITHUB_APP_ID or KODIAI_GITHUB_PRIVATE_KEY (or …_FILE) is not set: no review can be published.",
                hint="Both are on the page of the App on GitHub, under General.",
                id="kodiai.E002",
            )
        )
    return problems
