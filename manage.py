#!/usr/bin/env python
"""Kodiai's command line: `python manage.py help` lists what it can do."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    if sys.argv[1:2] == ["demo"]:
        # Its settings are its own, and have to be there before Django reads them.
        from kodiai.demo.environment import prepare

        prepare()
    elif sys.argv[1:2] == ["review"]:
        from kodiai.__main__ import prepare

        prepare()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kodiai.settings")
    execute_from_command_line(sys.argv)
