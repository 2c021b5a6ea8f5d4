"""System checks: report a wrong configuration at start, and how to fix it."""

import os
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from kodiai.configuration import doubtful_secrets, unknown_names
from kodiai.private_files import loose_files

MIN_RETENTION = 8
"""Days. Deliveries of the last three days can be sent again, on GitHub Enterprise Server of the last seven.

Source: GitHub docs, "Redelivering webhooks".
"""

MIN_SECRET_KEY = 32
"""Characters."""


@register("kodiai")
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
                hint="Open /setup (`manage.py setup_link` prints the address), or find both in the App's settings on "
                "GitHub, under General.",
                id="kodiai.E002",
            )
        )
    elif why := _why_no_private_key(settings.KODIAI_GITHUB_PRIVATE_KEY):
        problems.append(
            Error(
                f"KODIAI_GITHUB_PRIVATE_KEY (or …_FILE) is {why}: no review can be published.",
                hint="Use the .pem file from GitHub unchanged. In a variable, write line breaks as \\n.",
                id="kodiai.E004",
            )
        )
    return problems


@register("kodiai")
def names_mean_something(**kwargs: Any) -> list[CheckMessage]:
    """Name variables that begin with KODIAI_ and are no settings, and secrets that were hardly meant so."""
    # Imported here: the checks are imported with any settings module, the tests' own among them.
    from kodiai.settings import configuration

    unknown = [Warning(sentence, id="kodiai.W003") for sentence in unknown_names(os.environ)]
    return [*unknown, *(Warning(sentence, id="kodiai.W004") for sentence in doubtful_secrets(configuration))]


@register("kodiai")
def hosts_are_named(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Check that Kodiai answers to a name other than localhost: GitHub sends no webhook there."""
    local = {"localhost", "127.0.0.1", "[::1]"}
    if databases or settings.DEBUG or not local.issuperset(settings.ALLOWED_HOSTS):
        return []
    return [
        Warning(
            "KODIAI_ALLOWED_HOSTS names no host: only requests to localhost are served, "
            "and every other one, GitHub's webhooks included, is answered with 400.",
            hint="Set it to the host name of the App's webhook URL, such as kodiai.example.org.",
            id="kodiai.W002",
        )
    ]


@register("kodiai")
def files_are_private(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Check that other users of this machine cannot read a database of SQLite, or replace it."""
    problems: list[CheckMessage] = []
    for database in settings.DATABASES.values():
        name = str(database["NAME"])
        if database["ENGINE"] != "django.db.backends.sqlite3" or name == ":memory:":
            continue
        problems += [
            Warning(
                f"{path} can be {'changed' if path.is_dir() else 'read'} by other users of this machine.",
                hint=f"chmod {'go-w' if path.is_dir() else 'go='} {path}",
                id="kodiai.W005",
            )
            for path in loose_files(Path(name))
        ]
    return problems


@register("kodiai")
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


@register("kodiai")
def proxies_are_addresses(**kwargs: Any) -> list[CheckMessage]:
    """Check that each trusted proxy is an address or a network."""
    problems: list[CheckMessage] = []
    for proxy in settings.KODIAI_TRUSTED_PROXIES:
        try:
            ip_network(proxy)
        except ValueError:
            problems.append(
                Error(
                    f"KODIAI_TRUSTED_PROXIES names {proxy[:100]!r}, which is neither an address nor a network.",
                    hint="Write addresses and networks, comma separated: 127.0.0.1,10.0.0.0/8. Names are not resolved.",
                    id="kodiai.E009",
                )
            )
    return problems


@register("kodiai")
def retention_is_long_enough(**kwargs: Any) -> list[CheckMessage]:
    """Check that a delivery stays in the inbox for as long as GitHub can redeliver it."""
    return [
        Error(
            f"{name} is {getattr(settings, name)}: a redelivery would be acted on a second time.",
            hint=f"Set it to {MIN_RETENTION} or more, or to 0 to keep everything.",
            id="kodiai.E003",
        )
        for name in ("KODIAI_RETENTION_DAYS", "KODIAI_RETENTION_IGNORED_DAYS")
        if getattr(settings, name) != 0 and getattr(settings, name) < MIN_RETENTION
    ]


@register("kodiai")
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
    with suppress(ValueError):  # what `prices_are_valid` reports
        if price_of(model) is None and budget:
            problems.append(
                Error(
                    f"A budget in dollars is set, but the price of {model} is unknown: the model is never called.",
                    hint=f"Set KODIAI_LLM_PRICES={model}=INPUT/OUTPUT, in US dollars for a million tokens.",
                    id="kodiai.E007",
                )
            )
    return problems


@register("kodiai")
def analyzers_are_confined(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Check that the confinement which `KODIAI_CONFINEMENT` requires works here."""
    if databases or settings.KODIAI_CONFINEMENT != "required":
        # A worker without a wall logs a warning when it starts; the check would start processes for each command.
        return []
    # Imported here: settings must be loaded first.
    from reviews.engines import confinement

    if confinement.in_force().is_wall:
        return []
    return [
        Error(
            "KODIAI_CONFINEMENT is required, and this system cannot confine analyzers: none of them runs.",
            hint="Install bubblewrap, allow user namespaces, use a kernel with Landlock, or set it to auto.",
            id="kodiai.E010",
        )
    ]


@register("kodiai")
def prices_are_valid(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Check the prices of language models."""
    from reviews.engines.llm.prices import configured_prices

    try:
        configured_prices()
    except ValueError as error:
        return [] if databases else [Error(str(error), hint="For example openai:gpt-5-mini=0.25/2", id="kodiai.E008")]
    return []


@lru_cache(maxsize=1)
def _why_no_private_key(text: str) -> str:
    """What a text is in place of an RSA key in PEM; empty for such a key."""
    # Imported here: the web process does not need it.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if "-----BEGIN" not in text and text.endswith((".pem", ".key")):
        return "a path, which belongs in KODIAI_GITHUB_PRIVATE_KEY_FILE, not a private key in PEM"
    if "PUBLIC KEY-----" in text or "CERTIFICATE-----" in text:
        return "a public key or a certificate, not a private key in PEM"
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except TypeError:
        return "a private key with a passphrase, which Kodiai does not know"
    except (ValueError, UnsupportedAlgorithm):
        return "not a private key in PEM"
    return "" if isinstance(key, RSAPrivateKey) else "not an RSA key, which GitHub Apps need"
