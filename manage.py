#!/usr/bin/env python
"""Kodiai's command line: `python manage.py help` lists what it can do."""

import sys

from kodiai.command_line import main

if __name__ == "__main__":
    main(sys.argv[1:], "manage.py")
