"""A Django app of the tests that shortens times in workers; `tests.e2e.scaled_settings` adds it."""

import os
import sys

from django.apps import AppConfig


class Scaled(AppConfig):
    name = "tests.e2e.scaled"
    label = "scaled"

    def ready(self) -> None:
        if "worker" in sys.argv[1:2]:
            from reviews.engines import confinement
            from reviews.runs import outages

            scale = float(os.environ["SCALE"])
            outages.MIN_WAIT *= scale
            outages.MAX_WAIT *= scale
            confinement.TIME_LIMIT *= scale  # type: ignore[assignment]
