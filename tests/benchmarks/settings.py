"""Kodiai's own settings, with an empty view."""

from kodiai.settings import *  # noqa: F403

ROOT_URLCONF = "tests.benchmarks.urls"
