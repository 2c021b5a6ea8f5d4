"""Kodiai's own settings. `SCALE_OUTAGES` shortens the waits for GitHub."""

from kodiai.settings import *  # noqa: F403
from kodiai.settings import INSTALLED_APPS as _APPS

INSTALLED_APPS = [*_APPS, "tests.e2e.scaled.Scaled"]
