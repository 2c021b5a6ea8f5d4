"""Kodiai's own settings. Waits for GitHub, and the analyzers' time limit, are shorter by the factor `SCALE`."""

from kodiai.settings import *  # noqa: F403
from kodiai.settings import INSTALLED_APPS as _APPS

INSTALLED_APPS = [*_APPS, "tests.e2e.scaled.Scaled"]
