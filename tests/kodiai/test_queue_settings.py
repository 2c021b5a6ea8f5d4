"""The choice of the queue by `KODIAI_TASKS_URL`."""

import os
import subprocess
import sys

import pytest

from tests.support.runs import ROOT

LOADED = """
import sys, django, kodiai.wsgi
from django.contrib import admin
print(sorted({"redis", "rq", "django_rq"} & sys.modules.keys()))
print([model for model in admin.site._registry if "rq" in model.__module__])
"""


def run_python(code: str, tasks_url: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        "PATH": os.environ["PATH"],
        "KODIAI_ENV_FILE": os.devnull,
        "KODIAI_SECRET_KEY": "x" * 50,
        "KODIAI_TASKS_URL": tasks_url,
        "DJANGO_SETTINGS_MODULE": "kodiai.settings",
    }
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_the_database_queue_loads_nothing_of_redis() -> None:
    assert run_python(LOADED, "").stdout == "[]\n[]\n"


def test_the_redis_queue_adds_no_page_to_the_admin() -> None:
    assert run_python(LOADED, "redis://127.0.0.1:1/0").stdout == "['django_rq', 'redis', 'rq']\n[]\n"


@pytest.mark.parametrize("url", ["amqp://user:hush@host", "redis://:hush@host:port/0"])
def test_a_bad_address_is_refused_without_its_password(url: str) -> None:
    refused = run_python("import kodiai.settings", url)

    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].endswith(
        "KODIAI_TASKS_URL must be redis://host:port/database or rediss://…, or empty for the queue in the database."
    )
    assert "hush" not in refused.stderr
