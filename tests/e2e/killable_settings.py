"""Kodiai's own settings, and the app that lets workers die on order."""

from kodiai.settings import *  # noqa: F403
from kodiai.settings import INSTALLED_APPS as _APPS

INSTALLED_APPS = [*_APPS, "tests.e2e.killable.Killable"]
