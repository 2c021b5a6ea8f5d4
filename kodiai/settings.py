"""Settings, all of them read from the environment; `.env.example` documents every name.

A `.env` file beside `manage.py` (or `KODIAI_ENV_FILE`) is read if it is there; the environment itself wins over it.
"""

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import environ
from django.core.exceptions import ImproperlyConfigured

from kodiai.logging import logging_config

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

env = environ.Env()
env_file = Path(os.environ.get("KODIAI_ENV_FILE", BASE_DIR / ".env"))
if env_file.is_file():
    env.read_env(env_file, overwrite=False)

# Django

SECRET_KEY = env.str("KODIAI_SECRET_KEY", default="")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "KODIAI_SECRET_KEY is not set. Make one with "
        "`python3 -c 'import secrets; print(secrets.token_urlsafe(50))'` and put it into the environment or into .env."
    )
DEBUG = env.bool("KODIAI_DEBUG", default=False)
ALLOWED_HOSTS = env.list("KODIAI_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])

ROOT_URLCONF = "kodiai.urls"
WSGI_APPLICATION = "kodiai.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
STATIC_URL = "static/"
# Two dozen admin files: served from the packages that own them, so that there is no collectstatic step to forget.
WHITENOISE_USE_FINDERS = True

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
    "django_tasks",
    "django_tasks_db",
    "kodiai",
    "telemetry",
    "reviews",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
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

# Security. TLS ends at the proxy in front of Kodiai, which says so with X-Forwarded-Proto.

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
_https = env.bool("KODIAI_HTTPS", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _https
SECURE_SSL_REDIRECT = _https
# The load balancer's health checks and GitHub's webhooks may reach Kodiai inside the network, without TLS.
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


def _database(url: str, *, lock_wait: float) -> dict[str, Any]:
    """Connection settings for a database URL; `lock_wait` is in seconds and bounds every wait for SQLite's lock."""
    database = dict(env.db_url_config(url))
    if database["ENGINE"] == "django.db.backends.sqlite3":
        # Kept open: the worker compares a count that belongs to its connection (reviews.worker), and opening costs.
        database["CONN_MAX_AGE"] = None
        database["OPTIONS"] = {
            # Writers queue at BEGIN, where SQLite's busy handler works, and not in the middle of a transaction.
            "transaction_mode": "IMMEDIATE",
            "timeout": lock_wait,
            # What was answered with 202 survives a power cut: FULL syncs the log at each commit.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        }
        if ":memory:" not in str(database["NAME"]):
            Path(database["NAME"]).parent.mkdir(parents=True, exist_ok=True)
    else:
        database["CONN_MAX_AGE"] = 300
        database["CONN_HEALTH_CHECKS"] = True
        database["OPTIONS"] = {
            "connect_timeout": 4,
            # A server that vanished without a word, as when its machine lost power, is noticed within half a minute:
            # before a lease ends, and not after the two hours that systems wait by themselves. Source: PostgreSQL
            # documentation, "Parameter Key Words" of libpq.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 25_000,
            **database.get("OPTIONS", {}),
        }
    return database


DATABASES = {
    "default": _database(
        env.str("DATABASE_URL", default=f"sqlite:///{quote(str(VAR_DIR / 'kodiai.sqlite3'))}"), lock_wait=10
    ),
}
# Telemetry may live in a store of its own, so that its trouble is not the reviews' trouble.
if telemetry_url := env.str("KODIAI_TELEMETRY_DATABASE_URL", default=""):
    DATABASES["telemetry"] = _database(telemetry_url, lock_wait=0.5)
DATABASE_ROUTERS = ["telemetry.router.TelemetryRouter"]

# Cache and tasks

CACHES = {"default": env.cache_url("KODIAI_CACHE_URL", default="locmemcache://kodiai")}
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}

# GitHub

KODIAI_GITHUB_API_URL = env.str("KODIAI_GITHUB_API_URL", default="https://api.github.com")
KODIAI_GITHUB_APP_ID = env.str("KODIAI_GITHUB_APP_ID", default="")
KODIAI_GITHUB_APP_SLUG = env.str("KODIAI_GITHUB_APP_SLUG", default="kodiai")
KODIAI_GITHUB_PRIVATE_KEY = env.str("KODIAI_GITHUB_PRIVATE_KEY", default="", multiline=True)
if private_key_file := env.str("KODIAI_GITHUB_PRIVATE_KEY_FILE", default=""):
    try:
        KODIAI_GITHUB_PRIVATE_KEY = Path(private_key_file).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"KODIAI_GITHUB_PRIVATE_KEY_FILE cannot be read: {error}") from error
# Several secrets are accepted, so that one can be rotated without a moment in which deliveries are refused.
KODIAI_GITHUB_WEBHOOK_SECRET = [
    secret.strip() for secret in env.list("KODIAI_GITHUB_WEBHOOK_SECRET", default=[]) if secret.strip()
]
KODIAI_BOT_ALLOW_LIST = [login.strip().lower() for login in env.list("KODIAI_BOT_ALLOW_LIST", default=[])]

# Runs

KODIAI_WORKERS = env.int("KODIAI_WORKERS", default=1)
"""Worker processes that `make run` starts."""
KODIAI_LEASE_SECONDS = env.float("KODIAI_LEASE_SECONDS", default=60)
"""Seconds after which a run whose worker gives no sign of life is given to another."""
KODIAI_SWEEP_SECONDS = env.float("KODIAI_SWEEP_SECONDS", default=15)
"""Seconds between two rounds of the workers' periodic tasks; 0 leaves them to `manage.py maintain`."""
KODIAI_MAX_ATTEMPTS = env.int("KODIAI_MAX_ATTEMPTS", default=5)
"""Failed attempts after which a run is given up. A deferral is not an attempt."""
KODIAI_MAX_DEFERRAL = env.int("KODIAI_MAX_DEFERRAL", default=21_600)
"""Seconds that GitHub's limits may put a run off, in all, before it ends with an error."""
KODIAI_GRACE_SECONDS = env.float("KODIAI_GRACE_SECONDS", default=25)
"""Seconds that web server and workers get to end after SIGTERM, before they are killed."""
KODIAI_RETENTION_DAYS = env.int("KODIAI_RETENTION_DAYS", default=0)
"""Days after which ended deliveries, their reviews and telemetry rows are removed; 0 keeps everything."""

LOGGING = logging_config(
    level=env.str("KODIAI_LOG_LEVEL", default="INFO"), json=env.bool("KODIAI_LOG_JSON", default=True)
)
