"""The choice of the queue by `KODIAI_TASKS_URL`."""

import pytest

from tests.support.processes import python

KEY = "x" * 50
LOADED = """
import sys, django, kodiai.wsgi
from django.contrib import admin
print(sorted({"redis", "rq", "django_rq"} & sys.modules.keys()))
print([model for model in admin.site._registry if "rq" in model.__module__])
"""


@pytest.mark.slow
def test_the_redis_queue_adds_no_page_to_the_admin() -> None:
    done = python("-c", LOADED, KODIAI_SECRET_KEY=KEY, KODIAI_TASKS_URL="redis://127.0.0.1:1/0")

    assert done.stdout == "['django_rq', 'redis', 'rq']\n[]\n"


@pytest.mark.parametrize("url", ["amqp://user:hush@host", "redis://:hush@host:port/0"])
def test_a_bad_address_is_refused_without_its_password(url: str) -> None:
    refused = python("-c", "import kodiai.settings", KODIAI_SECRET_KEY=KEY, KODIAI_TASKS_URL=url)

    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].endswith(
        "KODIAI_TASKS_URL must be redis://host:port/database or rediss://…, or empty for the queue in the database."
    )
    assert "hush" not in refused.stderr
