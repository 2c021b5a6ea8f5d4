"""Django's settings. Those of an installation come from `kodiai.configuration`, which declares and reads them.

A `.env` file beside `manage.py` (or `KODIAI_ENV_FILE`) is read if present; the environment takes precedence.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kodiai.configuration import InvalidSettings, app_file_path, load
from kodiai.home import HOME
from kodiai.logging import logging_config
from kodiai.private_files import PrivateConnection, why_unusable

BASE_DIR = HOME
VAR_DIR = BASE_DIR / "var"

given_environment = dict(os.environ)
"""The environment without `.env`: child processes read `.env` themselves when they start."""
try:
    configuration = load(os.environ, BASE_DIR / ".env")
except InvalidSettings as invalid:
    # Whatever imports the settings, a command, a web server or a worker, ends with these sentences and status 1.
    sys.exit(str(invalid))


# Django

SECRET_KEY = configuration.secret_key
# Retired keys still validate the sessions that they signed.
SECRET_KEY_FALLBACKS = list(configuration.secret_key_fallbacks)
DEBUG = configuration.debug
# Always the local names: health checks in the container or on the host use them.
ALLOWED_HOSTS = [*configuration.allowed_hosts, "localhost", "127.0.0.1", "[::1]"]

ROOT_URLCONF = "kodiai.urls"
WSGI_APPLICATION = "kodiai.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
FORMAT_MODULE_PATH = "kodiai.formats"
STATIC_URL = "static/"
# Served from the packages that own them, so that no collectstatic step can be forgotten.
WHITENOISE_USE_FINDERS = True

INSTALLED_APPS = [
    # First, so that its templates replace those of the admin.
    "kodiai",
    "kodiai.admin_site.KodiaiAdminConfig",
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
    "kodiai.odd_queries.OddQueries",
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

# Web server

KODIAI_REQUEST_SECONDS = configuration.request_seconds
KODIAI_METRICS_TOKEN = configuration.metrics_token
_https = configuration.https
KODIAI_TRUSTED_PROXIES = list(configuration.trusted_proxies) or (["127.0.0.1", "::1"] if _https else [])

# Security. TLS ends at the proxy in front of Kodiai; the front door (kodiai.asgi) applies what it forwards.

CSRF_FAILURE_VIEW = "kodiai.logins.csrf_failure"
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
# Health checks, Prometheus and webhooks may reach Kodiai inside the network, without TLS.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$", r"^webhooks/"]
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


def database_settings(setting: str, parsed: Mapping[str, Any], *, lock_wait: float) -> dict[str, Any]:
    """Return connection settings for a database. `lock_wait` limits waits for SQLite's lock, in seconds."""
    database = dict(parsed)
    if database["ENGINE"] == "django.db.backends.sqlite3":
        # Kept open: the worker compares data_version, which belongs to a connection (reviews.runs.queues.database).
        database["CONN_MAX_AGE"] = None
        database["OPTIONS"] = {
            # Writers queue at BEGIN, where SQLite's busy handler works, not in the middle of a transaction.
            "transaction_mode": "IMMEDIATE",
            "timeout": lock_wait,
            # FULL syncs the log at each commit: a delivery answered with 202 survives a power cut.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
            "factory": PrivateConnection,
        }
        name = str(database["NAME"])
        why = why_unusable(Path(name)) if name != ":memory:" else ""
        # A broken telemetry store stops nothing: its rows stay pending.
        if why and setting == "DATABASE_URL":
            sys.exit(f"{setting} names a file that cannot be a database: {why}; set it to sqlite:///path/to/file.")
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


_sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(VAR_DIR / "kodiai.sqlite3")}
DATABASES = {"default": database_settings("DATABASE_URL", configuration.database_url or _sqlite, lock_wait=10)}
# A separate telemetry store keeps its failures away from the reviews.
if configuration.telemetry_database_url:
    DATABASES["telemetry"] = database_settings(
        "KODIAI_TELEMETRY_DATABASE_URL", configuration.telemetry_database_url, lock_wait=0.5
    )
DATABASE_ROUTERS = ["telemetry.router.TelemetryRouter"]

# Cache and tasks

_local_cache = {
    "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
    "LOCATION": "kodiai",
    "OPTIONS": {"MAX_ENTRIES": 10_000},
}
CACHES: dict[str, dict[str, Any]] = {"default": dict(configuration.cache_url or _local_cache)}
if CACHES["default"]["BACKEND"] == "django.core.cache.backends.redis.RedisCache":
    # A hanging cache is a miss, which must not cost more than the cache saves.
    CACHES["default"]["OPTIONS"] = {"socket_timeout": 1, "socket_connect_timeout": 1}
# Per process: a failing shared cache must not fail the API.
CACHES["throttles"] = {
    "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
    "LOCATION": "throttles",
    "OPTIONS": {"MAX_ENTRIES": 10_000},
}

KODIAI_TASKS_URL = configuration.tasks_url
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

# Authentication and permissions are in telemetry.api.
REST_FRAMEWORK = {
    "DEFAULT_THROTTLE_RATES": {
        "user": f"{configuration.api_rate}/min",
        "anon": f"{configuration.api_anonymous_rate}/min",
    },
    # The front door has set the client's address.
    "NUM_PROXIES": 0,
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [],
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "telemetry.problems.exception_handler",
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Kodiai",
    "DESCRIPTION": "Deliveries, review runs with their findings and coverage, telemetry, GitHub's limits, and figures. "
    "Read-only, but for queueing a failed delivery again.",
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

KODIAI_GITHUB_API_URL = configuration.github_api_url
KODIAI_GITHUB_APP_ID = configuration.github_app_id
KODIAI_GITHUB_APP_SLUG = configuration.github_app_slug
KODIAI_GITHUB_PRIVATE_KEY = configuration.github_private_key.replace("\\n", "\n")
# Several secrets are accepted, so that one can be rotated without refusing deliveries.
KODIAI_GITHUB_WEBHOOK_SECRET = list(configuration.github_webhook_secret)
# Where /setup stores what of these the environment does not set. `configuration` has it already.
KODIAI_GITHUB_APP_FILE = app_file_path(os.environ, BASE_DIR)
KODIAI_RESOLVE_THREADS = configuration.resolve_threads
KODIAI_ORGANISATION_DEFAULTS = configuration.organisation_defaults
KODIAI_BOT_ALLOW_LIST = list(configuration.bot_allow_list)
KODIAI_REDELIVER_SECONDS = configuration.redeliver_seconds

# Language model

KODIAI_LLM_MODEL = configuration.llm_model
KODIAI_LLM_API_KEY = configuration.llm_api_key
KODIAI_LLM_BASE_URL = configuration.llm_base_url
KODIAI_LLM_TIMEOUT = configuration.llm_timeout
KODIAI_LLM_MAX_TOKENS_PER_RUN = configuration.llm_max_tokens_per_run
KODIAI_LLM_MAX_COST_PER_DAY = configuration.llm_max_cost_per_day
KODIAI_LLM_MAX_COST_PER_REPOSITORY_PER_DAY = configuration.llm_max_cost_per_repository_per_day
KODIAI_LLM_PRICES = list(configuration.llm_prices)

# Analyzers: docs/decisions/0006-analyzer-confinement.md

KODIAI_CONFINEMENT = configuration.confinement

# Runs

KODIAI_WORKERS = configuration.workers
KODIAI_LEASE_SECONDS = configuration.lease_seconds
KODIAI_SWEEP_SECONDS = configuration.sweep_seconds
KODIAI_MAX_ATTEMPTS = configuration.max_attempts
KODIAI_MAX_DEFERRAL = configuration.max_deferral
KODIAI_GRACE_SECONDS = configuration.grace_seconds
KODIAI_RETENTION_DAYS = configuration.retention_days
KODIAI_RETENTION_IGNORED_DAYS = configuration.retention_ignored_days

# Notifications

KODIAI_NOTIFY_URL = configuration.notify_url
KODIAI_NOTIFY_SECRET = configuration.notify_secret
KODIAI_NOTIFY_SLACK_URL = configuration.notify_slack_url
KODIAI_NOTIFY_EMAIL = list(configuration.notify_email)
KODIAI_NOTIFY_DEGRADED_PERCENT = configuration.notify_degraded_percent
KODIAI_NOTIFY_PENDING_SECONDS = configuration.notify_pending_seconds
DEFAULT_FROM_EMAIL = configuration.mail_from
# A mail server that hangs must not hold up the periodic tasks.
EMAIL_TIMEOUT = 5
# Without a configured server, Django's defaults: this machine, port 25.
globals().update(configuration.mail_server)

LOGGING = logging_config(level=configuration.log_level, json=configuration.log_json)
