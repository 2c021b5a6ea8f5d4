"""Every setting of an installation: name, kind, default, and what it does. Nothing else lists them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from kodiai.configuration.addresses import (
    CacheAddress,
    DatabaseAddress,
    HostName,
    Listening,
    MailServer,
    RedisAddress,
    WebAddress,
)
from kodiai.configuration.kinds import Amount, Duration, Kind, Listed, OneOf, Secret, Switch, Text, Whole


class Section(StrEnum):
    """The sections of `.env.example`."""

    NEEDED = "needed"
    GITHUB = "GitHub"
    STORES = "databases, cache, queue"
    LANGUAGE_MODEL = "language model: docs/language-model.md"
    RUNS = "runs"
    NOTIFICATIONS = "notifications: docs/notifications.md"
    WEB = "web server and API"
    LOGS = "logs"


@dataclass(frozen=True)
class Setting:
    """A setting. `default` is its text, as in `.env`; None: it must be set. A secret may come from `NAME_FILE`."""

    attribute: str
    name: str
    kind: Kind
    says: str
    section: Section
    default: str | None = ""
    without: str = ""
    """What applies while it is not set, where the default is empty; what to do where it must be set."""
    secret: bool = False
    best_as_file: bool = False
    """A secret whose `NAME_FILE` is what `.env.example` offers first."""


def _declared(
    name: str,
    kind: Kind,
    says: str,
    section: Section,
    *,
    default: str | None = "",
    without: str = "",
    secret: bool = False,
    best_as_file: bool = False,
) -> Any:
    setting = Setting("", name, kind, says, section, default, without, secret, best_as_file)
    return field(metadata={"setting": setting}, repr=not secret)


_EMAIL = r"[^@\s<>,]{1,64}@[A-Za-z0-9.-]{1,255}"
_MAKE_KEY = "python3 -c 'import secrets; print(secrets.token_urlsafe(50))'"
_DATABASE_PASSWORD = "Special characters of the password are written as %XX."  # noqa: S105


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """The settings of this installation. Durations are numbers of seconds, of days in names that end in _days."""

    secret_key: str = _declared(
        "KODIAI_SECRET_KEY",
        Secret("a random text of 32 characters or more"),
        f"Signs sessions. Make one: {_MAKE_KEY}",
        Section.NEEDED,
        default=None,
        without=f"Make one with `{_MAKE_KEY}` and set it in the environment or in .env",
        secret=True,
    )
    github_webhook_secret: tuple[str, ...] = _declared(
        "KODIAI_GITHUB_WEBHOOK_SECRET",
        Listed(Secret("the App's webhook secret")),
        "The secret that you gave the App on GitHub. To rotate it, list both: add the new one here, change it on "
        "GitHub, then remove the old one here.",
        Section.NEEDED,
        without="every webhook is answered with 503",
        secret=True,
    )
    github_app_id: str = _declared(
        "KODIAI_GITHUB_APP_ID",
        Text("the App ID, a number (not the Client ID)", "[1-9][0-9]{0,17}"),
        "The App ID from the App's page on GitHub, under General.",
        Section.NEEDED,
        without="no review can be published",
    )
    github_app_slug: str = _declared(
        "KODIAI_GITHUB_APP_SLUG",
        Text(
            "the App's name in its address on GitHub, without @ and [bot]", "[A-Za-z0-9][A-Za-z0-9-]{0,99}", lower=True
        ),
        "The App's name in addresses: its reviews are signed <slug>[bot], and @<slug> calls it.",
        Section.NEEDED,
        default="kodiai",
    )
    github_private_key: str = _declared(
        "KODIAI_GITHUB_PRIVATE_KEY",
        Secret("the text of the .pem file, with \\n for line breaks"),
        "The App's private key: best as KODIAI_GITHUB_PRIVATE_KEY_FILE, the path of the .pem file.",
        Section.NEEDED,
        without="no review can be published",
        secret=True,
        best_as_file=True,
    )
    allowed_hosts: tuple[str, ...] = _declared(
        "KODIAI_ALLOWED_HOSTS",
        Listed(HostName()),
        "The names under which Kodiai is reached. localhost and 127.0.0.1 always are, for health checks.",
        Section.NEEDED,
        without="only requests to localhost are answered, every other webhook with 400",
    )

    github_api_url: str = _declared(
        "KODIAI_GITHUB_API_URL",
        WebAddress(
            "https://api.github.com, https://HOST/api/v3",
            tuple((host, "https://api.github.com") for host in ("github.com", "www.github.com")),
        ),
        "The address of GitHub's API; of GitHub Enterprise Server https://HOST/api/v3.",
        Section.GITHUB,
        default="https://api.github.com",
    )
    github_app_file: str = _declared(
        "KODIAI_GITHUB_APP_FILE",
        Text("the path of a file, without blanks"),
        "Where /setup stores the App's credentials, encrypted with a key that is derived from KODIAI_SECRET_KEY. "
        "Settings in the environment and in this file take precedence over them.",
        Section.GITHUB,
        without="var/github-app",
    )
    bot_allow_list: tuple[str, ...] = _declared(
        "KODIAI_BOT_ALLOW_LIST",
        Listed(Text("a login of GitHub, without @", r"[A-Za-z0-9][A-Za-z0-9_-]*(\[bot\])?", lower=True)),
        "Bots whose pull requests are reviewed: renovate,dependabot. Those of other bots are skipped, unless a person "
        "asks. Who pushes to a pull request does not matter.",
        Section.GITHUB,
        without="none",
    )
    resolve_threads: bool = _declared(
        "KODIAI_RESOLVE_THREADS",
        Switch(),
        "Resolve threads whose finding is gone, in place of only marking their comment. GitHub asks for Contents: "
        "read and write for that: grant it on the App's page first.",
        Section.GITHUB,
        default="false",
    )
    organisation_defaults: bool = _declared(
        "KODIAI_ORGANISATION_DEFAULTS",
        Switch(),
        "Repositories without a .kodiai.yml follow that of their organisation's .github repository, where the App is "
        "installed on it too. Costs two calls in ten minutes for each organisation.",
        Section.GITHUB,
        default="false",
    )
    redeliver_seconds: float = _declared(
        "KODIAI_REDELIVER_SECONDS",
        Duration(1, 86_400, zero="only `manage.py redeliver` searches"),
        "Time between two searches for deliveries that GitHub sent and that never arrived; GitHub is asked to send "
        "them again.",
        Section.GITHUB,
        default="600",
    )

    database_url: Mapping[str, Any] = _declared(
        "DATABASE_URL",
        DatabaseAddress(),
        f"The database: one file of SQLite, or PostgreSQL. {_DATABASE_PASSWORD}",
        Section.STORES,
        without="var/kodiai.sqlite3",
        secret=True,
    )
    telemetry_database_url: Mapping[str, Any] = _declared(
        "KODIAI_TELEMETRY_DATABASE_URL",
        DatabaseAddress(),
        "A separate store for telemetry: its failures stay away from the reviews.",
        Section.STORES,
        without="telemetry is in the database of DATABASE_URL",
        secret=True,
    )
    cache_url: Mapping[str, Any] = _declared(
        "KODIAI_CACHE_URL",
        CacheAddress(),
        "Lets several processes share what they learned from GitHub: redis://host:6379/0.",
        Section.STORES,
        without="each process has its own cache in memory",
        secret=True,
    )
    tasks_url: str = _declared(
        "KODIAI_TASKS_URL",
        RedisAddress(),
        "Moves the queue to Redis, for many workers on many machines: redis://host:6379/0.",
        Section.STORES,
        without="the queue is in the database",
        secret=True,
    )

    llm_model: str = _declared(
        "KODIAI_LLM_MODEL",
        Text("provider:model"),
        "A language model that reviews the changes beside the analyzers, as pydantic-ai writes it: "
        "anthropic:claude-sonnet-4-6, openai:gpt-5-mini, azure:NAME_OF_THE_DEPLOYMENT. It sends changed lines to that "
        "provider, and needs the extra `llm` (requirements/llm.txt; `make install` has it).",
        Section.LANGUAGE_MODEL,
        without="no language model, and its packages are not imported",
    )
    llm_api_key: str = _declared(
        "KODIAI_LLM_API_KEY",
        Secret("the provider's key"),
        "The provider's key.",
        Section.LANGUAGE_MODEL,
        without="what the provider's own variable says (ANTHROPIC_API_KEY, OPENAI_API_KEY, …)",
        secret=True,
    )
    llm_base_url: str = _declared(
        "KODIAI_LLM_BASE_URL",
        WebAddress("http://127.0.0.1:11434/v1"),
        "Another server that speaks the provider's protocol, such as one on your own machine.",
        Section.LANGUAGE_MODEL,
        without="the provider's own",
    )
    llm_timeout: float = _declared(
        "KODIAI_LLM_TIMEOUT",
        Duration(1, 3_600),
        "Time that it may take for one run, one retry included; after that the review goes on without it, and says so.",
        Section.LANGUAGE_MODEL,
        default="60",
    )
    llm_max_tokens_per_run: int = _declared(
        "KODIAI_LLM_MAX_TOKENS_PER_RUN",
        Whole(1, 10_000_000, "tokens"),
        "Input and output tokens of one run; files that do not fit are left to the analyzers.",
        Section.LANGUAGE_MODEL,
        default="60000",
    )
    llm_max_cost_per_day: float = _declared(
        "KODIAI_LLM_MAX_COST_PER_DAY",
        Amount(0, 1_000_000, "US dollars", "no limit"),
        "Cost in 24 hours over all repositories, looked at before each call.",
        Section.LANGUAGE_MODEL,
        default="0",
    )
    llm_max_cost_per_repository_per_day: float = _declared(
        "KODIAI_LLM_MAX_COST_PER_REPOSITORY_PER_DAY",
        Amount(0, 1_000_000, "US dollars", "no limit"),
        "Cost in 24 hours for each repository.",
        Section.LANGUAGE_MODEL,
        default="0",
    )
    llm_prices: tuple[str, ...] = _declared(
        "KODIAI_LLM_PRICES",
        Listed(Text("provider:model=input/output")),
        "Prices that Kodiai does not know, or that differ for you, in US dollars for a million tokens: "
        "openai:gpt-5-mini=0.25/2,openai:qwen3-coder=0/0",
        Section.LANGUAGE_MODEL,
        without="the prices that Kodiai knows",
    )

    confinement: str = _declared(
        "KODIAI_CONFINEMENT",
        OneOf(("auto", "required")),
        "What happens where the system cannot confine analyzers, so that a file that takes one over could read this "
        "file: auto runs them, and the worker's log has a warning; required does not, so that no review is complete.",
        Section.RUNS,
        default="auto",
    )
    workers: int = _declared(
        "KODIAI_WORKERS",
        Whole(0, 64, "processes"),
        "Worker processes that `make run` starts.",
        Section.RUNS,
        default="1",
    )
    lease_seconds: float = _declared(
        "KODIAI_LEASE_SECONDS",
        Duration(1, 86_400),
        "Time after which a run whose worker gives no sign of life is given to another.",
        Section.RUNS,
        default="60",
    )
    sweep_seconds: float = _declared(
        "KODIAI_SWEEP_SECONDS",
        Duration(1, 3_600, zero="only `manage.py maintain` runs them, from cron, each minute"),
        "Time between two rounds of the workers' periodic tasks: the sweep, and telemetry that is pending.",
        Section.RUNS,
        default="15",
    )
    max_attempts: int = _declared(
        "KODIAI_MAX_ATTEMPTS",
        Whole(1, 1_000, "attempts"),
        "Failed attempts after which a run is abandoned. A wait for GitHub's limits, or for GitHub itself, is not one.",
        Section.RUNS,
        default="5",
    )
    max_deferral: float = _declared(
        "KODIAI_MAX_DEFERRAL",
        Duration(0, 30 * 86_400),
        "Time that a run may be deferred in total, for GitHub's limits and outages, before it ends with an error.",
        Section.RUNS,
        default="21600",
    )
    grace_seconds: float = _declared(
        "KODIAI_GRACE_SECONDS",
        Duration(1, 3_600),
        "Time that web server and workers have to end after SIGTERM. What a worker cannot end in time is released.",
        Section.RUNS,
        default="25",
    )
    retention_days: int = _declared(
        "KODIAI_RETENTION_DAYS",
        Duration(0, 36_500, "d", "everything is kept"),
        "Age at which ended deliveries, their reviews and telemetry rows are removed; 8 days or more, because GitHub "
        "can send a delivery again.",
        Section.RUNS,
        default="0",
    )
    retention_ignored_days: int = _declared(
        "KODIAI_RETENTION_IGNORED_DAYS",
        Duration(0, 36_500, "d", "they are kept as long as the others"),
        "Age at which deliveries that were not acted on are removed; 8 days or more.",
        Section.RUNS,
        default="30",
    )

    notify_url: str = _declared(
        "KODIAI_NOTIFY_URL",
        WebAddress("https://example.org/kodiai"),
        "Where JSON is posted when something is wrong, and when it is over.",
        Section.NOTIFICATIONS,
        without="nothing is posted",
        secret=True,
    )
    notify_secret: str = _declared(
        "KODIAI_NOTIFY_SECRET",
        Secret("a random text"),
        "Signs these posts: X-Kodiai-Signature-256, as GitHub signs its webhooks.",
        Section.NOTIFICATIONS,
        without="they are not signed",
        secret=True,
    )
    notify_slack_url: str = _declared(
        "KODIAI_NOTIFY_SLACK_URL",
        WebAddress("https://hooks.slack.com/services/…"),
        "An incoming webhook of Slack, Mattermost, or another program that takes the same.",
        Section.NOTIFICATIONS,
        without="nothing is posted",
        secret=True,
    )
    notify_email: tuple[str, ...] = _declared(
        "KODIAI_NOTIFY_EMAIL",
        Listed(Text("an e-mail address", _EMAIL)),
        "Who gets a mail.",
        Section.NOTIFICATIONS,
        without="nobody",
    )
    mail_server: Mapping[str, Any] = _declared(
        "KODIAI_MAIL_SERVER",
        MailServer(),
        "The server that sends these mails.",
        Section.NOTIFICATIONS,
        without="that of this machine, on port 25",
        secret=True,
    )
    mail_from: str = _declared(
        "KODIAI_MAIL_FROM",
        Text("an e-mail address", _EMAIL),
        "Sender of these mails.",
        Section.NOTIFICATIONS,
        default="kodiai@localhost",
    )
    notify_degraded_percent: int = _declared(
        "KODIAI_NOTIFY_DEGRADED_PERCENT",
        Whole(1, 100, "percent"),
        "Share of the reviews of an hour that are partial due to GitHub's limits, from which on it is a notification.",
        Section.NOTIFICATIONS,
        default="20",
    )
    notify_pending_seconds: float = _declared(
        "KODIAI_NOTIFY_PENDING_SECONDS",
        Duration(60, 30 * 86_400),
        "Time for which telemetry may be pending before it is a notification.",
        Section.NOTIFICATIONS,
        default="3600",
    )

    host: str = _declared("HOST", Listening(), "Address on which `make run` listens.", Section.WEB, default="127.0.0.1")
    port: int = _declared("PORT", Whole(1, 65_535), "Port on which `make run` listens.", Section.WEB, default="8000")
    https: bool = _declared(
        "KODIAI_HTTPS",
        Switch(),
        "true behind a proxy that ends TLS and sets X-Forwarded-Proto: secure cookies, HSTS, redirects to https.",
        Section.WEB,
        default="false",
    )
    trusted_proxies: tuple[str, ...] = _declared(
        "KODIAI_TRUSTED_PROXIES",
        Listed(Text("the address of a proxy, or a network (10.0.0.0/8)")),
        "Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed.",
        Section.WEB,
        without="127.0.0.1,::1 with KODIAI_HTTPS, else none",
    )
    request_seconds: float = _declared(
        "KODIAI_REQUEST_SECONDS",
        Duration(1, 300),
        "Time that a client has for the head of a request, and again for its body.",
        Section.WEB,
        default="10",
    )
    api_rate: int = _declared(
        "KODIAI_API_RATE",
        Whole(1, 1_000_000_000, "requests"),
        "API requests per user and minute, counted in each web process.",
        Section.WEB,
        default="600",
    )
    api_anonymous_rate: int = _declared(
        "KODIAI_API_ANONYMOUS_RATE",
        Whole(1, 1_000_000_000, "requests"),
        "Requests for the API's public schema per address and minute.",
        Section.WEB,
        default="60",
    )
    metrics_token: str = _declared(
        "KODIAI_METRICS_TOKEN",
        Secret("a random text"),
        "The bearer token that Prometheus sends for /metrics: docs/metrics.md.",
        Section.WEB,
        without="/metrics is open, as /readyz is; it names no repository and no person",
        secret=True,
    )
    secret_key_fallbacks: tuple[str, ...] = _declared(
        "KODIAI_SECRET_KEY_FALLBACKS",
        Listed(Secret("a former secret key")),
        "Former secret keys: sessions that they signed stay valid while a new key takes over.",
        Section.WEB,
        without="none",
        secret=True,
    )
    debug: bool = _declared(
        "KODIAI_DEBUG", Switch(), "Show error pages with details. Never in production.", Section.WEB, default="false"
    )

    log_level: str = _declared(
        "KODIAI_LOG_LEVEL",
        OneOf(("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")),
        "The least severe log lines that are written.",
        Section.LOGS,
        default="INFO",
    )
    log_json: bool = _declared(
        "KODIAI_LOG_JSON",
        Switch(),
        "false: coloured text in place of one JSON object per line.",
        Section.LOGS,
        default="true",
    )


SETTINGS: tuple[Setting, ...] = tuple(
    Setting(**{**vars(each.metadata["setting"]), "attribute": each.name}) for each in fields(Configuration)
)
"""All settings, in the order of the documentation."""
