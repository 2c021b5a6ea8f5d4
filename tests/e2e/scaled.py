"""A Django app of the tests that shortens times in workers; `tests.e2e.scaled_settings` adds it."""

import os
import sys

from django.apps import AppConfig


class Scaled(AppConfig):
    name = "tests.e2e.scaled"
    label = "scaled"

    def ready(self) -> None:
        if "worker" in sys.argv[1:2]:
            from reviews.runs import outages

            waits = float(os.environ.get("SCALE_OUTAGES", "1"))
            outages.MIN_WAIT *= waits
            outages.MAX_WAIT *= waits
