"""Settings, read from the environment; `.env.example` documents every name.

A `.env` file beside `manage.py` (or `KODIAI_ENV_FILE`) is read if present; the environment takes precedence.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from kodiai.logging import logging_config

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

given_environment = dict(os.environ)
"""The environment without `.env`: child processes read `.env` themselves when they start."""
env = environ.Env()
env_file = Path(os.environ.get("KODIAI_ENV_FILE", BASE_DIR / ".env"))
if env_file.is_file():
    env.read_env(env_file, overwrite=False)


def _secret(name: str) -> str:
    """Return a secret from the environment or from the file that `…_FILE` names; empty if neither is set.

    Container platforms mount secrets as files, so that they do not show in a process's environment.
    """
    path = env.str(f"{name}_FILE", default="")
    if not path:
        return str(env.str(name, default=""))
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{name}_FILE cannot be read: {error}") from error


def _parsed(name: str, url: str, parse: Callable[[str], Any]) -> dict[str, Any]:
    """Parse a URL setting. An error names the setting but not its value, which may hold a password."""
    try:
        _ = urlsplit(url).port
        return dict(parse(url))
    except (ValueError, ImproperlyConfigured):
        raise ImproperlyConfigured(
            f"{name} is not a valid URL. Write special characters in its password as %XX: "
            "`python3 -c 'import urllib.parse as u; print(u.quote(input(), safe=\"\"))'` does it."
        ) from None


# Django

SECRET_KEY = _secret("KODIAI_SECRET_KEY")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "KODIAI_SECRET_KEY is not set. Make one with `python3 -c 'import secrets; print(secrets.token_urlsafe(50))'` "
        "and set it in the environment or in .env."
    )
# Retired keys still validate the sessions that they signed.
SECRET_KEY_FALLBACKS = env.list("KODIAI_SECRET_KEY_FALLBACKS", default=[])
DEBUG = env.bool("KODIAI_DEBUG", default=False)
# Always the local names: health checks in the container or on the host use them.
ALLOWED_HOSTS = [*env.list("KODIAI_ALLOWED_HOSTS", default=[]), "localhost", "127.0.0.1", "[::1]"]

ROOT_URLCONF = "kodiai.urls"
WSGI_APPLICATION = "kodiai.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
STATIC_URL = "static/"
# Served from the packages that own them, so that no collectstatic step can be forgotten.
WHITENOISE_USE_FINDERS = True

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
    "django_filters",
    "django_tasks",
    "django_tasks_db",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "rest_framework.authtoken",
    "kodiai",
    "telemetry",
    "reviews",
]

MIDDLEWARE = [
    # Middleware that only adds headers comes first, so that rejected requests get them too.
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

# The throttle runs before the password is checked.
AUTHENTICATION_BACKENDS = ["kodiai.logins.Throttle", "django.contrib.auth.backends.ModelBackend"]

# Security. TLS ends at the proxy in front of Kodiai, which sets X-Forwarded-Proto.

_https = env.bool("KODIAI_HTTPS", default=False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _https else None
KODIAI_PROXIES = env.int("KODIAI_PROXIES", default=1 if _https else 0)
"""Trusted proxies in front of Kodiai that append to X-Forwarded-For."""
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
if _https:
    # Browsers accept the prefix only with Secure, path / and no Domain: no other host can set it.
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
# The debug page shows settings and local variables; secrets in them are redacted, whatever their names.
DEFAULT_EXCEPTION_REPORTER = "kodiai.errors.Reporter"
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _https
SECURE_SSL_REDIRECT = _https
# Health checks and webhooks may reach Kodiai inside the network, without TLS.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^webhooks/"]
SESSION_COOKIE_AGE = 12 * 60 * 60
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
# GitHub caps webhook payloads at 25 MB. Source: GitHub docs, "Webhook events and payloads", payload cap.
DATA_UPLOAD_MAX_MEMORY_SIZE = 25 * 1024 * 1024

# Databases


def _database(name: str, url: str, *, lock_wait: float) -> dict[str, Any]:
    """Return connection settings for a database URL. `lock_wait` limits waits for SQLite's lock, in seconds."""
    database = _parsed(name, url, env.db_url_config)
    if database["ENGINE"] == "django.db.backends.sqlite3":
        # Kept open: the worker compares data_version, which belongs to a connection (reviews.runs.queues.database).
        database["CONN_MAX_AGE"] = None
        database["OPTIONS"] = {
            # Writers queue at BEGIN, where SQLite's busy handler works, not in the middle of a transaction.
            "transaction_mode": "IMMEDIATE",
            "timeout": lock_wait,
            # FULL syncs the log at each commit: a delivery answered with 202 survives a power cut.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        }
        if ":memory:" not in str(database["NAME"]):
            Path(database["NAME"]).parent.mkdir(parents=True, exist_ok=True)
    else:
        database["CONN_MAX_AGE"] = 300
        database["CONN_HEALTH_CHECKS"] = True
        database["OPTIONS"] = {
            "connect_timeout": 4,
            # Detects a vanished server within half a minute, before a lease expires; the default of most systems is
            # two hours. Source: PostgreSQL documentation, "Parameter Key Words" of libpq.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 25_000,
            **database.get("OPTIONS", {}),
        }
    return database


_database_url = _secret("DATABASE_URL") or f"sqlite:///{quote(str(VAR_DIR / 'kodiai.sqlite3'))}"
DATABASES = {"default": _database("DATABASE_URL", _database_url, lock_wait=10)}
# A separate telemetry store keeps its failures away from the reviews.
if telemetry_url := _secret("KODIAI_TELEMETRY_DATABASE_URL"):
    DATABASES["telemetry"] = _database("KODIAI_TELEMETRY_DATABASE_URL", telemetry_url, lock_wait=0.5)
DATABASE_ROUTERS = ["telemetry.router.TelemetryRouter"]

# Cache and tasks

_cache_url = _secret("KODIAI_CACHE_URL") or "locmemcache://kodiai?max_entries=10000"
CACHES = {"default": _parsed("KODIAI_CACHE_URL", _cache_url, env.cache_url_config)}
if CACHES["default"]["BACKEND"] == "django.core.cache.backends.redis.RedisCache":
    # A hanging cache is a miss, which must not cost more than the cache saves.
    CACHES["default"]["OPTIONS"] = {"socket_timeout": 1, "socket_connect_timeout": 1}
# Per process: a failing shared cache must not fail the API.
CACHES["throttles"] = {
    "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
    "LOCATION": "throttles",
    "OPTIONS": {"MAX_ENTRIES": 10_000},
}

KODIAI_TASKS_URL = _secret("KODIAI_TASKS_URL")
"""Address of the queue's Redis server; empty: the queue is in the database."""
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
if KODIAI_TASKS_URL:
    # Imported here: it costs 18 MB and half a second.
    from reviews.runs.queues.redis_settings import redis_queue

    TASKS = {"default": {"BACKEND": "django_tasks_rq.RQBackend"}}
    RQ_QUEUES = {"default": redis_queue(KODIAI_TASKS_URL)}
    # Its admin page can delete tasks, and violates the content security policy.
    RQ_SHOW_ADMIN_LINK = False
    INSTALLED_APPS.append("django_rq")

# API

KODIAI_API_RATE = env.int("KODIAI_API_RATE", default=600)
"""API requests per user and minute."""
KODIAI_API_ANONYMOUS_RATE = env.int("KODIAI_API_ANONYMOUS_RATE", default=60)
"""Requests for the API's schema per address and minute; the schema is public."""
# Authentication and permissions are in telemetry.api.
REST_FRAMEWORK = {
    "DEFAULT_THROTTLE_RATES": {"user": f"{KODIAI_API_RATE}/min", "anon": f"{KODIAI_API_ANONYMOUS_RATE}/min"},
    "NUM_PROXIES": KODIAI_PROXIES,
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [],
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "telemetry.problems.exception_handler",
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Kodiai",
    "DESCRIPTION": "Telemetry of review runs: the cost of GitHub's rate limits, and how each run ended. Read-only.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "telemetry.problems.describe_problems",
    ],
}

# GitHub

KODIAI_GITHUB_API_URL = env.str("KODIAI_GITHUB_API_URL", default="https://api.github.com")
KODIAI_GITHUB_APP_ID = env.str("KODIAI_GITHUB_APP_ID", default="")
KODIAI_GITHUB_APP_SLUG = env.str("KODIAI_GITHUB_APP_SLUG", default="kodiai")
KODIAI_GITHUB_PRIVATE_KEY = _secret("KODIAI_GITHUB_PRIVATE_KEY").replace("\\n", "\n")
# Several secrets are accepted, so that one can be rotated without refusing deliveries.
KODIAI_GITHUB_WEBHOOK_SECRET = [
    secret.strip() for secret in _secret("KODIAI_GITHUB_WEBHOOK_SECRET").split(",") if secret.strip()
]
KODIAI_RESOLVE_THREADS = env.bool("KODIAI_RESOLVE_THREADS", default=False)
KODIAI_ORGANISATION_DEFAULTS = env.bool("KODIAI_ORGANISATION_DEFAULTS", default=False)
KODIAI_BOT_ALLOW_LIST = [login.strip().lower() for login in env.list("KODIAI_BOT_ALLOW_LIST", default=[])]

# Language model: docs/language-model.md

KODIAI_LLM_MODEL = env.str("KODIAI_LLM_MODEL", default="")
"""`provider:model`, as pydantic-ai writes it. Empty: no language model, and its packages are not imported."""
KODIAI_LLM_API_KEY = _secret("KODIAI_LLM_API_KEY")
KODIAI_LLM_BASE_URL = env.str("KODIAI_LLM_BASE_URL", default="")
"""Base URL of another server with the provider's protocol."""
KODIAI_LLM_TIMEOUT = env.float("KODIAI_LLM_TIMEOUT", default=60)
"""Seconds that the language model may take for one run, including one retry."""
KODIAI_LLM_MAX_TOKENS_PER_RUN = env.int("KODIAI_LLM_MAX_TOKENS_PER_RUN", default=60_000)
"""Input and output tokens of one run."""
KODIAI_LLM_MAX_COST_PER_DAY = env.float("KODIAI_LLM_MAX_COST_PER_DAY", default=0)
"""US dollars in 24 hours, over all repositories; 0: no limit."""
KODIAI_LLM_MAX_COST_PER_REPOSITORY_PER_DAY = env.float("KODIAI_LLM_MAX_COST_PER_REPOSITORY_PER_DAY", default=0)
"""US dollars in 24 hours for each repository; 0: no limit."""
KODIAI_LLM_PRICES = env.list("KODIAI_LLM_PRICES", default=[])
"""Prices that override `reviews.engines.llm.prices`: `provider:model=input/output`, US dollars per million tokens."""

# Runs

KODIAI_WORKERS = env.int("KODIAI_WORKERS", default=1)
"""Worker processes that `make run` starts."""
KODIAI_LEASE_SECONDS = env.float("KODIAI_LEASE_SECONDS", default=60)
"""Seconds after which a run whose worker does not renew its lease goes to another."""
KODIAI_SWEEP_SECONDS = env.float("KODIAI_SWEEP_SECONDS", default=15)
"""Seconds between two rounds of the workers' periodic tasks; 0: only `manage.py maintain` runs them."""
KODIAI_MAX_ATTEMPTS = env.int("KODIAI_MAX_ATTEMPTS", default=5)
"""Failed attempts after which a run is abandoned. A deferral is not an attempt."""
KODIAI_MAX_DEFERRAL = env.int("KODIAI_MAX_DEFERRAL", default=21_600)
"""Seconds that a run may be deferred in total before it ends with an error."""
KODIAI_REDELIVER_SECONDS = env.float("KODIAI_REDELIVER_SECONDS", default=600)
"""Seconds between two searches for deliveries that never arrived; 0: only `manage.py redeliver` searches."""
KODIAI_GRACE_SECONDS = env.float("KODIAI_GRACE_SECONDS", default=25)
"""Seconds that web server and workers have to end after SIGTERM before they are killed."""
KODIAI_RETENTION_DAYS = env.int("KODIAI_RETENTION_DAYS", default=0)
"""Days after which ended deliveries, their reviews and telemetry rows are removed; 0 keeps everything."""

LOGGING = logging_config(
    level=env.str("KODIAI_LOG_LEVEL", default="INFO"), json=env.bool("KODIAI_LOG_JSON", default=True)
)
