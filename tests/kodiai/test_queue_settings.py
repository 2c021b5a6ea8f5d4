"""The choice of the queue by `KODIAI_TASKS_URL`."""

import pytest

from tests.support.processes import fresh_python

KEY = "x" * 50
LOADED = """
import sys, django, kodiai.wsgi
from django.contrib import admin
print(sorted({"redis", "rq", "django_rq"} & sys.modules.keys()))
print([model for model in admin.site._registry if "rq" in model.__module__])
"""


@pytest.mark.slow
def test_the_redis_queue_adds_no_page_to_the_admin() -> None:
    done = fresh_python("-c", LOADED, KODIAI_SECRET_KEY=KEY, KODIAI_TASKS_URL="redis://127.0.0.1:1/0")

    assert done.stdout == "['django_rq', 'redis', 'rq']\n[]\n"
