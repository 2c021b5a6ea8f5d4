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
    elif not _is_private_key(settings.KODIAI_GITHUB_PRIVATE_KEY):
        problems.append(
            Error(
                "KODIAI_GITHUB_PRIVATE_KEY (or …_FILE) is not a private key in PEM: no review can be published.",
                hint="Take the .pem file as GitHub gave it. In a variable, its line ends are written as \\n.",
                id="kodiai.E003",
            )
        )
    return problems


def _is_private_key(text: str) -> bool:
    # Here and not above: only commands check, and the web process has no use for it.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True
