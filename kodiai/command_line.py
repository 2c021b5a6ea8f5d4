"""The management commands: `manage.py` in a checkout, `kodiai manage` where Kodiai is installed as a package."""

import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str], name: str) -> None:
    """Run a command. Wrong settings and a database that fails are sentences here; `--traceback` shows the rest.

    `name` is what the command line begins with, for its help.
    """
    command = arguments[0] if arguments else ""
    if command == "review":
        # It needs neither settings nor Django, which are slow to import.
        from reviews.local.command import main as review

        sys.exit(review(list(arguments[1:]), f"{name} review"))
    if command == "doctor":
        # It reports settings with which Django cannot start.
        from kodiai.doctor import main as doctor

        sys.exit(doctor(list(arguments[1:]), f"{name} doctor"))
    if command == "demo":
        # Its settings are its own, and have to be there before Django reads them.
        try:
            from kodiai.demo.environment import prepare
        except ImportError:
            sys.exit("The demo needs a checkout of the repository, which has the simulated GitHub: make demo")
        prepare()
    from django.core.management import execute_from_command_line
    from django.db import InterfaceError, OperationalError, ProgrammingError

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kodiai.settings")
    try:
        execute_from_command_line([name, *arguments])
    except (InterfaceError, OperationalError, ProgrammingError) as error:
        if "--traceback" in arguments:
            raise
        from reviews.redaction import redact

        why = redact(" ".join(str(error).split()))
        sys.exit(f"The database failed: {why}. Check DATABASE_URL, or run `manage.py doctor`.")
