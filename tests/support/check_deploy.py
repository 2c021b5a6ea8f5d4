"""`manage.py check --deploy` with the settings of a production set-up; fails on any warning."""

import os
import secrets
import sys

from sandbox.app import key_pair

if __name__ == "__main__":
    for name in list(os.environ):
        if name.startswith("KODIAI_"):
            del os.environ[name]
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "kodiai.settings",
        "KODIAI_ENV_FILE": os.devnull,
        "KODIAI_SECRET_KEY": secrets.token_urlsafe(50),
        "KODIAI_HTTPS": "true",
        "KODIAI_ALLOWED_HOSTS": "kodiai.example.org",
        "KODIAI_GITHUB_WEBHOOK_SECRET": "a-secret",
        "KODIAI_GITHUB_APP_ID": "1",
        "KODIAI_GITHUB_PRIVATE_KEY": key_pair()[0],
        "DATABASE_URL": "sqlite:///:memory:",
    }
    from django.core.management import execute_from_command_line

    execute_from_command_line([sys.argv[0], "check", "--deploy", "--fail-level", "WARNING"])
