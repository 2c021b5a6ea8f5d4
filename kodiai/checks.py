"""System checks: report a wrong configuration at start, and how to fix it."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

MIN_RETENTION = 8
"""Days. Deliveries of the last three days can be sent again, on GitHub Enterprise Server of the last seven.

Source: GitHub docs, "Redelivering webhooks".
"""

MIN_SECRET_KEY = 32
"""Characters."""


@register()
def github_is_configured(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Check the webhook secret and the App's credentials."""
    if databases:
        # `migrate` names the databases that it checks. It needs no GitHub, and comes before there is one.
        return []
    problems: list[CheckMessage] = []
    if not settings.KODIAI_GITHUB_WEBHOOK_SECRET:
        problems.append(
            Error(
                "KODIAI_GITHUB_WEBHOOK_SECRET is not set: every webhook is answered with 503.",
                hint="Set it to the App's webhook secret on GitHub. Separate several by commas to rotate one.",
                id="kodiai.E001",
            )
        )
    if not settings.KODIAI_GITHUB_APP_ID or not settings.KODIAI_GITHUB_PRIVATE_KEY:
        problems.append(
            Error(
                "KODIAI_GITHUB_APP_ID or KODIAI_GITHUB_PRIVATE_KEY (or …_FILE) is not set: no review can be published.",
                hint="Find both in the App's settings on GitHub, under General.",
                id="kodiai.E002",
            )
        )
    elif not _is_private_key(settings.KODIAI_GITHUB_PRIVATE_KEY):
        problems.append(
            Error(
                "KODIAI_GITHUB_PRIVATE_KEY (or …_FILE) is not a private key in PEM: no review can be published.",
                hint="Use the .pem file from GitHub unchanged. In a variable, write line breaks as \\n.",
                id="kodiai.E004",
            )
        )
    return problems


@register()
def secret_key_is_long_enough(**kwargs: Any) -> list[CheckMessage]:
    """Check the secret key: a guessed key forges admin sessions."""
    key = settings.SECRET_KEY
    if len(key) >= MIN_SECRET_KEY and not key.startswith("django-insecure-"):
        return []
    return [
        Warning(
            f"KODIAI_SECRET_KEY can be guessed: it needs {MIN_SECRET_KEY} characters or more.",
            hint="Make one with `python3 -c 'import secrets; print(secrets.token_urlsafe(50))'`.",
            id="kodiai.W001",
        )
    ]


@register()
def retention_is_long_enough(**kwargs: Any) -> list[CheckMessage]:
    """Check that a delivery stays in the inbox for as long as GitHub can redeliver it."""
    if settings.KODIAI_RETENTION_DAYS == 0 or settings.KODIAI_RETENTION_DAYS >= MIN_RETENTION:
        return []
    return [
        Error(
            f"KODIAI_RETENTION_DAYS is {settings.KODIAI_RETENTION_DAYS}: a redelivery would be acted on a second time.",
            hint=f"Set it to {MIN_RETENTION} or more, or to 0 to keep everything.",
            id="kodiai.E003",
        )
    ]


@register()
def language_model_is_ready(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Check that the language model can be called and paid for."""
    model = settings.KODIAI_LLM_MODEL
    if not model or databases:
        return []
    # Imported here: settings must be loaded first.
    from reviews.engines.llm.prices import price_of

    provider, _, name = model.partition(":")
    if not provider or not name:
        return [
            Error(
                "KODIAI_LLM_MODEL must have the form provider:model.",
                hint="For example anthropic:claude-sonnet-4-6 or openai:gpt-5-mini; docs/language-model.md has more.",
                id="kodiai.E005",
            )
        ]
    problems: list[CheckMessage] = []
    if find_spec("pydantic_ai") is None:
        problems.append(
            Error(
                "KODIAI_LLM_MODEL is set, but the extra `llm` is not installed.",
                hint="Install requirements/llm.txt in place of requirements/base.txt; `make install` does.",
                id="kodiai.E006",
            )
        )
    budget = settings.KODIAI_LLM_MAX_COST_PER_DAY or settings.KODIAI_LLM_MAX_COST_PER_REPOSITORY_PER_DAY
    try:
        if price_of(model) is None and budget:
            problems.append(
                Error(
                    f"A budget in dollars is set, but the price of {model} is unknown: the model is never called.",
                    hint=f"Set KODIAI_LLM_PRICES={model}=INPUT/OUTPUT, in US dollars for a million tokens.",
                    id="kodiai.E007",
                )
            )
    except ValueError as error:
        problems.append(Error(str(error), hint="For example openai:gpt-5-mini=0.25/2", id="kodiai.E008"))
    return problems


def _is_private_key(text: str) -> bool:
    # Imported here: the web process does not need it.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True
