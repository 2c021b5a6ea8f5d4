"""`manage.py doctor`: check an installation from the outside in, and say what to do about each thing that is wrong.

`machine` looks at this machine and its stores, `github` asks GitHub. Exit status: 0, 1 for an error, 2 if something
could not be found out (GitHub away, a database that does not answer).
"""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from kodiai.configuration import InvalidSettings, load
from kodiai.doctor.results import Result, Status, as_json, as_text, exit_status
from kodiai.home import HOME

__all__ = ["Result", "add_arguments", "as_json", "as_text", "examine", "exit_status", "main"]

ENV_FILE = HOME / ".env"


def main(arguments: Sequence[str], name: str) -> int:
    """Run the command line and return its exit status. Works with settings with which Django cannot start."""
    parser = ArgumentParser(name, description="Check this installation and say what to do about what is wrong.")
    add_arguments(parser)
    options = parser.parse_args(arguments)
    results = examine(offline=options.offline)
    sys.stdout.write(as_json(results) if options.json else as_text(results))
    sys.stdout.flush()
    return exit_status(results)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--offline", action="store_true", help="do not ask GitHub")


def examine(*, offline: bool = False) -> list[Result]:
    """Check everything; with `offline` nothing that GitHub knows."""
    try:
        load(dict(os.environ), ENV_FILE)
    except InvalidSettings as invalid:
        return [Result("settings", Status.ERROR, problem) for problem in invalid.problems]
    # Imported here: they need settings that can be read.
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kodiai.settings")
    import django

    try:
        django.setup()
    except SystemExit as stopped:
        return [Result("settings", Status.ERROR, str(stopped))]
    from kodiai.doctor import github, machine

    return [*machine.examine(), *([] if offline else github.examine())]
